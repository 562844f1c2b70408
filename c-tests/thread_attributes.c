/* Attributes of creation: detached from the start, scheduling inherited or given, the process's defaults changed.
 * covers: pthread_create pthread_getattr_np pthread_getaffinity_np pthread_setattr_default_np
 * proof: green_threads>=4
 * no_park: only main waits, for threads that may have ended before it asks
 */
#include "ctest.h"
#include <sched.h>
#include <semaphore.h>

static sem_t done;

static int detach_state_of_self(void)
{
    pthread_attr_t attributes;
    int state;
    CHECK_IS(pthread_getattr_np(pthread_self(), &attributes), 0);
    CHECK_IS(pthread_attr_getdetachstate(&attributes, &state), 0);
    CHECK_IS(pthread_attr_destroy(&attributes), 0);
    return state;
}

static void *tells_its_mask(void *argument)
{
    sigset_t mask;
    CHECK_IS(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    CHECK(sigismember(&mask, SIGUSR1) && !sigismember(&mask, SIGUSR2));
    sem_post(&done);
    return argument;
}

static void *tells_its_state(void *argument)
{
    CHECK_IS(detach_state_of_self(), (intptr_t)argument);
    sem_post(&done);
    return NULL;
}

static void *tells_its_stack(void *argument)
{
    pthread_attr_t attributes;
    size_t bytes;
    CHECK_IS(pthread_getattr_np(pthread_self(), &attributes), 0);
    CHECK_IS(pthread_attr_getstacksize(&attributes, &bytes), 0);
    CHECK_IS(pthread_attr_destroy(&attributes), 0);
    CHECK(bytes > 900 << 10 && bytes <= 1088 << 10);
    return argument;
}

static void *tells_its_processors(void *argument)
{
    cpu_set_t set;
    CHECK_IS(pthread_getaffinity_np(pthread_self(), sizeof set, &set), 0);
    CHECK(CPU_EQUAL(&set, (cpu_set_t *)argument));
    return NULL;
}

int main(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    int state;
    sem_init(&done, 0, 0);
    CHECK_IS(pthread_attr_init(&attributes), 0);
    CHECK_IS(pthread_attr_getdetachstate(&attributes, &state), 0);
    CHECK_IS(state, PTHREAD_CREATE_JOINABLE);
    CHECK_IS(pthread_create(&thread, &attributes, tells_its_state, (void *)PTHREAD_CREATE_JOINABLE), 0);
    join(thread);
    CHECK_IS(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED), 0);
    CHECK_IS(pthread_create(&thread, &attributes, tells_its_state, (void *)PTHREAD_CREATE_DETACHED), 0);
    sem_wait(&done);
    sem_wait(&done);
    say("joinable and detached from the start");
    CHECK_IS(pthread_attr_destroy(&attributes), 0);

    struct sched_param parameter = {0};
    CHECK_IS(pthread_attr_init(&attributes), 0);
    CHECK_IS(pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED), 0);
    CHECK_IS(pthread_attr_setschedpolicy(&attributes, SCHED_OTHER), 0);
    CHECK_IS(pthread_attr_setschedparam(&attributes, &parameter), 0);
    CHECK_IS(pthread_attr_setscope(&attributes, PTHREAD_SCOPE_SYSTEM), 0);
    CHECK_IS(pthread_attr_setscope(&attributes, PTHREAD_SCOPE_PROCESS), ENOTSUP);
    CHECK_IS(pthread_create(&thread, &attributes, tells_its_state, (void *)PTHREAD_CREATE_JOINABLE), 0);
    join(thread);
    say("explicit scheduling: SCHED_OTHER");

    cpu_set_t all, one;
    CHECK_IS(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &one);
    CHECK_IS(pthread_attr_setaffinity_np(&attributes, sizeof one, &one), 0);
    CHECK_IS(pthread_create(&thread, &attributes, tells_its_processors, &one), 0);
    join(thread);
    join(spawn(tells_its_processors, &all));
    say("processors given by attribute; the next thread has its creator's");
    CHECK_IS(pthread_attr_destroy(&attributes), 0);

    CHECK_IS(pthread_getattr_default_np(&attributes), 0);
    CHECK_IS(pthread_attr_setstacksize(&attributes, 1 << 20), 0);
    CHECK_IS(pthread_setattr_default_np(&attributes), 0);
    CHECK_IS(pthread_attr_destroy(&attributes), 0);
    join(spawn(tells_its_stack, NULL));
    say("the default stack size changed for all later threads");

    sigset_t usr1;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    CHECK_IS(pthread_getattr_default_np(&attributes), 0);
    CHECK_IS(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED), 0);
    CHECK_IS(pthread_attr_setsigmask_np(&attributes, &usr1), 0);
    CHECK_IS(pthread_setattr_default_np(&attributes), 0);
    CHECK_IS(pthread_attr_destroy(&attributes), 0);
    CHECK_IS(pthread_create(&thread, NULL, tells_its_mask, NULL), 0);
    CHECK_IS(sem_wait(&done), 0);
    CHECK_IS(pthread_create(&thread, NULL, tells_its_state, (void *)(intptr_t)PTHREAD_CREATE_DETACHED), 0);
    CHECK_IS(sem_wait(&done), 0);
    say("by default detached, with a mask");
    return 0;
}
