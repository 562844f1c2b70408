/* Sleeps until a point in time end there, not before, on each clock; a point in the past does not sleep at all.
 * covers: clock_nanosleep clock_gettime
 * proof: green_threads>=40 parks>=30
 * passes: clock_gettime: the clocks of real time are the kernel's
 */
#include "deadlines.h"

enum { THREADS = 40 };

static struct timespec start;

static void *sleeps_until(void *number)
{
    /* Deadlines neither in the order of creation nor of waiting, many of them equal. */
    struct timespec deadline = start;
    deadline.tv_nsec += 1000000 + (intptr_t)number * 7 % 10 * 500000;
    deadline.tv_sec += deadline.tv_nsec / 1000000000;
    deadline.tv_nsec %= 1000000000;
    CHECK_IS(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL), 0);
    CHECK(reached(CLOCK_MONOTONIC, deadline));
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    start = in_ms(CLOCK_MONOTONIC, 5);
    for (intptr_t i = 0; i < THREADS; i++)
        threads[i] = spawn(sleeps_until, (void *)i);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    say("%d sleeps on ten deadlines: none too short", THREADS);

    static const struct { const char *name; clockid_t clock; } clocks[] = {
        {"real-time", CLOCK_REALTIME}, {"monotonic", CLOCK_MONOTONIC}, {"boot-time", CLOCK_BOOTTIME}, {"TAI", CLOCK_TAI},
    };
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        struct timespec deadline = in_ms(clocks[i].clock, 3), left = {123, 456};
        CHECK_IS(clock_nanosleep(clocks[i].clock, TIMER_ABSTIME, &deadline, &left), 0);
        CHECK(reached(clocks[i].clock, deadline));
        CHECK_IS(clock_nanosleep(clocks[i].clock, TIMER_ABSTIME, &(struct timespec){1, 0}, &left), 0);
        CHECK_IS(clock_nanosleep(clocks[i].clock, TIMER_ABSTIME, &(struct timespec){0, 0}, NULL), 0);
        CHECK(left.tv_sec == 123 && left.tv_nsec == 456);
        say("%s: until the deadline; the past at once", clocks[i].name);
    }
    return 0;
}
