/* Scheduling of threads as an ordinary user finds it: policy and parameters by pthread_t and by tid; a thread's nice value is its own.
 * covers: pthread_getschedparam pthread_setschedparam pthread_setschedprio sched_getscheduler sched_setscheduler
 * covers: sched_getparam sched_setparam getpriority setpriority nice gettid
 * proof: green_threads>=1 parks>=1 hooks.pthread_getschedparam>=2
 */
#include "ctest.h"
#include <sched.h>
#include <semaphore.h>
#include <sys/resource.h>

static sem_t ready, go;
static pid_t tid;

static int nice_value(pid_t of)
{
    errno = 0;
    int value = getpriority(PRIO_PROCESS, of);
    CHECK(errno == 0);
    return value;
}

static void check_ordinary(pthread_t thread, pid_t id, int policy)
{
    int told;
    struct sched_param parameter = {99};
    CHECK_IS(pthread_getschedparam(thread, &told, &parameter), 0);
    CHECK_IS(told, policy);
    CHECK_IS(parameter.sched_priority, 0);
    CHECK_IS(sched_getscheduler(id), policy);
    parameter.sched_priority = 99;
    CHECK_IS(sched_getparam(id, &parameter), 0);
    CHECK_IS(parameter.sched_priority, 0);
}

static void *thread(void *argument)
{
    struct sched_param parameter = {0};
    int before = nice_value(0);
    tid = gettid();
    check_ordinary(pthread_self(), 0, SCHED_OTHER);
    CHECK_IS(setpriority(PRIO_PROCESS, 0, before + 1), 0);
    CHECK_IS(nice(1), before + 2);
    nap(1);
    CHECK_IS(nice_value(0), before + 2);
    CHECK_IS(nice_value(tid), before + 2);
    CHECK_IS(sched_setscheduler(0, SCHED_BATCH, &parameter), 0);
    CHECK_IS(sched_setparam(0, &parameter), 0);
    CHECK_IS(pthread_setschedparam(pthread_self(), SCHED_BATCH, &parameter), 0); /* glibc remembers what it was told last */
    CHECK_IS(pthread_setschedprio(pthread_self(), 0), 0);
    nap(1);
    check_ordinary(pthread_self(), tid, SCHED_BATCH);
    sem_post(&ready);
    sem_wait(&go);
    check_ordinary(pthread_self(), 0, SCHED_OTHER);
    return argument;
}

int main(void)
{
    struct sched_param parameter = {0};
    sem_init(&ready, 0, 0);
    sem_init(&go, 0, 0);
    int before = nice_value(0);
    pthread_t batch = spawn(thread, NULL);
    sem_wait(&ready);
    check_ordinary(pthread_self(), 0, SCHED_OTHER);
    CHECK_IS(nice_value(0), before);
    say("a thread changes its policy and its nice value: main keeps its own");
    CHECK_IS(nice_value(tid), before + 2);
    check_ordinary(batch, tid, SCHED_BATCH);
    say("asked from outside");
    CHECK_IS(pthread_setschedparam(batch, SCHED_OTHER, &parameter), 0);
    sem_post(&go);
    join(batch);
    say("set from outside");
    return 0;
}
