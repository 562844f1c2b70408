/* futex calls through `syscall`, as C libraries without wrappers for them make them. */
#ifndef CTEST_FUTEX_H
#define CTEST_FUTEX_H

#include "ctest.h"
#include <linux/futex.h>
#include <sys/syscall.h>

/* `timeout` is a relative or absolute time for waits, a count for the operations that move waiters. */
static inline long futex(void *word, int operation, uint32_t value, const void *timeout, void *other, uint32_t last)
{
    return syscall(SYS_futex, word, operation, value, timeout, other, last);
}

static inline long futex_wait(void *word, uint32_t expected)
{
    return futex(word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static inline long futex_wake(void *word, int count)
{
    return futex(word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

/* Wakes (or moves, or whatever the expression does) until it has reached so many waiters: they may still be on their way into the wait. */
#define UNTIL_TOTAL(call, total)                     \
    do {                                             \
        long reached_total = 0;                      \
        while (reached_total < (total)) {            \
            long reached_now = (call);               \
            CHECK(reached_now >= 0);                 \
            reached_total += reached_now;            \
            if (reached_now == 0)                    \
                nap(1);                              \
        }                                            \
        CHECK_IS(reached_total, total);              \
    } while (0)

#endif
