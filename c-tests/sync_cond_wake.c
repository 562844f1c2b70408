/* A broadcast wakes all of a hundred waiters, a signal at least one, and neither is kept for who comes later.
 * covers: pthread_cond_wait pthread_cond_signal pthread_cond_broadcast pthread_cond_destroy pthread_cond_timedwait
 * proof: green_threads>=200 parks>=150
 */
#include "deadlines.h"

enum { WAITERS = 100 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER, arrived = PTHREAD_COND_INITIALIZER;
static int waiting, generation, tokens;

static void arrive(void)
{
    waiting++;
    CHECK_IS(pthread_cond_signal(&arrived), 0);
}

/* With the mutex held, and all waiters in their waits when it is back. */
static void all_arrived(void)
{
    while (waiting < WAITERS)
        CHECK_IS(pthread_cond_wait(&arrived, &mutex), 0);
    waiting = 0;
}

static void *waits_for_generation(void *argument)
{
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    for (int next = 1; next <= 3; next++) {
        arrive();
        while (generation < next)
            CHECK_IS(pthread_cond_wait(&condition, &mutex), 0);
    }
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    return argument;
}

static void *takes_a_token(void *argument)
{
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    arrive();
    while (tokens == 0)
        CHECK_IS(pthread_cond_wait(&condition, &mutex), 0);
    tokens--;
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    return argument;
}

static void with_waiters(void *(*function)(void *), void (*wake)(void))
{
    pthread_t threads[WAITERS];
    waiting = 0;
    for (int i = 0; i < WAITERS; i++)
        threads[i] = spawn(function, NULL);
    wake();
    for (int i = 0; i < WAITERS; i++)
        join(threads[i]);
}

static void broadcast_three_times(void)
{
    for (int i = 1; i <= 3; i++) {
        CHECK_IS(pthread_mutex_lock(&mutex), 0);
        all_arrived();
        generation = i;
        if (i == 2) /* with the mutex held, and without */
            CHECK_IS(pthread_cond_broadcast(&condition), 0);
        CHECK_IS(pthread_mutex_unlock(&mutex), 0);
        if (i != 2)
            CHECK_IS(pthread_cond_broadcast(&condition), 0);
    }
}

static void signal_each(void)
{
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    all_arrived();
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    for (int i = 0; i < WAITERS; i++) {
        CHECK_IS(pthread_mutex_lock(&mutex), 0);
        tokens++;
        CHECK_IS(pthread_mutex_unlock(&mutex), 0);
        CHECK_IS(pthread_cond_signal(&condition), 0);
    }
}

int main(void)
{
    with_waiters(waits_for_generation, broadcast_three_times);
    say("three broadcasts woke %d waiters each", WAITERS);
    with_waiters(takes_a_token, signal_each);
    CHECK_IS(tokens, 0);
    say("%d signals woke %d waiters", WAITERS, WAITERS);

    CHECK_IS(pthread_cond_signal(&condition), 0);
    CHECK_IS(pthread_cond_broadcast(&condition), 0);
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    struct timespec deadline = in_ms(CLOCK_REALTIME, 2);
    int error;
    while ((error = pthread_cond_timedwait(&condition, &mutex, &deadline)) == 0)
        ;
    CHECK_IS(error, ETIMEDOUT);
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    CHECK_IS(pthread_cond_destroy(&condition), 0);
    say("signals without waiters are not kept");
    return 0;
}
