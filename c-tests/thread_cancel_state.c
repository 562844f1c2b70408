/* A cancel request waits while cancellation is disabled, through calls that block, and strikes at the next point after it is enabled.
 * covers: pthread_setcancelstate pthread_setcanceltype pthread_testcancel pthread_cancel
 * proof: green_threads>=25 parks>=1 hooks.pthread_setcancelstate>=2
 */
#include "ctest.h"
#include <semaphore.h>

static sem_t ready, requested;
static bool ran_on; /* up to the next cancellation point */

static void *disabled(void *argument)
{
    int old;
    CHECK_IS(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old), 0);
    CHECK_IS(old, PTHREAD_CANCEL_ENABLE);
    sem_post(&ready);
    sem_wait(&requested);
    nap(1);
    pthread_testcancel();
    say("still running: cancellation is disabled");

    CHECK_IS(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old), 0);
    CHECK_IS(old, PTHREAD_CANCEL_DISABLE);
    ran_on = true; /* say would be a cancellation point */
    pthread_testcancel();
    return argument;
}

static void *never_enabled(void *argument)
{
    CHECK_IS(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), 0);
    sem_post(&ready);
    sem_wait(&requested);
    nap(1);
    return argument;
}

static void *pending_before_the_wait(void *argument)
{
    sem_post(&ready);
    while (sem_trywait(&requested) != 0) /* not a cancellation point */
        ;
    ran_on = true;
    sleep(60); /* must not even begin */
    return argument;
}

static void *types(void *argument)
{
    int old;
    CHECK_IS(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old), 0);
    CHECK_IS(old, PTHREAD_CANCEL_DEFERRED);
    CHECK_IS(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &old), 0);
    CHECK_IS(old, PTHREAD_CANCEL_ASYNCHRONOUS);
    return argument;
}

static void *cancel_oneself(void *argument)
{
    CHECK_IS(pthread_cancel(pthread_self()), 0);
    ran_on = true;
    pthread_testcancel();
    return argument;
}

static void *cancelled_while(void *(*function)(void *))
{
    ran_on = false;
    pthread_t thread = spawn(function, "its own value");
    sem_wait(&ready);
    CHECK_IS(pthread_cancel(thread), 0);
    sem_post(&requested);
    return join(thread);
}

int main(void)
{
    sem_init(&ready, 0, 0);
    sem_init(&requested, 0, 0);
    CHECK(cancelled_while(disabled) == PTHREAD_CANCELED && ran_on);
    say("disabled, then enabled: PTHREAD_CANCELED");
    say("never enabled: %s", (char *)cancelled_while(never_enabled));
    CHECK(cancelled_while(pending_before_the_wait) == PTHREAD_CANCELED && ran_on);
    say("pending before the wait: PTHREAD_CANCELED");
    say("types change and are told: %s", (char *)join(spawn(types, "yes")));
    ran_on = false;
    CHECK(join(spawn(cancel_oneself, NULL)) == PTHREAD_CANCELED && ran_on);
    say("itself: PTHREAD_CANCELED");
    /* A vessel that is used again after a cancelled thread must not be cancelled too. */
    for (int i = 0; i < 20; i++)
        CHECK(join(spawn(types, &ready)) == &ready);
    say("later threads are not cancelled");
    return 0;
}
