/* What a tid names for the calls and the system calls that take one: another thread's nice value, policy and processors, while it
 * lives; and what a thread has used of the processors, told by getrusage.
 * covers: setpriority getpriority sched_setscheduler sched_getscheduler sched_setparam sched_getparam sched_rr_get_interval
 * covers: sched_setaffinity sched_getaffinity getrusage syscall gettid
 * proof: green_threads>=3 parks>=2 hooks.syscall>=10 hooks.sched_rr_get_interval>=2 hooks.getrusage>=4
 */
#include "ctest.h"
#include <sched.h>
#include <semaphore.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static sem_t told, go;
static pid_t tid;
static int first; /* the first of our processors */

static int nice_value(pid_t of)
{
    errno = 0;
    int value = getpriority(PRIO_PROCESS, of);
    CHECK(errno == 0);
    return value;
}

static void *lives(void *before)
{
    cpu_set_t set;
    tid = gettid();
    sem_post(&told);
    sem_wait(&go);
    CHECK_IS(nice_value(0), *(int *)before + 2);
    CHECK_IS(sched_getscheduler(0), SCHED_BATCH);
    CHECK_IS(sched_getaffinity(0, sizeof set, &set), 0);
    CHECK(CPU_COUNT(&set) == 1 && CPU_ISSET(first, &set));
    return NULL;
}

static void by_function(int before)
{
    cpu_set_t set;
    struct sched_param parameter = {0};
    struct timespec time;
    CHECK_IS(setpriority(PRIO_PROCESS, tid, before + 1), 0);
    CHECK_IS(nice_value(tid), before + 1);
    CHECK_IS(sched_setscheduler(tid, SCHED_BATCH, &parameter), 0);
    CHECK_IS(sched_getscheduler(tid), SCHED_BATCH);
    CHECK_IS(sched_setparam(tid, &parameter), 0);
    CHECK_IS(sched_getparam(tid, &parameter), 0);
    CHECK_IS(sched_rr_get_interval(tid, &time), 0);
    CHECK_IS(sched_getaffinity(0, sizeof set, &set), 0);
    while (!CPU_ISSET(first, &set))
        first++;
    CPU_ZERO(&set);
    CPU_SET(first, &set);
    CHECK_IS(sched_setaffinity(tid, sizeof set, &set), 0);
    CPU_ZERO(&set);
    CHECK_IS(sched_getaffinity(tid, sizeof set, &set), 0);
    CHECK(CPU_COUNT(&set) == 1 && CPU_ISSET(first, &set));
    say("by the functions");
}

static void by_system_call(int before)
{
    cpu_set_t set;
    struct sched_param parameter = {0};
    struct timespec time;
    CHECK_IS(syscall(SYS_setpriority, PRIO_PROCESS, tid, before + 2), 0);
    CHECK_IS(syscall(SYS_getpriority, PRIO_PROCESS, tid), 20 - (before + 2));
    CHECK_IS(syscall(SYS_getpriority, PRIO_PROCESS, 0), 20 - before);
    CHECK_IS(syscall(SYS_sched_setscheduler, tid, SCHED_BATCH, &parameter), 0);
    CHECK_IS(syscall(SYS_sched_getscheduler, tid), SCHED_BATCH);
    CHECK_IS(syscall(SYS_sched_setparam, tid, &parameter), 0);
    CHECK_IS(syscall(SYS_sched_getparam, tid, &parameter), 0);
    CHECK_IS(syscall(SYS_sched_rr_get_interval, tid, &time), 0);
    CPU_ZERO(&set);
    CHECK(syscall(SYS_sched_getaffinity, tid, sizeof set, &set) > 0);
    CHECK(CPU_COUNT(&set) == 1 && CPU_ISSET(first, &set));
    CHECK_IS(syscall(SYS_sched_setaffinity, tid, sizeof set, &set), 0);
    CHECK_FAILS(syscall(SYS_sched_getaffinity, tid, 1, &set), EINVAL);
    CHECK_FAILS(syscall(SYS_getpriority, 7, tid), EINVAL);
    say("by the system calls");
}

static void nobody(void)
{
    cpu_set_t set;
    struct sched_param parameter = {0};
    struct timespec time;
    CHECK_FAILS(getpriority(PRIO_PROCESS, tid), ESRCH);
    CHECK_FAILS(setpriority(PRIO_PROCESS, tid, 19), ESRCH);
    CHECK_FAILS(sched_getscheduler(tid), ESRCH);
    CHECK_FAILS(sched_getparam(tid, &parameter), ESRCH);
    CHECK_FAILS(sched_rr_get_interval(tid, &time), ESRCH);
    CHECK_FAILS(sched_getaffinity(tid, sizeof set, &set), ESRCH);
    CHECK_FAILS(syscall(SYS_sched_getaffinity, tid, sizeof set, &set), ESRCH);
    CHECK_FAILS(syscall(SYS_getpriority, PRIO_PROCESS, tid), ESRCH);
    say("when it has ended: ESRCH");
}

static long used_us(int who)
{
    struct rusage usage;
    CHECK_IS(getrusage(who, &usage), 0);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000L + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

enum { MUCH_US = 60000 };

static void *computes(void *unused)
{
    for (long begin = used_us(RUSAGE_THREAD); used_us(RUSAGE_THREAD) < begin + MUCH_US;)
        ;
    return unused;
}

static void usage(void)
{
    long own = used_us(RUSAGE_THREAD), all = used_us(RUSAGE_SELF);
    join(spawn(computes, NULL));
    CHECK(used_us(RUSAGE_THREAD) < own + MUCH_US / 2);
    CHECK(used_us(RUSAGE_SELF) > all + MUCH_US / 2);
    CHECK_FAILS(getrusage(RUSAGE_THREAD, (void *)8), EFAULT);
    CHECK_FAILS(getrusage(77, NULL), EINVAL);
    say("who computes uses the processor, who waits for him does not");
}

static void all(void)
{
    int before = nice_value(0);
    pthread_t thread = spawn(lives, &before);
    sem_wait(&told);
    by_function(before);
    by_system_call(before);
    CHECK_IS(nice_value(0), before);
    sem_post(&go);
    join(thread);
    nap(10); /* natively the kernel takes a moment to forget it */
    nobody();
    usage();
}

int main(void)
{
    sem_init(&told, 0, 0);
    sem_init(&go, 0, 0);
    in_thread(all);
    return 0;
}
