/* A thread that computes for 50 ms and more leaves room for a ticker: it computes until the ticker has ticked ten times.
 * covers: nanosleep
 * proof: green_threads>=2 parks>=10
 */
#include "ctest.h"

enum { TICKS = 10, MILLISECONDS = 50 };

static atomic_int ticks;
static atomic_bool computed;

static void *computes(void *argument)
{
    volatile double sum = 0;
    long long end = now_ms() + MILLISECONDS;
    for (long i = 1; ticks < TICKS || now_ms() < end; i++)
        for (int k = 1; k < 1000; k++)
            sum += 1.0 / ((double)i * k);
    computed = sum > 0;
    return argument;
}

static void *ticks_on(void *argument)
{
    while (ticks < TICKS || !computed) {
        nap(1);
        ticks++;
    }
    return argument;
}

int main(void)
{
    pthread_t hog = spawn(computes, NULL), ticker = spawn(ticks_on, NULL);
    join(hog);
    join(ticker);
    say("the ticker ticked while the hog computed");
    return 0;
}
