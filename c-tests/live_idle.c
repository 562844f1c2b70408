/* A process in which nothing happens costs nothing: threads stand in calls that no hook catches, another ticks ten times a second, and
 * the process's kernel threads hardly ever wake up.
 * covers: clock_nanosleep
 * needs: proc
 * options: inline=0
 * proof: green_threads>=5 parks>=10 kernel_threads_peak<=14
 * processors: 4
 */
#include "ctest.h"
#include "inline.h"
#include <sys/resource.h>
#include <sys/syscall.h>

enum { STAND = 4, TICKS = 20 };

static void *stands(void *unused)
{
    struct timespec long_time = {1000, 0};
    INLINE(SYS_nanosleep, (long)&long_time, 0, 0, 0);
    return unused;
}

static long switches(void)
{
    struct rusage usage;
    CHECK_IS(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_nvcsw;
}

static void *ticks(void *each)
{
    long before = switches();
    for (int i = 0; i < TICKS; i++) {
        struct timespec tenth = {0, 100000000};
        CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &tenth, NULL) == 0);
    }
    *(long *)each = (switches() - before) / TICKS;
    return NULL;
}

int main(void)
{
    long at_first, each;
    for (int i = 0; i < STAND; i++)
        spawn(stands, NULL);
    join(spawn(ticks, &at_first)); /* until each of them has been seen to stand */
    join(spawn(ticks, &each));
    if (each < 15)
        say("idle");
    else
        say("%ld switches a tick", each);
    _exit(0);
}
