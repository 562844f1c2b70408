/* Each way to sleep sleeps as long as asked, at least, and lets others run: twenty threads sleep side by side.
 * covers: sleep usleep nanosleep __nanosleep clock_nanosleep clock_gettime
 * proof: green_threads>=120 parks>=120
 * passes: clock_gettime: the clocks of real time are the kernel's
 */
#include "deadlines.h"

enum { MILLISECONDS = 3, THREADS = 20 };

extern int __nanosleep(const struct timespec *time, struct timespec *left);

static const struct timespec duration = {0, MILLISECONDS * 1000000};

static void by_usleep(void) { CHECK_IS(usleep(MILLISECONDS * 1000), 0); }
static void by_nanosleep(void) { CHECK_IS(nanosleep(&duration, NULL), 0); }
static void by_its_alias(void) { CHECK_IS(__nanosleep(&duration, NULL), 0); }
static void by_monotonic(void) { CHECK_IS(clock_nanosleep(CLOCK_MONOTONIC, 0, &duration, NULL), 0); }
static void by_realtime(void) { CHECK_IS(clock_nanosleep(CLOCK_REALTIME, 0, &duration, NULL), 0); }
static void by_boottime(void) { CHECK_IS(clock_nanosleep(CLOCK_BOOTTIME, 0, &duration, NULL), 0); }

static const struct row { const char *name; void (*sleep)(void); } rows[] = {
    {"usleep", by_usleep}, {"nanosleep", by_nanosleep}, {"__nanosleep", by_its_alias}, {"clock_nanosleep, monotonic", by_monotonic},
    {"clock_nanosleep, real-time", by_realtime}, {"clock_nanosleep, boot-time", by_boottime},
};

static void *thread(void *argument)
{
    const struct row *row = argument;
    struct timespec end = in_ms(CLOCK_MONOTONIC, MILLISECONDS);
    row->sleep();
    CHECK(reached(CLOCK_MONOTONIC, end));
    return NULL;
}

static void no_time_at_all(void)
{
    CHECK_IS(sleep(0), 0);
    CHECK_IS(usleep(0), 0);
    CHECK_IS(nanosleep(&(struct timespec){0, 0}, NULL), 0);
    CHECK_IS(nanosleep(&(struct timespec){0, 1}, NULL), 0);
    CHECK_IS(clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){0, 0}, NULL), 0);
}

int main(void)
{
    for (const struct row *row = rows; row < rows + sizeof rows / sizeof *rows; row++) {
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++)
            threads[i] = spawn(thread, (void *)row);
        for (int i = 0; i < THREADS; i++)
            join(threads[i]);
        say("%s: slept long enough", row->name);
    }
    in_thread(no_time_at_all);
    say("no time at all: comes back");
    return 0;
}
