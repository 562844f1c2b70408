/* Threads that are stuck in a call, and one that ticks meanwhile: nobody else is kept from running by what cannot park.
 *
 * A test asks for ticks, a millisecond apart and in the end never further apart than a busy machine makes them. Compiled with
 * -DFIGURES, a thread ticks ten times a second from before the first one gets stuck until the last one is free, and the longest
 * time between two ticks is printed (scripts/reach). */
#ifndef CTEST_TICKER_H
#define CTEST_TICKER_H

#ifdef FIGURES
#define CTEST_SECONDS 60
#endif
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

static inline void stick(const struct way *way, pthread_t *stuck, int threads)
{
    got = 0;
    for (int i = 0; i < threads; i++)
        stuck[i] = spawn(gets, (void *)way);
}

static inline void free_all(const struct way *way, pthread_t *stuck, int threads)
{
    way->give();
    for (int i = 0; i < threads; i++)
        join(stuck[i]);
}

static inline long long now_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

#ifdef FIGURES
static atomic_bool over;

static void *ticks(void *widest)
{
    long long before = now_us();
    while (!over) {
        nap(100);
        long long now = now_us();
        if (now - before > *(long long *)widest)
            *(long long *)widest = now - before;
        before = now;
    }
    return NULL;
}

static inline void tick_while(int threads, const struct way *way)
{
    pthread_t stuck[threads];
    long long widest = 0;
    over = false;
    way->hold();
    pthread_t ticker = spawn(ticks, &widest);
    nap(95); /* they begin, and end, right before a tick is due */
    stick(way, stuck, threads);
    nap(2000);
    CHECK_IS(got, 0);
    free_all(way, stuck, threads);
    over = true;
    join(ticker);
    say("%d in %s: %.1f", threads, way->name, widest / 1e3);
}
#else
static void *ticks(void *widest)
{
    long long before = now_us();
    for (int i = 0; i < TICKS; i++) {
        nap(1);
        long long now = now_us();
        if (now - before > *(long long *)widest)
            *(long long *)widest = now - before;
        before = now;
    }
    return NULL;
}

static inline void tick_while(int threads, const struct way *way)
{
    pthread_t stuck[threads];
    way->hold();
    stick(way, stuck, threads);
    /* A busy machine may itself be late, though hardly each time. */
    long long widest = MOST_BETWEEN_MS * 1000;
    for (int attempts = 0; attempts < 5 && widest >= MOST_BETWEEN_MS * 1000; attempts++) {
        widest = 0;
        join(spawn(ticks, &widest));
    }
    CHECK(widest < MOST_BETWEEN_MS * 1000);
    CHECK_IS(got, 0);
    free_all(way, stuck, threads);
    say("%s: %d threads waited, and one ticked", way->name, threads);
}
#endif

static inline void tick_while_stuck(const struct way *way)
{
    tick_while(STUCK, way);
}

#endif
