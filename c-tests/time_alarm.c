/* alarm and setitimer interrupt a blocked main: pause, a read and a sleep end with EINTR; what was left of the timer is told.
 * covers: alarm setitimer pause read sleep
 * proof: green_threads>=1 parks>=1
 * stress: no
 */
#include "signals.h"
#include <sys/time.h>

static struct itimerval in_milliseconds(int first, int then)
{
    return (struct itimerval){.it_value = {0, first * 1000}, .it_interval = {0, then * 1000}};
}

static void *blocks_the_signal(void *argument)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    for (;;)
        pause();
    return argument;
}

int main(void)
{
    struct itimerval timer = in_milliseconds(3, 2), old, none = {0};
    int quiet[2];
    char byte;
    CHECK_IS(pipe(quiet), 0);
    spawn(blocks_the_signal, NULL);
    nap(1);

    unsigned left = alarm(100);
    CHECK(left > 0 && left <= CTEST_SECONDS);
    left = alarm(0);
    CHECK(left > 90 && left <= 100);
    CHECK_IS(alarm(0), 0);
    say("alarm tells what was left of the one before");

    catch_signal(SIGALRM, 0);
    CHECK_IS(setitimer(ITIMER_REAL, &timer, NULL), 0);
    CHECK_FAILS(pause(), EINTR);
    CHECK_FAILS(read(quiet[0], &byte, 1), EINTR);
    CHECK(sleep(15) > 10);
    CHECK(signals_caught >= 3);
    CHECK_IS(setitimer(ITIMER_REAL, &none, &old), 0);
    CHECK_IS(old.it_interval.tv_usec, 2000);
    say("a timer every 2 ms: pause, read and sleep interrupted");

    signals_caught = 0;
    alarm(1);
    CHECK_FAILS(read(quiet[0], &byte, 1), EINTR);
    CHECK_IS(signals_caught, 1);
    say("alarm after a second: a read interrupted");
    signal(SIGALRM, SIG_DFL);
    alarm(CTEST_SECONDS);
    return 0;
}
