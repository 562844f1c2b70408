/* What ends or stops a process does so whichever thread it meets, with the others blocked: the status that the parent sees (the signal,
 * whether a core was dumped) is the same, however the signal came; a stopped process goes on.
 * covers: raise kill pthread_kill tgkill sigqueue waitpid fork
 * uncounted: raise pthread_kill tgkill sigqueue
 * proof: green_threads>=1
 * no_park: the statistics are those of a child, which a signal ends wherever it is
 * passes: waitpid fork: the first process has no threads: its children have
 * passes: kill: a signal to another process, or one that no handler waits for, is the kernel's to send
 */
#include "signals.h"
#include <sys/resource.h>
#include <sys/syscall.h>

static pthread_t blocked, main_thread;
static int line[2];

static void *waits(void *unused)
{
    char byte;
    while (read(line[0], &byte, 1) < 0)
        ;
    return unused;
}

static void aborts(void)
{
    abort();
}

static void *volatile nowhere;

static void touches(void)
{
    *(volatile char *)nowhere = 1;
}

static void divides(void)
{
    raise(SIGFPE);
}

static void kills_itself(void)
{
    kill(getpid(), SIGTERM);
}

static void kills_for_certain(void)
{
    kill(getpid(), SIGKILL);
}

static void kills_the_blocked(void)
{
    pthread_kill(blocked, SIGUSR2);
}

static void quits_main(void)
{
    pthread_kill(main_thread, SIGQUIT);
}

static void queues(void)
{
    sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 1});
}

static void alarms(void)
{
    alarm(0);
    ualarm(1000, 0);
}

static void traps(void)
{
    __asm__ volatile("int3");
}

static void illegal(void)
{
    __asm__ volatile("ud2");
}

static void by_tgkill(void)
{
    syscall(SYS_tgkill, getpid(), getpid(), SIGXCPU);
}

static void unblocks(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    raise(SIGHUP);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void *thread(void *act)
{
    (*(void (**)(void))act)();
    return waits(NULL);
}

static const struct {
    const char *name;
    void (*act)(void);
} ends[] = {
    {"abort", aborts},
    {"a null pointer", touches},
    {"raise", divides},
    {"kill of the own process", kills_itself},
    {"SIGKILL", kills_for_certain},
    {"pthread_kill of a blocked thread", kills_the_blocked},
    {"pthread_kill of main", quits_main},
    {"a queued real-time signal", queues},
    {"a timer", alarms},
    {"a breakpoint", traps},
    {"an illegal instruction", illegal},
    {"tgkill", by_tgkill},
    {"unblocking", unblocks},
};

/* Makes threads that are blocked, then acts, in a thread or in main. */
static pid_t start(void (*act)(void), bool in_main)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child)
        return child;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    main_thread = pthread_self();
    blocked = spawn(waits, NULL);
    spawn(waits, NULL);
    nap(2);
    if (in_main)
        act();
    else
        spawn(thread, &act);
    waits(NULL);
    _exit(1);
}

static void tell(const char *name, const char *where, int status)
{
    say("%s, %s: %s %d%s", name, where, WIFSIGNALED(status) ? "signal" : "exit",
        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), WIFSIGNALED(status) && WCOREDUMP(status) ? ", core" : "");
}

static void nothing(void)
{
}

/* From outside, while all wait; stopped and continued before. */
static void from_outside(int signal, bool stop)
{
    int status;
    pid_t child = start(nothing, true);
    nap(10);
    if (stop) {
        CHECK_IS(kill(child, SIGSTOP), 0);
        CHECK_IS(waitpid(child, &status, WUNTRACED), child);
        CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
        CHECK_IS(kill(child, SIGCONT), 0);
        CHECK_IS(waitpid(child, &status, WCONTINUED), child);
        CHECK(WIFCONTINUED(status));
    }
    CHECK_IS(kill(child, signal), 0);
    CHECK_IS(waitpid(child, &status, 0), child);
    tell(stop ? "stopped, continued, killed" : "killed", "from outside", status);
}

static void stop(void)
{
    raise(SIGTSTP);
    _exit(9);
}

static void stops_itself(bool in_main)
{
    int status;
    pid_t child = start(stop, in_main);
    CHECK_IS(waitpid(child, &status, WUNTRACED), child);
    CHECK(WIFSTOPPED(status));
    say("stops itself, %s: %d", in_main ? "main" : "thread", WSTOPSIG(status));
    CHECK_IS(kill(child, SIGCONT), 0);
    CHECK_IS(waitpid(child, &status, 0), child);
    tell("continued", in_main ? "main" : "thread", status);
}

int main(void)
{
    CHECK_IS(pipe(line), 0);
    for (unsigned i = 0; i < sizeof ends / sizeof *ends; i++)
        for (int in_main = 0; in_main < 2; in_main++) {
            int status;
            pid_t child = start(ends[i].act, in_main);
            CHECK_IS(waitpid(child, &status, 0), child);
            tell(ends[i].name, in_main ? "main" : "thread", status);
        }
    from_outside(SIGTERM, false);
    from_outside(SIGINT, true);
    from_outside(SIGQUIT, false);
    stops_itself(false);
    stops_itself(true);
    in_thread(nothing);
    return 0;
}
