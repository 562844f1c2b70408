/* Threads that trace children, like a debugger's, see and serve all their stops, wherever they run: a child that asks to be traced by the
 * one that forked it, one that is attached to, one that is seized; by ptrace and by its number.
 * covers: ptrace fork waitpid
 * proof: green_threads>=9 hooks.ptrace>=200 parks>=1 kernel_threads_peak<=20
 * processors: 4
 */
#include "ctest.h"
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>

enum { STOPS = 20 };

static long word = 4711;

static int stopped(pid_t child)
{
    int status;
    CHECK_IS(waitpid(child, &status, 0), child);
    return WIFSTOPPED(status) ? WSTOPSIG(status) : 0;
}

/* Looks into the stopped child, and lets it go on. */
static void look(pid_t child)
{
    struct user_regs_struct registers;
    long peeked;
    CHECK_IS(ptrace(PTRACE_GETREGS, child, 0, &registers), 0);
    CHECK(registers.rip != 0);
    errno = EINVAL;
    CHECK_IS(ptrace(PTRACE_PEEKDATA, child, &word, 0), 4711);
    CHECK_IS(errno, 0);
    CHECK_IS(syscall(SYS_ptrace, PTRACE_PEEKDATA, child, &word, &peeked), 0);
    CHECK_IS(peeked, 4711);
    nap(1);
    CHECK_IS(ptrace(PTRACE_CONT, child, 0, 0), 0);
}

static void *traces_its_child(void *argument)
{
    pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
            _exit(1);
        for (int i = 0; i < STOPS; i++)
            raise(SIGSTOP);
        _exit(7);
    }
    for (int i = 0; i < STOPS; i++) {
        CHECK_IS(stopped(child), SIGSTOP);
        look(child);
    }
    int status;
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK_IS(WEXITSTATUS(status), 7);
    return argument;
}

static pid_t sleeps(void)
{
    pid_t child = fork();
    if (child == 0)
        for (;;)
            pause();
    return child;
}

static void end(pid_t child)
{
    int status;
    CHECK_IS(kill(child, SIGKILL), 0);
    CHECK_IS(waitpid(child, &status, 0), child);
}

static void *seizes(void *argument)
{
    pid_t child = sleeps();
    CHECK_IS(ptrace(PTRACE_SEIZE, child, 0, 0), 0);
    for (int i = 0; i < STOPS; i++) {
        CHECK_IS(ptrace(PTRACE_INTERRUPT, child, 0, 0), 0);
        CHECK_IS(stopped(child), SIGTRAP);
        look(child);
    }
    end(child);
    return argument;
}

static void *attaches(void *argument)
{
    pid_t child = sleeps();
    CHECK_IS(ptrace(PTRACE_ATTACH, child, 0, 0), 0);
    for (int i = 0; i < STOPS; i++) {
        CHECK_IS(stopped(child), SIGSTOP);
        look(child);
        CHECK_IS(kill(child, SIGSTOP), 0);
    }
    CHECK_IS(stopped(child), SIGSTOP);
    CHECK_IS(ptrace(PTRACE_DETACH, child, 0, 0), 0);
    CHECK_FAILS(ptrace(PTRACE_CONT, child, 0, 0), ESRCH);
    end(child);
    CHECK_FAILS(ptrace(PTRACE_CONT, child, 0, 0), ESRCH);
    return argument;
}

static void *is_refused(void *argument)
{
    for (int i = 0; i < 30; i++)
        CHECK_FAILS(ptrace(PTRACE_CONT, getpid(), 0, 0), ESRCH);
    nap(1);
    return argument;
}

int main(void)
{
    void *(*ways[])(void *) = {traces_its_child, seizes, attaches};
    pthread_t threads[9];
    pid_t child = sleeps();
    if (ptrace(PTRACE_SEIZE, child, 0, 0) != 0) {
        /* Some containers refuse it, then to every thread. */
        for (int i = 0; i < 3; i++)
            ways[i] = is_refused;
    }
    for (int i = 0; i < 9; i++)
        threads[i] = spawn(ways[i % 3], NULL);
    /* main has begun to trace when it was the only thread. */
    for (int i = 0; i < STOPS && ways[0] != is_refused; i++) {
        CHECK_IS(ptrace(PTRACE_INTERRUPT, child, 0, 0), 0);
        CHECK_IS(stopped(child), SIGTRAP);
        look(child);
    }
    end(child);
    for (int i = 0; i < 9; i++)
        join(threads[i]);
    say("tracers see all stops");
    return 0;
}
