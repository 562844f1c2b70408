/* Mutexes with a priority protocol: inheriting ones work as others do, protecting ones refuse who has no real-time priority.
 * covers: pthread_mutex_lock pthread_mutex_trylock pthread_mutex_timedlock pthread_mutex_clocklock pthread_mutex_unlock
 * proof: green_threads>=11 parks>=1
 */
#include "deadlines.h"

static pthread_mutex_t mutex;
static long counter;

static void *increments(void *argument)
{
    for (int i = 0; i < 50; i++) {
        CHECK_IS(pthread_mutex_lock(&mutex), 0);
        long value = counter;
        if (i == 25)
            nap(1);
        counter = value + 1;
        CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    }
    return argument;
}

static void *finds_it_held(void *argument)
{
    struct timespec deadline = in_ms(CLOCK_REALTIME, 2);
    CHECK_IS(pthread_mutex_trylock(&mutex), EBUSY);
    CHECK_IS(pthread_mutex_timedlock(&mutex, &deadline), ETIMEDOUT);
    deadline = in_ms(CLOCK_MONOTONIC, 2);
    int error = pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &deadline);
    CHECK(error == ETIMEDOUT || error == EINVAL); /* on the monotonic clock only where the kernel has FUTEX_LOCK_PI2 */
    CHECK_IS(pthread_mutex_unlock(&mutex), EPERM);
    return argument;
}

static void make(int protocol)
{
    pthread_mutexattr_t attributes;
    CHECK_IS(pthread_mutexattr_init(&attributes), 0);
    CHECK_IS(pthread_mutexattr_setprotocol(&attributes, protocol), 0);
    CHECK_IS(pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK), 0);
    CHECK_IS(pthread_mutex_init(&mutex, &attributes), 0);
}

static void *lock_is_refused(void *argument)
{
    CHECK_IS(pthread_mutex_lock(&mutex), EINVAL);
    return argument;
}

static void *trylock_is_refused(void *argument)
{
    CHECK_IS(pthread_mutex_trylock(&mutex), EINVAL);
    return argument;
}

int main(void)
{
    pthread_t threads[8];
    make(PTHREAD_PRIO_INHERIT);
    for (int i = 0; i < 8; i++)
        threads[i] = spawn(increments, NULL);
    for (int i = 0; i < 8; i++)
        join(threads[i]);
    CHECK_IS(counter, 8 * 50);
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    CHECK_IS(pthread_mutex_lock(&mutex), EDEADLK);
    join(spawn(finds_it_held, NULL));
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    CHECK_IS(pthread_mutex_destroy(&mutex), 0);
    say("inheriting: exclusion, EBUSY, ETIMEDOUT, EDEADLK, EPERM");

    int old;
    make(PTHREAD_PRIO_PROTECT);
    CHECK_IS(pthread_mutex_getprioceiling(&mutex, &old), 0);
    CHECK(old > 0);
    /* glibc tries to raise the thread's priority, which SCHED_OTHER does not know, and notes that it did: so a new thread for each. */
    join(spawn(lock_is_refused, NULL));
    join(spawn(trylock_is_refused, NULL));
    say("protecting: EINVAL for an ordinary thread");
    return 0;
}
