/* Waits for one child beside what its end is not: handlers with and without SA_RESTART, jumps out of them, children that stop and go
 * on, that are traced, that nobody is to wait for (SIGCHLD ignored), and orphans of a child's.
 * covers: waitpid waitid wait fork kill pthread_kill sigaction
 * proof: green_threads>=9 parks>=9
 * passes: kill: a signal to another process, or one that no handler waits for, is the kernel's to send
 */
#include "ctest.h"
#include <setjmp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

static int gate[2];
static atomic_int handled;

static void handle(int signal)
{
    (void)signal;
    handled++;
}

static void install(int flags)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = flags};
    CHECK_IS(sigaction(SIGUSR1, &action, NULL), 0);
}

/* It ends with the status when the gate's writing end is closed. */
static pid_t child_with(int status)
{
    CHECK_IS(pipe(gate), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char byte;
        alarm(CTEST_SECONDS);
        close(gate[1]);
        _exit(read(gate[0], &byte, 1) == 0 ? status : 99);
    }
    close(gate[0]);
    return child;
}

static void finish(pid_t child, int wanted)
{
    int status;
    close(gate[1]);
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK_IS(status, W_EXITCODE(wanted, 0));
}

static atomic_bool enough;

/* Sends the thread its signal until it is enough. */
static void *pesters(void *who)
{
    while (!enough) {
        nap(1);
        CHECK_IS(pthread_kill(*(pthread_t *)who, SIGUSR1), 0);
    }
    return NULL;
}

static void interrupted(void)
{
    pthread_t me = pthread_self();
    siginfo_t info;
    install(0);
    for (int by_id = 0; by_id < 2; by_id++) {
        pid_t child = child_with(3);
        enough = false;
        pthread_t other = spawn(pesters, &me);
        if (by_id)
            CHECK_FAILS(waitid(P_PID, child, &info, WEXITED), EINTR);
        else
            CHECK_FAILS(waitpid(child, NULL, 0), EINTR);
        enough = true;
        join(other);
        finish(child, 3);
    }
    say("a handler ends the wait: EINTR");
}

static void *ends_after_five(void *who)
{
    for (handled = 0; handled < 5;) {
        nap(1);
        CHECK_IS(pthread_kill(*(pthread_t *)who, SIGUSR1), 0);
    }
    close(gate[1]);
    return NULL;
}

static void restarted(void)
{
    pthread_t me = pthread_self();
    int status;
    pid_t child = child_with(4);
    install(SA_RESTART);
    pthread_t other = spawn(ends_after_five, &me);
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK_IS(status, W_EXITCODE(4, 0));
    join(other);
    say("a handler with SA_RESTART does not");
}

static sigjmp_buf back;

static void jump(int signal)
{
    (void)signal;
    siglongjmp(back, 1);
}

static atomic_bool ready;

static void *kicks(void *who)
{
    while (!ready)
        nap(1);
    CHECK_IS(pthread_kill(*(pthread_t *)who, SIGUSR1), 0);
    return NULL;
}

static void jumped(void)
{
    struct sigaction action = {.sa_handler = jump};
    pthread_t me = pthread_self();
    CHECK_IS(sigaction(SIGUSR1, &action, NULL), 0);
    for (volatile int i = 0; i < 20; i++) {
        volatile pid_t child = child_with(5);
        volatile pthread_t other = 0;
        ready = false;
        if (sigsetjmp(back, 1) == 0) {
            other = spawn(kicks, &me);
            ready = true;
            waitpid(child, NULL, 0);
            check_failed(__FILE__, __LINE__, "the wait came back", 0);
        }
        join(other);
        finish(child, 5);
    }
    say("a handler leaves the wait by a jump, and it is waited for again");
}

static atomic_int reported;

static void *waits_plainly(void *child)
{
    int status;
    CHECK_IS(waitpid(*(pid_t *)child, &status, 0), *(pid_t *)child);
    reported++;
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return NULL;
}

static void stops(void)
{
    int status;
    pid_t child = child_with(6);
    pthread_t plain = spawn(waits_plainly, &child);
    nap(2);
    CHECK_IS(kill(child, SIGSTOP), 0);
    CHECK_IS(waitpid(child, &status, WUNTRACED), child);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    CHECK_IS(kill(child, SIGCONT), 0);
    CHECK_IS(waitpid(child, &status, WCONTINUED), child);
    CHECK(WIFCONTINUED(status));
    siginfo_t info = {0};
    CHECK_IS(kill(child, SIGSTOP), 0);
    CHECK_IS(waitid(P_PID, child, &info, WSTOPPED), 0);
    CHECK_IS(info.si_code, CLD_STOPPED);
    CHECK_IS(reported, 0);
    CHECK_IS(kill(child, SIGKILL), 0);
    join(plain);
    close(gate[1]);
    say("stops and continuations are for those who ask; the others wait for the end");
}

static void traced(void)
{
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        nap(10); /* the parent waits by then, mostly */
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGTRAP);
        _exit(0);
    }
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
    CHECK_IS(kill(child, SIGKILL), 0);
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    say("a traced child's stop is told");
}

static void *ends(void *unused)
{
    nap(5);
    close(gate[1]);
    return unused;
}

static void ignored(void)
{
    signal(SIGCHLD, SIG_IGN);
    pid_t child = child_with(7);
    pthread_t other = spawn(ends, NULL);
    CHECK_FAILS(waitpid(child, NULL, 0), ECHILD);
    join(other);
    child_with(7);
    other = spawn(ends, NULL);
    CHECK_FAILS(wait(NULL), ECHILD);
    CHECK_FAILS(kill(child, 0), ESRCH);
    join(other);
    struct sigaction unwaited = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
    CHECK_IS(sigaction(SIGCHLD, &unwaited, NULL), 0);
    child = child_with(7);
    other = spawn(ends, NULL);
    CHECK_FAILS(waitid(P_PID, child, NULL, WEXITED), ECHILD);
    join(other);
    signal(SIGCHLD, SIG_DFL);
    say("children that nobody is to wait for: ECHILD when they have ended");
}

static void orphans(void)
{
    int ids[2], status;
    pid_t orphan;
    CHECK_IS(pipe(ids), 0);
    CHECK_IS(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0) {
            nap(20);
            _exit(9);
        }
        CHECK_IS(write(ids[1], &grandchild, sizeof grandchild), sizeof grandchild);
        _exit(8);
    }
    CHECK_IS(read(ids[0], &orphan, sizeof orphan), sizeof orphan);
    CHECK_FAILS(waitpid(getpid(), &status, 0), ECHILD);
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK_IS(status, W_EXITCODE(8, 0));
    CHECK_IS(waitpid(orphan, &status, 0), orphan);
    CHECK_IS(status, W_EXITCODE(9, 0));
    close(ids[0]);
    close(ids[1]);
    say("an orphan comes to the nearest who asked for it");
}

int main(void)
{
    in_thread(interrupted);
    in_thread(restarted);
    in_thread(jumped);
    in_thread(stops);
    in_thread(traced);
    in_thread(ignored);
    in_thread(orphans);
    traced();
    return 0;
}
