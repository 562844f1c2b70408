/* C11 threads: create, join, detach, exit, equality, thread-specific storage, yield and sleep.
 * covers: thrd_create thrd_join thrd_detach thrd_exit thrd_yield thrd_sleep
 * proof: green_threads>=13 parks>=1 hooks.thrd_create>=13 hooks.thrd_join>=12
 */
#include "ctest.h"
#include <threads.h>

static tss_t storage;
static atomic_int destructor_runs, detached_ran;
static thread_local int number = 42;

static void destructor(void *value)
{
    CHECK(value == &storage);
    destructor_runs++;
}

static int returns(void *argument)
{
    CHECK_IS(number, 42);
    number = 1;
    CHECK_IS(tss_set(storage, &storage), thrd_success);
    CHECK(tss_get(storage) == &storage);
    thrd_yield();
    return *(int *)argument + 1;
}

static int exits(void *argument)
{
    thrd_exit(*(int *)argument + 2);
}

static int detached(void *argument)
{
    (void)argument;
    detached_ran = 1;
    return 0;
}

static int sleeps(void *argument)
{
    long long start = now_ms();
    CHECK_IS(thrd_sleep(&(struct timespec){0, 3000000}, NULL), 0);
    CHECK(now_ms() >= start + 2);
    CHECK(thrd_sleep(&(struct timespec){0, -1}, NULL) < 0);
    return *(int *)argument + thrd_equal(thrd_current(), thrd_current());
}

int main(void)
{
    thrd_t threads[10];
    int numbers[10], result;
    CHECK_IS(tss_create(&storage, destructor), thrd_success);
    for (int i = 0; i < 10; i++) {
        numbers[i] = i * i;
        CHECK_IS(thrd_create(&threads[i], returns, &numbers[i]), thrd_success);
    }
    for (int i = 0; i < 10; i++) {
        CHECK_IS(thrd_join(threads[i], &result), thrd_success);
        CHECK_IS(result, i * i + 1);
        CHECK(!thrd_equal(threads[i], thrd_current()));
    }
    CHECK_IS(destructor_runs, 10);
    say("10 threads: their results, their destructors");

    CHECK_IS(thrd_create(&threads[0], exits, &numbers[3]), thrd_success);
    CHECK_IS(thrd_join(threads[0], &result), thrd_success);
    say("thrd_exit: %d", result);

    CHECK_IS(thrd_create(&threads[0], sleeps, &numbers[3]), thrd_success);
    CHECK_IS(thrd_join(threads[0], &result), thrd_success);
    say("thrd_sleep: %d", result);

    CHECK_IS(thrd_create(&threads[0], detached, NULL), thrd_success);
    CHECK_IS(thrd_detach(threads[0]), thrd_success);
    while (!detached_ran)
        thrd_yield();
    say("detached: ran");
    return 0;
}
