/* Each way to wait for a child blocks only the thread that waits, and tells how the child ended.
 * covers: wait __wait wait3 wait4 waitpid __waitpid waitid fork __fork _exit kill
 * uncounted: _exit
 * proof: green_threads>=7 parks>=1 kernel_threads_peak<=14
 * processors: 4
 * passes: kill: a signal to another process, or one that no handler waits for, is the kernel's to send
 */
#include "ctest.h"
#include <sys/resource.h>
#include <sys/syscall.h>

extern pid_t __wait(int *status);
extern pid_t __waitpid(pid_t pid, int *status, int options);
extern pid_t __fork(void);

static int gate[2]; /* children live until its writing end is closed */

static pid_t child_with(int status)
{
    pid_t child = status % 2 ? fork() : __fork();
    CHECK(child >= 0);
    if (child == 0) {
        char byte;
        alarm(CTEST_SECONDS);
        close(gate[1]);
        if (read(gate[0], &byte, 1) == 0)
            _exit(status);
        _exit(99);
    }
    return child;
}

static pid_t by_wait(pid_t child, int *status) { (void)child; return wait(status); }
static pid_t by_its_alias(pid_t child, int *status) { (void)child; return __wait(status); }
static pid_t by_wait3(pid_t child, int *status) { struct rusage usage; (void)child; return wait3(status, 0, &usage); }
static pid_t by_wait4(pid_t child, int *status) { struct rusage usage; return wait4(child, status, 0, &usage); }
static pid_t by_waitpid(pid_t child, int *status) { return waitpid(child, status, 0); }
static pid_t by_waitpids_alias(pid_t child, int *status) { return __waitpid(child, status, 0); }
static pid_t by_waitid(pid_t child, int *status)
{
    siginfo_t info = {0};
    CHECK_IS(waitid(P_PID, child, &info, WEXITED | WNOWAIT), 0);
    CHECK_IS(waitid(P_PID, child, &info, WEXITED), 0);
    CHECK_IS(info.si_code, CLD_EXITED);
    *status = W_EXITCODE(info.si_status, 0);
    return info.si_pid;
}

static const struct row { const char *name; pid_t (*wait)(pid_t child, int *status); } rows[] = {
    {"wait", by_wait}, {"__wait", by_its_alias}, {"wait3", by_wait3},
    {"wait4", by_wait4}, {"waitpid", by_waitpid}, {"__waitpid", by_waitpids_alias}, {"waitid", by_waitid},
};
enum { ROWS = sizeof rows / sizeof *rows, FOR_ANY_CHILD = 3 };

static atomic_int entered;

static void *waits(void *argument)
{
    const struct row *row = argument;
    int number = row - rows, status;
    pid_t child = child_with(number + 1);
    CHECK_IS(waitpid(child, &status, WNOHANG), 0);
    entered++;
    CHECK_IS(row->wait(child, &status), child);
    CHECK(WIFEXITED(status));
    CHECK_IS(WEXITSTATUS(status), number + 1);
    return NULL;
}

/* The waits for any child one after another, those for their own at once. */
static void run(int first, int count)
{
    pthread_t threads[ROWS];
    CHECK_IS(pipe(gate), 0);
    entered = 0;
    for (int i = 0; i < count; i++)
        threads[i] = spawn(waits, (void *)&rows[first + i]);
    while (entered < count)
        nap(1);
    nap(1);
    close(gate[1]);
    for (int i = 0; i < count; i++) {
        join(threads[i]);
        say("%s: the child's exit status", rows[first + i].name);
    }
    close(gate[0]);
}

int main(void)
{
    for (int i = 0; i < FOR_ANY_CHILD; i++)
        run(i, 1);
    run(FOR_ANY_CHILD, ROWS - FOR_ANY_CHILD);

    int status;
    CHECK_FAILS(wait(&status), ECHILD);
    CHECK_FAILS(waitpid(-1, &status, WNOHANG), ECHILD);
    say("no children: ECHILD");
    CHECK_IS(pipe(gate), 0);
    pid_t child = child_with(1);
    CHECK_IS(kill(child, SIGTERM), 0);
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    say("killed: the signal");
    return 0;
}
