/* Each round of a barrier lets all through when all have come, and gives PTHREAD_BARRIER_SERIAL_THREAD to exactly one.
 * covers: pthread_barrier_init pthread_barrier_wait pthread_barrier_destroy
 * proof: green_threads>=10 parks>=50
 */
#include "ctest.h"

enum { THREADS = 10, ROUNDS = 50 };

static pthread_barrier_t barrier;
static atomic_int arrived[ROUNDS], serial[ROUNDS];

static void *thread(void *argument)
{
    for (int round = 0; round < ROUNDS; round++) {
        arrived[round]++;
        int result = pthread_barrier_wait(&barrier);
        CHECK_IS(arrived[round], THREADS);
        CHECK(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
        serial[round] += result == PTHREAD_BARRIER_SERIAL_THREAD;
    }
    return argument;
}

static void alone(void)
{
    /* Destroyed and its memory wiped as soon as the wait is over, as the standard allows. */
    for (int i = 0; i < 10; i++) {
        CHECK_IS(pthread_barrier_init(&barrier, NULL, 1), 0);
        CHECK_IS(pthread_barrier_wait(&barrier), PTHREAD_BARRIER_SERIAL_THREAD);
        CHECK_IS(pthread_barrier_destroy(&barrier), 0);
        memset(&barrier, 0xff, sizeof barrier);
    }
    CHECK_IS(pthread_barrier_init(&barrier, NULL, 0), EINVAL);
}

int main(void)
{
    pthread_t threads[THREADS];
    CHECK_IS(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++)
        threads[i] = spawn(thread, NULL);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    for (int round = 0; round < ROUNDS; round++)
        CHECK_IS(serial[round], 1);
    CHECK_IS(pthread_barrier_destroy(&barrier), 0);
    say("%d threads, %d rounds, one serial thread in each", THREADS, ROUNDS);
    in_thread(alone);
    say("a barrier for one lets it through; one for none: EINVAL");
    return 0;
}
