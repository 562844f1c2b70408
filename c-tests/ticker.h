/* Threads that are stuck in a call, and one that ticks meanwhile: nobody else is kept from running by what cannot park. */
#ifndef CTEST_TICKER_H
#define CTEST_TICKER_H

#include "ctest.h"

enum { STUCK = 20, TICKS = 10, MOST_BETWEEN_MS = 120 };

/* A way to be stuck: `hold` takes what `get` waits for, `give` lets all of them have it. */
struct way {
    const char *name;
    void (*hold)(void);
    void (*get)(void);
    void (*give)(void);
};

static atomic_int got;

static void *gets(void *way)
{
    ((const struct way *)way)->get();
    got++;
    return NULL;
}

/* The longest time between two ticks. */
static void *ticks(void *widest)
{
    long long before = now_ms();
    for (int i = 0; i < TICKS; i++) {
        nap(1);
        long long now = now_ms();
        if (now - before > *(long long *)widest)
            *(long long *)widest = now - before;
        before = now;
    }
    return NULL;
}

static inline void tick_while_stuck(const struct way *way)
{
    pthread_t stuck[STUCK];
    way->hold();
    /* A busy machine may itself be late, though hardly each time. */
    long long widest = MOST_BETWEEN_MS;
    got = 0;
    for (int i = 0; i < STUCK; i++)
        stuck[i] = spawn(gets, (void *)way);
    for (int attempts = 0; attempts < 5 && widest >= MOST_BETWEEN_MS; attempts++) {
        widest = 0;
        join(spawn(ticks, &widest));
    }
    CHECK(widest < MOST_BETWEEN_MS);
    CHECK_IS(got, 0);
    way->give();
    for (int i = 0; i < STUCK; i++)
        join(stuck[i]);
    say("%s: %d threads waited, and one ticked", way->name, STUCK);
}

#endif
