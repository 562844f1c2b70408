/* Points in time for calls that wait until one, and how late it has become. */
#ifndef CTEST_DEADLINES_H
#define CTEST_DEADLINES_H

#include "ctest.h"

/* So many milliseconds from now on that clock. */
static inline struct timespec in_ms(clockid_t clock, long milliseconds)
{
    struct timespec time;
    clock_gettime(clock, &time);
    time.tv_nsec += milliseconds % 1000 * 1000000;
    time.tv_sec += milliseconds / 1000 + time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

/* Whether that point in time has been reached. */
static inline bool reached(clockid_t clock, struct timespec deadline)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec > deadline.tv_sec || (time.tv_sec == deadline.tv_sec && time.tv_nsec >= deadline.tv_nsec);
}

#endif
