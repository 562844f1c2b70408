/* syscall(SYS_futex): WAIT and WAKE, their bitset forms, timeouts relative and absolute, and values that have changed already.
 * covers: syscall
 * proof: green_threads>=21 parks>=4 hooks.syscall>=30
 */
#include "deadlines.h"
#include "futex.h"

static uint32_t word;
static atomic_int woken;

static void *waits(void *argument)
{
    CHECK_IS(futex_wait(&word, 0), 0);
    woken++;
    return argument;
}

static void *waits_for_bits(void *bits)
{
    CHECK_IS(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, (uintptr_t)bits), 0);
    woken++;
    return bits;
}

static void wake_counts(void)
{
    pthread_t threads[10];
    CHECK_IS(futex_wake(&word, 1), 0);
    for (int i = 0; i < 10; i++)
        threads[i] = spawn(waits, NULL);
    for (int i = 0; i < 4; i++)
        UNTIL_TOTAL(futex_wake(&word, 1), 1);
    UNTIL_TOTAL(futex_wake(&word, INT_MAX), 6);
    for (int i = 0; i < 10; i++)
        join(threads[i]);
    CHECK_IS(woken, 10);
    CHECK_IS(futex_wake(&word, INT_MAX), 0);
    say("10 waiters: four woken one by one, the rest at once, then nobody");
}

static void bitsets(void)
{
    pthread_t odd[5], even[5];
    woken = 0;
    for (int i = 0; i < 5; i++) {
        odd[i] = spawn(waits_for_bits, (void *)1);
        even[i] = spawn(waits_for_bits, (void *)2);
    }
    UNTIL_TOTAL(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, 2), 5);
    for (int i = 0; i < 5; i++)
        join(even[i]);
    CHECK_IS(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, 4), 0);
    UNTIL_TOTAL(futex_wake(&word, INT_MAX), 5); /* a plain wake matches every bit */
    for (int i = 0; i < 5; i++)
        join(odd[i]);
    CHECK_IS(woken, 10);
    say("bitsets: only those with a common bit");
}

static void timeouts(void)
{
    CHECK_FAILS(futex_wait(&word, 1), EAGAIN);
    struct timespec relative = {0, 3000000}, deadline = in_ms(CLOCK_MONOTONIC, 3);
    CHECK_FAILS(futex(&word, FUTEX_WAIT_PRIVATE, 0, &relative, NULL, 0), ETIMEDOUT);
    CHECK(reached(CLOCK_MONOTONIC, deadline));
    deadline = in_ms(CLOCK_MONOTONIC, 3);
    CHECK_FAILS(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, &deadline, NULL, ~0u), ETIMEDOUT);
    CHECK(reached(CLOCK_MONOTONIC, deadline));
    deadline = in_ms(CLOCK_REALTIME, 3);
    CHECK_FAILS(futex(&word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &deadline, NULL, ~0u), ETIMEDOUT);
    CHECK(reached(CLOCK_REALTIME, deadline));
    CHECK_FAILS(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, &(struct timespec){1, 0}, NULL, ~0u), ETIMEDOUT);
    CHECK_FAILS(futex(&word, FUTEX_WAIT_PRIVATE, 0, &(struct timespec){0, 0}, NULL, 0), ETIMEDOUT);
    say("another value: EAGAIN; relative and absolute timeouts: ETIMEDOUT");
}

int main(void)
{
    wake_counts();
    bitsets();
    in_thread(timeouts);
    return 0;
}
