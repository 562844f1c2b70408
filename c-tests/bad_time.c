/* Sleeps, clocks and timers given bad times, clocks, flags and memory answer as libc does.
 * covers: nanosleep __nanosleep clock_nanosleep usleep thrd_sleep setitimer timer_create clock_gettime
 * proof: green_threads>=2 parks>=4
 * passes: timer_create clock_gettime: only clocks that are no thread's are given
 */
#include "bad.h"
#include <sys/time.h>
#include <threads.h>

extern int __nanosleep(const struct timespec *time, struct timespec *left);

static void sleeps(void)
{
    static const struct { const char *name; struct timespec time; } times[] = {
        {"negative seconds", {-1, 0}}, {"negative nanoseconds", {0, -1}}, {"too many nanoseconds", {0, 1000000000}}, {"one", {0, 1}},
    };
    static const clockid_t clocks[] = {CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_THREAD_CPUTIME_ID, -1, 99};
    const struct timespec one = {0, 1}, *bad = (void *)unmapped(), *nothing = null;
    struct timespec *bad_left = (void *)unmapped();
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        const struct timespec *time = &times[i].time;
        say("%s:", times[i].name);
        TRY(nanosleep(time, NULL));
        TRY(__nanosleep(time, NULL));
        TRY_ERROR(clock_nanosleep(CLOCK_MONOTONIC, 0, time, NULL));
        TRY_ERROR(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, time, NULL));
        TRY(thrd_sleep(time, NULL));
    }
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        say("clock %d:", clocks[i]);
        TRY_ERROR(clock_nanosleep(clocks[i], 0, &one, NULL));
        TRY_ERROR(clock_nanosleep(clocks[i], 0, &times[0].time, NULL));
    }
    say("memory and flags:");
    TRY(nanosleep(nothing, NULL));
    TRY(nanosleep(bad, NULL));
    TRY(nanosleep(&one, bad_left));
    TRY_ERROR(clock_nanosleep(CLOCK_MONOTONIC, 0, nothing, NULL));
    TRY_ERROR(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, bad, NULL));
    TRY_ERROR(clock_nanosleep(CLOCK_MONOTONIC, 99, &one, NULL));
    TRY(usleep(0));
}

static void clocks_and_timers(void)
{
    struct timespec time;
    struct itimerval bad_time = {.it_value = {0, 1000000}}, negative = {.it_value = {-1, 0}}, *bad = (void *)unmapped();
    struct sigevent event = {.sigev_notify = 99};
    timer_t timer;
    TRY(clock_gettime(99, &time));
    TRY(clock_gettime(-1, &time));
    TRY(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, (void *)unmapped()));
    TRY(setitimer(99, &bad_time, NULL));
    TRY(setitimer(ITIMER_REAL, &bad_time, NULL));
    TRY(setitimer(ITIMER_REAL, &negative, NULL));
    TRY(setitimer(ITIMER_REAL, bad, NULL));
    TRY(timer_create(99, NULL, &timer));
    TRY(timer_create(CLOCK_MONOTONIC, &event, &timer));
    event = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 99};
    TRY(timer_create(CLOCK_MONOTONIC, &event, &timer));
    event = (struct sigevent){.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    event._sigev_un._tid = INT_MAX;
    TRY(timer_create(CLOCK_MONOTONIC, &event, &timer));
}

int main(void)
{
    in_thread(sleeps);
    in_thread(clocks_and_timers);
    return 0;
}
