/* Two hundred threads are created and joined, in another order than they were made; each hands its own value back.
 * covers: pthread_create pthread_join
 * proof: green_threads>=200 hooks.pthread_create>=200 hooks.pthread_join>=200
 * no_park: only main waits, for threads that may have ended before it asks
 */
#include "ctest.h"

enum { THREADS = 200 };

static void *square(void *number)
{
    return (void *)((intptr_t)number * (intptr_t)number);
}

int main(void)
{
    pthread_t threads[THREADS];
    for (intptr_t i = 0; i < THREADS; i++)
        threads[i] = spawn(square, (void *)i);

    for (intptr_t i = 0; i < THREADS; i++) {
        intptr_t which = i * 77 % THREADS; /* 77 and 200 have no common factor: every thread once */
        CHECK_IS(join(threads[which]), which * which);
    }
    say("%d threads joined, each with its own value", THREADS);

    CHECK_IS(pthread_join(spawn(square, (void *)3), NULL), 0);
    say("joined without asking for the value");
    return 0;
}
