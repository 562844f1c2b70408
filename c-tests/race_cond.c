/* Timed waits on one condition variable race with signals and broadcasts: no token is lost, no waiter sleeps on while there is one.
 * covers: pthread_cond_timedwait pthread_cond_wait pthread_cond_signal pthread_cond_broadcast pthread_mutex_lock
 * proof: green_threads>=12 parks>=10
 */
#include "deadlines.h"

enum { TAKERS = 8, GIVERS = 4, EACH = 200 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int tokens, taken;
static bool no_more;

static void *taker(void *number)
{
    unsigned seed = (uintptr_t)number + 1;
    bool timed = (intptr_t)number % 4 != 0; /* a few wait without a deadline: a lost wake-up would stop them */
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    while (!no_more || tokens > 0) {
        if (tokens > 0) {
            tokens--;
            taken++;
        } else if (timed) {
            struct timespec deadline = in_us(CLOCK_REALTIME, random_below(200, &seed));
            int error = pthread_cond_timedwait(&condition, &mutex, &deadline);
            CHECK(error == 0 || error == ETIMEDOUT);
        } else {
            CHECK_IS(pthread_cond_wait(&condition, &mutex), 0);
        }
    }
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    return NULL;
}

static void *giver(void *number)
{
    for (int i = 0; i < EACH; i++) {
        CHECK_IS(pthread_mutex_lock(&mutex), 0);
        tokens++;
        CHECK_IS(i % 5 == 0 ? pthread_cond_broadcast(&condition) : pthread_cond_signal(&condition), 0);
        CHECK_IS(pthread_mutex_unlock(&mutex), 0);
        if (i % 8 == 0)
            sched_yield();
    }
    return number;
}

int main(void)
{
    pthread_t threads[TAKERS + GIVERS];
    for (intptr_t i = 0; i < TAKERS + GIVERS; i++)
        threads[i] = i < TAKERS ? spawn(taker, (void *)i) : spawn(giver, NULL);
    for (int i = TAKERS; i < TAKERS + GIVERS; i++)
        join(threads[i]);
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    no_more = true;
    CHECK_IS(pthread_cond_broadcast(&condition), 0);
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    for (int i = 0; i < TAKERS; i++)
        join(threads[i]);
    CHECK_IS(taken, GIVERS * EACH);
    say("%d tokens given, %d taken", GIVERS * EACH, taken);
    return 0;
}
