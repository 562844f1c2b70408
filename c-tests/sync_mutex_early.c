/* A priority-inheriting mutex that main holds since before there was a second thread is main's: nobody else unlocks it or takes it.
 * covers: pthread_mutex_lock pthread_mutex_trylock pthread_mutex_unlock pthread_create
 * proof: green_threads>=4 parks>=1
 */
#include "ctest.h"

static pthread_mutex_t lock, other;

static void *tries(void *argument)
{
    CHECK_IS(pthread_mutex_unlock(&lock), EPERM);
    CHECK_IS(pthread_mutex_trylock(&lock), EBUSY);
    CHECK_IS(pthread_mutex_lock(&other), 0);
    CHECK_IS(pthread_mutex_unlock(&other), 0);
    nap(1);
    CHECK_IS(pthread_mutex_unlock(&lock), EPERM);
    return argument;
}

static void *takes(void *argument)
{
    CHECK_IS(pthread_mutex_lock(&lock), 0);
    CHECK_IS(pthread_mutex_unlock(&lock), 0);
    return argument;
}

int main(void)
{
    pthread_mutexattr_t attributes;
    pthread_t threads[4];
    pthread_mutexattr_init(&attributes);
    CHECK_IS(pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK), 0);
    CHECK_IS(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT), 0);
    CHECK_IS(pthread_mutex_init(&lock, &attributes), 0);
    CHECK_IS(pthread_mutex_init(&other, &attributes), 0);
    CHECK_IS(pthread_mutex_lock(&other), 0);
    CHECK_IS(pthread_mutex_lock(&lock), 0);
    CHECK_IS(pthread_mutex_unlock(&other), 0);
    for (int i = 0; i < 3; i++)
        threads[i] = spawn(tries, NULL);
    for (int i = 0; i < 3; i++)
        join(threads[i]);
    CHECK_IS(pthread_mutex_lock(&lock), EDEADLK);
    say("held by main before and after");
    threads[3] = spawn(takes, NULL);
    CHECK_IS(pthread_mutex_unlock(&lock), 0);
    join(threads[3]);
    CHECK_IS(pthread_mutex_unlock(&lock), EPERM);
    say("unlocked by main, taken by another");
    return 0;
}
