/* What a forked child has of the thread that forked it: signal mask, alternate stack, nice value, policy, processors and name, and none
 * of its pending signals; a thread of the child's has its maker's.
 * covers: fork _Fork waitpid pthread_create getpriority sched_getscheduler sched_getaffinity pthread_getname_np prctl
 * uncounted: getpriority sched_getscheduler sched_getaffinity pthread_getname_np prctl
 * proof: green_threads>=2 parks>=2 hooks.fork>=2 hooks._Fork>=2
 */
#include "ctest.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static int nice_before, first;
static char stack[1 << 16];

static void *has_it(void *is_thread)
{
    sigset_t set;
    char name[16];
    cpu_set_t processors;
    stack_t told;
    CHECK_IS(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
    CHECK(sigismember(&set, SIGUSR1) && !sigismember(&set, SIGUSR2));
    CHECK_IS(sigpending(&set), 0);
    CHECK(!sigismember(&set, SIGUSR1));
    CHECK_IS(getpriority(PRIO_PROCESS, 0), nice_before + 3);
    CHECK_IS(sched_getscheduler(0), SCHED_BATCH);
    CHECK_IS(sched_getaffinity(0, sizeof processors, &processors), 0);
    CHECK(CPU_COUNT(&processors) == 1 && CPU_ISSET(first, &processors));
    CHECK_IS(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    CHECK(strcmp(name, "who forks") == 0);
    CHECK_IS(prctl(PR_GET_NAME, name), 0);
    CHECK(strcmp(name, "who forks") == 0);
    CHECK_IS(sigaltstack(NULL, &told), 0);
    CHECK_IS(told.ss_flags, is_thread ? SS_DISABLE : 0);
    CHECK(is_thread || told.ss_sp == stack);
    return NULL;
}

static void forks(pid_t (*call)(void))
{
    int status;
    pid_t child = call();
    CHECK(child >= 0);
    if (child == 0) {
        has_it(NULL);
        if (call == fork)
            join(spawn(has_it, &first));
        has_it(NULL);
        _exit(0);
    }
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK_IS(status, 0);
}

static void differs(void)
{
    sigset_t set;
    cpu_set_t processors;
    struct sched_param parameter = {0};
    nice_before = getpriority(PRIO_PROCESS, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_IS(pthread_sigmask(SIG_SETMASK, &set, NULL), 0);
    CHECK_IS(pthread_kill(pthread_self(), SIGUSR1), 0);
    CHECK_IS(setpriority(PRIO_PROCESS, 0, nice_before + 3), 0);
    CHECK_IS(sched_setscheduler(0, SCHED_BATCH, &parameter), 0);
    CHECK_IS(sched_getaffinity(0, sizeof processors, &processors), 0);
    while (!CPU_ISSET(first, &processors))
        first++;
    CPU_ZERO(&processors);
    CPU_SET(first, &processors);
    CHECK_IS(sched_setaffinity(0, sizeof processors, &processors), 0);
    CHECK_IS(pthread_setname_np(pthread_self(), "who forks"), 0);
    CHECK_IS(sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL), 0);
    nap(1);
    for (int i = 0; i < 2; i++) {
        forks(fork);
        forks(_Fork);
    }
    say("its children are as it is");
}

static void *ticks(void *stop)
{
    while (!*(atomic_bool *)stop)
        nap(1);
    return NULL;
}

int main(void)
{
    atomic_bool stop = false;
    pthread_t other = spawn(ticks, &stop);
    in_thread(differs);
    stop = true;
    join(other);
    CHECK_IS(getpriority(PRIO_PROCESS, 0), nice_before);
    CHECK_IS(sched_getscheduler(0), SCHED_OTHER);
    say("main is as it was");
    return 0;
}
