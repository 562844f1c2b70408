/* Programs that hear of their children by SIGCHLD: a handler that takes all who have ended, a signalfd, sigtimedwait; while threads fork
 * and others wait in calls that restart. Each child is told once; stops are told unless SA_NOCLDSTOP.
 * covers: fork waitpid wait kill sigaction sigtimedwait read
 * proof: green_threads>=15 parks>=10 hooks.fork>=160 hooks.sigtimedwait>=1
 * passes: kill: a signal to another process, or one that no handler waits for, is the kernel's to send
 */
#include "ctest.h"
#include <sys/signalfd.h>

enum { FORKERS = 4, EACH = 10, CHILDREN = FORKERS * EACH };

static atomic_int taken, statuses;

static void take_all(int signal)
{
    int error = errno, status;
    (void)signal;
    while (waitpid(-1, &status, WNOHANG) > 0) {
        taken++;
        statuses += WEXITSTATUS(status);
    }
    errno = error;
}

static void *forks(void *unused)
{
    for (int i = 0; i < EACH; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0)
            _exit(1 + i % 2);
        nap(1);
    }
    return unused;
}

static void *reads(void *fd)
{
    char byte;
    CHECK_IS(read(*(int *)fd, &byte, 1), 1);
    return NULL;
}

static void with_children(const char *by, void (*hear)(int fd), int fd)
{
    pthread_t threads[FORKERS];
    taken = statuses = 0;
    for (int i = 0; i < FORKERS; i++)
        threads[i] = spawn(forks, NULL);
    hear(fd);
    for (int i = 0; i < FORKERS; i++)
        join(threads[i]);
    CHECK_FAILS(wait(NULL), ECHILD);
    CHECK_IS(taken, CHILDREN);
    CHECK_IS(statuses, CHILDREN + CHILDREN / 2);
    say("%s: %d children", by, CHILDREN);
}

static void by_handler(int fd)
{
    (void)fd;
    while (taken < CHILDREN)
        nap(1);
}

static void by_descriptor(int fd)
{
    while (taken < CHILDREN) {
        struct signalfd_siginfo info;
        CHECK_IS(read(fd, &info, sizeof info), sizeof info);
        CHECK_IS(info.ssi_signo, SIGCHLD);
        take_all(SIGCHLD);
    }
}

static sigset_t child_signal;

static void by_waiting(int fd)
{
    (void)fd;
    while (taken < CHILDREN) {
        siginfo_t info;
        CHECK_IS(sigtimedwait(&child_signal, &info, &(struct timespec){CTEST_SECONDS, 0}), SIGCHLD);
        take_all(SIGCHLD);
    }
}

static void handled(void)
{
    int ends[2];
    CHECK_IS(pipe(ends), 0);
    pthread_t reader = spawn(reads, &ends[0]);
    with_children("a handler", by_handler, -1);
    CHECK_IS(write(ends[1], "x", 1), 1);
    join(reader);
    close(ends[0]);
    close(ends[1]);
}

static void read_or_waited_for(void)
{
    int fd = signalfd(-1, &child_signal, 0);
    with_children("a descriptor", by_descriptor, fd);
    close(fd);
    with_children("sigtimedwait", by_waiting, -1);
}

static atomic_int code;

static void note(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    code = info->si_code;
}

static int told_of(pid_t child, int signal)
{
    code = 0;
    CHECK_IS(kill(child, signal), 0);
    while (code == 0)
        nap(1);
    return code;
}

static void stops(void)
{
    int status;
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESTART};
    CHECK_IS(sigaction(SIGCHLD, &action, NULL), 0);
    pid_t child = fork();
    while (child == 0)
        pause();
    CHECK_IS(told_of(child, SIGSTOP), CLD_STOPPED);
    CHECK_IS(told_of(child, SIGCONT), CLD_CONTINUED);
    action.sa_flags |= SA_NOCLDSTOP;
    CHECK_IS(sigaction(SIGCHLD, &action, NULL), 0);
    code = 0;
    CHECK_IS(kill(child, SIGSTOP), 0);
    CHECK_IS(waitpid(child, &status, WUNTRACED), child);
    nap(5);
    CHECK_IS(code, 0);
    CHECK_IS(told_of(child, SIGKILL), CLD_KILLED);
    CHECK_IS(waitpid(child, &status, 0), child);
    say("stopped, continued, killed; stops not told");
}

int main(void)
{
    struct sigaction action = {.sa_handler = take_all, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
    CHECK_IS(sigaction(SIGCHLD, &action, NULL), 0);
    in_thread(handled);
    handled();
    sigemptyset(&child_signal);
    sigaddset(&child_signal, SIGCHLD);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &child_signal, NULL), 0);
    in_thread(read_or_waited_for);
    CHECK_IS(pthread_sigmask(SIG_UNBLOCK, &child_signal, NULL), 0);
    in_thread(stops);
    return 0;
}
