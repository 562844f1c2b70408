/* syscall given bad futex words, operations, times and counts, and numbers that do not exist, answers as the kernel does.
 * covers: syscall
 * proof: green_threads>=1 parks>=2 hooks.syscall>=25
 * came: syscall>=30: the rest are numbers and operations that only the kernel knows
 */
#include "bad.h"
#include "futex.h"

static uint32_t words[2] = {5, 5};
static const struct timespec soon = {0, 1}, past = {1, 0}, negative = {-1, 0}, negative_ns = {0, -1}, too_many_ns = {0, 1000000000};

static void waits(void)
{
    uint32_t *nowhere = null, *odd = (void *)((char *)words + 1), *bad = (void *)unmapped();
    TRY(futex(words, FUTEX_WAIT_PRIVATE, 6, NULL, NULL, 0));
    TRY(futex(words, FUTEX_WAIT, 6, NULL, NULL, 0));
    TRY(futex(words, FUTEX_WAIT_PRIVATE, 5, &soon, NULL, 0));
    TRY(futex(words, FUTEX_WAIT, 5, &soon, NULL, 0));
    TRY(futex(words, FUTEX_WAIT_PRIVATE, 5, &negative, NULL, 0));
    TRY(futex(words, FUTEX_WAIT_PRIVATE, 5, &negative_ns, NULL, 0));
    TRY(futex(words, FUTEX_WAIT_PRIVATE, 5, &too_many_ns, NULL, 0));
    TRY(futex(words, FUTEX_WAIT_PRIVATE, 5, unmapped(), NULL, 0));
    TRY(futex(words, FUTEX_WAIT_PRIVATE, 6, unmapped(), NULL, 0));
    TRY(futex(words, FUTEX_WAIT_BITSET_PRIVATE, 5, &past, NULL, 0));
    TRY(futex(words, FUTEX_WAIT_BITSET_PRIVATE, 5, &past, NULL, 1));
    TRY(futex(words, FUTEX_WAIT_BITSET_PRIVATE, 6, &past, NULL, 1));
    TRY(futex(words, FUTEX_WAIT_BITSET_PRIVATE, 5, &too_many_ns, NULL, 1));
    TRY(futex(words, FUTEX_WAIT_PRIVATE | FUTEX_CLOCK_REALTIME, 6, NULL, NULL, 0));
    TRY(futex(nowhere, FUTEX_WAIT_PRIVATE, 5, &soon, NULL, 0));
    TRY(futex(nowhere, FUTEX_WAIT, 5, &soon, NULL, 0));
    TRY(futex(bad, FUTEX_WAIT_PRIVATE, 5, &soon, NULL, 0));
    TRY(futex(odd, FUTEX_WAIT_PRIVATE, 5, &soon, NULL, 0));
    TRY(futex(odd, FUTEX_WAIT, 5, &soon, NULL, 0));
}

static void wakes(void)
{
    uint32_t *nowhere = null, *odd = (void *)((char *)words + 1), *bad = (void *)unmapped();
    void *one = (void *)1, *minus_one = (void *)-1;
    TRY(futex(words, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    TRY(futex(words, FUTEX_WAKE_PRIVATE, -1, NULL, NULL, 0));
    TRY(futex(words, FUTEX_WAKE_PRIVATE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0));
    TRY(futex(odd, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    TRY(futex(nowhere, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    TRY(futex(nowhere, FUTEX_WAKE, 1, NULL, NULL, 0));
    TRY(futex(bad, FUTEX_WAKE, 1, NULL, NULL, 0));
    TRY(futex(words, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, NULL, 0));
    TRY(futex(words, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, NULL, 1));
    TRY(futex(words, FUTEX_REQUEUE_PRIVATE, 1, one, &words[1], 0));
    TRY(futex(words, FUTEX_REQUEUE_PRIVATE, -1, one, &words[1], 0));
    TRY(futex(words, FUTEX_REQUEUE_PRIVATE, 1, minus_one, &words[1], 0));
    TRY(futex(words, FUTEX_REQUEUE_PRIVATE, 1, one, odd, 0));
    TRY(futex(words, FUTEX_CMP_REQUEUE_PRIVATE, 1, one, &words[1], 5));
    TRY(futex(words, FUTEX_CMP_REQUEUE_PRIVATE, 1, one, &words[1], 6));
    TRY(futex(bad, FUTEX_CMP_REQUEUE_PRIVATE, 1, one, &words[1], 5));
    TRY(futex(words, FUTEX_WAKE_OP_PRIVATE, 1, one, &words[1], FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 5)));
    TRY(words[1]);
    TRY(futex(words, FUTEX_WAKE_OP_PRIVATE, 1, one, bad, FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 5)));
    TRY(futex(words, FUTEX_WAKE_OP_PRIVATE, 1, one, &words[1], FUTEX_OP(7, 1, FUTEX_OP_CMP_EQ, 5)));
    TRY(futex(words, FUTEX_WAKE_OP_PRIVATE, 1, one, &words[1], FUTEX_OP(FUTEX_OP_SET, 1, 9, 5)));
    TRY(futex(words, 99, 1, NULL, NULL, 0));
    TRY(futex(words, FUTEX_FD, 1, NULL, NULL, 0));
    TRY(futex(words, -1, 1, NULL, NULL, 0));
}

static void other_numbers(void)
{
    TRY(syscall(-1));
    TRY(syscall(99999));
    TRY(syscall(SYS_read, closed(), mapped(), 8L));
    TRY(syscall(SYS_write, 1, unmapped(), 8L));
    TRY(syscall(SYS_close, -1));
    TRY(syscall(SYS_tgkill, -1, -1, 0));
    TRY(syscall(SYS_tgkill, getpid(), INT_MAX, 0));
    TRY(syscall(SYS_gettid) == gettid());
    TRY(syscall(SYS_getpid) == getpid());
    TRY(syscall(SYS_sched_yield));
}

int main(void)
{
    in_thread(waits);
    in_thread(wakes);
    in_thread(other_numbers);
    return 0;
}
