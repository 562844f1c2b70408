/* syscall(SYS_futex): REQUEUE and CMP_REQUEUE move waiters to another word, WAKE_OP changes one word and wakes on both.
 * covers: syscall
 * proof: green_threads>=28 parks>=1 hooks.syscall>=40
 */
#include "futex.h"

enum { WAITERS = 8 };

static uint32_t first, second, third;
static atomic_int woken;

static void *waits_on(void *word)
{
    CHECK_IS(futex_wait(word, 0), 0);
    woken++;
    return NULL;
}

static void start(pthread_t *threads)
{
    woken = 0;
    for (int i = 0; i < WAITERS; i++)
        threads[i] = spawn(waits_on, &first);
}

static void end(pthread_t *threads)
{
    for (int i = 0; i < WAITERS; i++)
        join(threads[i]);
    CHECK_IS(woken, WAITERS);
}

/* Moves without waking, as often as it takes for all to have come. */
static long move(int operation, uint32_t expected)
{
    return futex(&first, operation, 0, (void *)(intptr_t)INT_MAX, &second, expected);
}

static void requeue(void)
{
    pthread_t threads[WAITERS];
    start(threads);
    UNTIL_TOTAL(move(FUTEX_REQUEUE_PRIVATE, 0), WAITERS);
    CHECK_IS(futex_wake(&first, INT_MAX), 0);
    CHECK_IS(woken, 0);
    CHECK_IS(futex_wake(&second, 3), 3);
    CHECK_IS(futex_wake(&second, INT_MAX), WAITERS - 3);
    end(threads);
    say("REQUEUE: %d waiters moved, woken on the second word", WAITERS);
}

static void cmp_requeue(void)
{
    pthread_t threads[WAITERS];
    start(threads);
    CHECK_FAILS(move(FUTEX_CMP_REQUEUE_PRIVATE, 1), EAGAIN);
    UNTIL_TOTAL(move(FUTEX_CMP_REQUEUE_PRIVATE, 0), WAITERS);
    CHECK_IS(futex(&second, FUTEX_CMP_REQUEUE_PRIVATE, 2, (void *)3, &first, 0), 5); /* woken or moved */
    CHECK_IS(futex_wake(&first, INT_MAX), 3);
    CHECK_IS(futex_wake(&second, INT_MAX), WAITERS - 5);
    end(threads);
    say("CMP_REQUEUE: another value EAGAIN; two woken and three moved by one call");
}

static void wake_op(void)
{
    static const struct { const char *name; uint32_t before, operation, after; bool holds; } rows[] = {
        {"set, if equal", 5, FUTEX_OP(FUTEX_OP_SET, 9, FUTEX_OP_CMP_EQ, 5), 9, true},
        {"add, if not equal", 5, FUTEX_OP(FUTEX_OP_ADD, 2, FUTEX_OP_CMP_NE, 5), 7, false},
        {"or, if less", 5, FUTEX_OP(FUTEX_OP_OR, 8, FUTEX_OP_CMP_LT, 6), 13, true},
        {"and not, if at most", 7, FUTEX_OP(FUTEX_OP_ANDN, 2, FUTEX_OP_CMP_LE, 6), 5, false},
        {"exclusive or, if greater", 5, FUTEX_OP(FUTEX_OP_XOR, 1, FUTEX_OP_CMP_GT, 4), 4, true},
        {"set a bit, if at least", 1, FUTEX_OP((FUTEX_OP_SET | FUTEX_OP_OPARG_SHIFT), 4, FUTEX_OP_CMP_GE, 2), 16, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        second = 0;
        woken = 0;
        pthread_t threads[2] = {spawn(waits_on, &third), spawn(waits_on, &third)};
        UNTIL_TOTAL(futex(&third, FUTEX_REQUEUE_PRIVATE, 0, (void *)1, &first, 0), 1);
        UNTIL_TOTAL(futex(&third, FUTEX_REQUEUE_PRIVATE, 0, (void *)1, &second, 0), 1);
        second = rows[i].before;
        CHECK_IS(futex(&first, FUTEX_WAKE_OP_PRIVATE, 10, (void *)10, &second, rows[i].operation), 1 + rows[i].holds);
        CHECK_IS(second, rows[i].after);
        CHECK_IS(futex_wake(&second, 10), !rows[i].holds);
        join(threads[0]);
        join(threads[1]);
        CHECK_IS(woken, 2);
        say("WAKE_OP, %s: %u becomes %u, %s", rows[i].name, rows[i].before, rows[i].after, rows[i].holds ? "both woken" : "one woken");
    }
}

int main(void)
{
    requeue();
    cmp_requeue();
    wake_op();
    return 0;
}
