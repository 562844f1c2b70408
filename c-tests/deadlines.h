/* Points in time for calls that wait until one, and how late it has become. */
#ifndef CTEST_DEADLINES_H
#define CTEST_DEADLINES_H

#include "ctest.h"

/* So many microseconds from now on that clock. */
static inline struct timespec in_us(clockid_t clock, long microseconds)
{
    struct timespec time;
    clock_gettime(clock, &time);
    time.tv_nsec += microseconds % 1000000 * 1000;
    time.tv_sec += microseconds / 1000000 + time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

static inline struct timespec in_ms(clockid_t clock, long milliseconds)
{
    return in_us(clock, milliseconds * 1000);
}

/* A number below the limit, the same ones from the same seed in each run. */
static inline unsigned random_below(unsigned limit, unsigned *seed)
{
    *seed = *seed * 1103515245 + 12345;
    return (*seed >> 16) % limit;
}

/* Whether that point in time has been reached. */
static inline bool reached(clockid_t clock, struct timespec deadline)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec > deadline.tv_sec || (time.tv_sec == deadline.tv_sec && time.tv_nsec >= deadline.tv_nsec);
}

#endif
