/* A thread's processors are its own: set and read by pthread_ and sched_ calls, kept over waits, inherited by the threads it makes.
 * covers: pthread_setaffinity_np pthread_getaffinity_np sched_setaffinity sched_getaffinity gettid
 * proof: green_threads>=3 parks>=1
 */
#include "ctest.h"
#include <sched.h>
#include <semaphore.h>

static cpu_set_t all, last;
static sem_t ready, go;
static pid_t tid;

static void check_own(const cpu_set_t *expected)
{
    cpu_set_t set;
    CHECK_IS(pthread_getaffinity_np(pthread_self(), sizeof set, &set), 0);
    CHECK(CPU_EQUAL(&set, expected));
    CPU_ZERO(&set);
    CHECK_IS(sched_getaffinity(0, sizeof set, &set), 0);
    CHECK(CPU_EQUAL(&set, expected));
}

static void *inherits(void *expected)
{
    check_own(expected);
    return NULL;
}

static void *restricted(void *argument)
{
    check_own(&all);
    CHECK_IS(sched_setaffinity(0, sizeof last, &last), 0);
    check_own(&last);
    nap(1);
    check_own(&last);
    CHECK(CPU_ISSET(sched_getcpu(), &last));
    join(spawn(inherits, &last));
    tid = gettid();
    sem_post(&ready);
    sem_wait(&go);
    check_own(&all);
    return argument;
}

int main(void)
{
    cpu_set_t set;
    CHECK_IS(sem_init(&ready, 0, 0), 0);
    CHECK_IS(sem_init(&go, 0, 0), 0);
    CHECK_IS(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&last);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all)) {
            CPU_ZERO(&last);
            CPU_SET(cpu, &last);
        }

    pthread_t thread = spawn(restricted, NULL);
    sem_wait(&ready);
    check_own(&all);
    say("a thread restricts itself: itself and its child only, not main");
    CHECK_IS(pthread_getaffinity_np(thread, sizeof set, &set), 0);
    CHECK(CPU_EQUAL(&set, &last));
    CPU_ZERO(&set);
    CHECK_IS(sched_getaffinity(tid, sizeof set, &set), 0);
    CHECK(CPU_EQUAL(&set, &last));
    say("asked from outside, by pthread_t and by tid");
    CHECK_IS(pthread_setaffinity_np(thread, sizeof all, &all), 0);
    sem_post(&go);
    join(thread);
    say("set from outside");
    join(spawn(inherits, &all));
    return 0;
}
