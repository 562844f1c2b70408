/* Cancellation races with the wake-up and with the end of what it cancels: either outcome, but whole: no lock held, no token lost.
 * covers: pthread_cancel pthread_join pthread_cond_wait pthread_cond_signal pthread_mutex_lock sem_wait sem_post
 * proof: green_threads>=200 parks>=200 hooks.pthread_cancel>=200
 */
#include "ctest.h"
#include <semaphore.h>

enum { ROUNDS = 100 };

static pthread_mutex_t mutex = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;
static bool ready;
static atomic_bool entered;

static void unlock(void *argument)
{
    (void)argument;
    CHECK_IS(pthread_mutex_unlock(&mutex), 0); /* the error-checking mutex says whether it was held */
}

static void *on_condition(void *argument)
{
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    pthread_cleanup_push(unlock, NULL);
    entered = true;
    while (!ready)
        pthread_cond_wait(&condition, &mutex);
    pthread_cleanup_pop(1);
    return argument;
}

static void *on_semaphore(void *argument)
{
    entered = true;
    CHECK_IS(sem_wait(&semaphore), 0);
    return argument;
}

static void wake_condition(void)
{
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    ready = true;
    CHECK_IS(pthread_cond_signal(&condition), 0);
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
}

int main(void)
{
    static int whole;
    sem_init(&semaphore, 0, 0);
    for (int round = 0; round < ROUNDS; round++) {
        ready = entered = false;
        pthread_t thread = spawn(on_condition, &whole);
        while (!entered)
            sched_yield();
        if (round % 2)
            wake_condition();
        CHECK_IS(pthread_cancel(thread), 0);
        if (round % 2 == 0)
            wake_condition();
        void *result = join(thread);
        CHECK(result == PTHREAD_CANCELED || result == &whole);
        CHECK_IS(pthread_mutex_trylock(&mutex), 0);
        CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    }
    say("condition variable: the mutex was free each time");

    for (int round = 0; round < ROUNDS; round++) {
        int value;
        entered = false;
        pthread_t thread = spawn(on_semaphore, &whole);
        while (!entered)
            sched_yield();
        if (round % 2)
            CHECK_IS(sem_post(&semaphore), 0);
        CHECK_IS(pthread_cancel(thread), 0);
        if (round % 2 == 0)
            CHECK_IS(sem_post(&semaphore), 0);
        bool took = join(thread) == &whole;
        CHECK_IS(sem_getvalue(&semaphore, &value), 0);
        CHECK_IS(value, !took);
        while (sem_trywait(&semaphore) == 0)
            ;
    }
    say("semaphore: a token taken or left");
    return 0;
}
