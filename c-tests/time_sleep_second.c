/* A thousand threads sleep a second side by side, which takes about a second, and gives back that nothing was left.
 * covers: sleep
 * proof: green_threads>=1000 green_threads_peak>=900 parks>=1000
 * stress: no
 */
#include "ctest.h"

enum { THREADS = 1000 };

static void *sleeps(void *argument)
{
    CHECK_IS(sleep(1), 0);
    return argument;
}

int main(void)
{
    pthread_t threads[THREADS];
    pthread_attr_t attributes;
    CHECK_IS(pthread_attr_init(&attributes), 0);
    CHECK_IS(pthread_attr_setstacksize(&attributes, 64 << 10), 0);
    long long start = now_ms();
    for (int i = 0; i < THREADS; i++)
        CHECK_IS(pthread_create(&threads[i], &attributes, sleeps, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    CHECK(now_ms() >= start + 1000);
    CHECK(now_ms() < start + 10000);
    say("%d threads slept a second at once", THREADS);
    return 0;
}
