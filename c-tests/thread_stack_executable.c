/* A nested function whose address is taken puts instructions onto its thread's stack: they run there, on every thread.
 * covers: pthread_create pthread_join
 * proof: green_threads>=4
 * no_park: only main waits, for threads that may have ended before it asks
 * needs: nested
 */
#include "ctest.h"

enum { NUMBERS = 5 };

static int apply(int (*function)(int), int number)
{
    return function(number);
}

static void *nests(void *argument)
{
    int base = *(int *)argument;
    int add(int number)
    {
        return base + number;
    }
    int sum = 0;
    for (int i = 0; i < NUMBERS; i++) {
        sum += apply(add, i);
        sched_yield();
    }
    CHECK_IS(sum, NUMBERS * base + 10);
    return argument;
}

int main(void)
{
    int bases[4] = {1, 2, 3, 4};
    pthread_t threads[4];
    nests(bases);
    for (int i = 0; i < 4; i++)
        threads[i] = spawn(nests, &bases[i]);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    say("instructions on the stacks of five threads");
    return 0;
}
