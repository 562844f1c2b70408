/* A handler ends a sleep early: EINTR and the time that was left, seconds from sleep; an absolute sleep leaves its `left` alone.
 * covers: nanosleep clock_nanosleep sleep usleep pause pthread_kill sigaction
 * proof: green_threads>=6 parks>=6
 * passes: sigaction: called before the first thread is made
 */
#include "deadlines.h"
#include "signals.h"

static atomic_bool done;

/* The kernel counts its timer slack in what is left: a little more than a minute is possible. */
static bool about_a_minute(const struct timespec *left)
{
    return left->tv_sec <= 60 && left->tv_sec >= 30 && left->tv_nsec >= 0 && left->tv_nsec < 1000000000;
}

static void by_nanosleep(void)
{
    struct timespec time = {60, 0}, left = {0};
    CHECK_FAILS(nanosleep(&time, &left), EINTR);
    CHECK(about_a_minute(&left));
    CHECK_IS(time.tv_sec, 60);
    CHECK_FAILS(nanosleep(&left, &left), EINTR); /* both may be the same */
    CHECK(about_a_minute(&left));
}

static void relative(void)
{
    struct timespec left = {0};
    CHECK_IS(clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){60, 0}, &left), EINTR);
    CHECK(about_a_minute(&left));
    CHECK_IS(clock_nanosleep(CLOCK_REALTIME, 0, &(struct timespec){60, 0}, NULL), EINTR);
}

static void absolute(void)
{
    struct timespec deadline = in_ms(CLOCK_MONOTONIC, 60000), left = {123, 456};
    CHECK_IS(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, &left), EINTR);
    CHECK(left.tv_sec == 123 && left.tv_nsec == 456);
}

static void by_sleep(void)
{
    unsigned left = sleep(60);
    CHECK(left >= 30 && left <= 60);
}

static void by_usleep(void)
{
    CHECK_FAILS(usleep(60000000), EINTR);
}

static void by_pause(void)
{
    CHECK_FAILS(pause(), EINTR);
}

static const struct row { const char *name; void (*sleep)(void); } rows[] = {
    {"nanosleep", by_nanosleep}, {"clock_nanosleep, relative", relative}, {"clock_nanosleep, absolute", absolute},
    {"sleep", by_sleep}, {"usleep", by_usleep}, {"pause", by_pause},
};

static void *thread(void *argument)
{
    const struct row *row = argument;
    row->sleep();
    done = true;
    return NULL;
}

int main(void)
{
    catch_signal(SIGUSR1, SA_RESTART); /* SA_RESTART does not restart sleeps */
    for (const struct row *row = rows; row < rows + sizeof rows / sizeof *rows; row++) {
        done = false;
        pthread_t sleeper = spawn(thread, (void *)row);
        signal_until(sleeper, SIGUSR1, &done);
        join(sleeper);
        say("%s: interrupted", row->name);
    }
    CHECK(signals_caught >= 6);
    return 0;
}
