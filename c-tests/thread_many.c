/* Five hundred threads alive at once, each parked somewhere else in its own recursion, are released together.
 * covers: pthread_create pthread_barrier_wait
 * proof: green_threads>=500 green_threads_peak>=500 parks>=499
 */
#include "ctest.h"

enum { THREADS = 500 };

static pthread_barrier_t all_here;
static atomic_int sum;

__attribute__((noinline)) static int dive(volatile int depth)
{
    volatile char frame[512];
    frame[0] = depth;
    if (depth == 0)
        pthread_barrier_wait(&all_here);
    return frame[0] + (depth > 0 ? dive(depth - 1) : 0);
}

static void *thread(void *argument)
{
    sum += dive((intptr_t)argument % 10);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    pthread_attr_t attributes;
    CHECK_IS(pthread_barrier_init(&all_here, NULL, THREADS + 1), 0);
    CHECK_IS(pthread_attr_init(&attributes), 0);
    CHECK_IS(pthread_attr_setstacksize(&attributes, 64 << 10), 0);
    for (intptr_t i = 0; i < THREADS; i++)
        CHECK_IS(pthread_create(&threads[i], &attributes, thread, (void *)i), 0);
    CHECK_IS(sum, 0);
    pthread_barrier_wait(&all_here);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    CHECK_IS(sum, THREADS / 10 * (0 + 1 + 3 + 6 + 10 + 15 + 21 + 28 + 36 + 45));
    say("%d threads at once, all released", THREADS);
    return 0;
}
