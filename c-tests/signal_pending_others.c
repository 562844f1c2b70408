/* sigpending tells of what waits for the caller or for the process, never of what was sent to another thread that takes it.
 * covers: sigpending pthread_kill sched_yield
 * proof: green_threads>=2 hooks.sigpending>=10 hooks.pthread_kill>=100
 * no_park: only main waits, for threads that may have ended before it asks
 */
#include "signals.h"

static atomic_bool over;

static bool waits(int signal)
{
    sigset_t set;
    CHECK_IS(sigpending(&set), 0);
    return sigismember(&set, signal);
}

/* Takes the signal wherever it is: computing, yielding, waiting. */
static void *taker(void *unused)
{
    while (!atomic_load(&over)) {
        for (volatile int i = 0; i < 1000; i++)
            ;
        sched_yield();
        nap(0);
    }
    return unused;
}

static void *blocker(void *unused)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    for (int asked = 0; asked < 10 || !atomic_load(&over); asked++) {
        CHECK(!waits(SIGUSR1));
        sched_yield();
    }
    CHECK_IS(raise(SIGUSR1), 0);
    CHECK(waits(SIGUSR1));
    say("told of its own");
    return unused;
}

int main(void)
{
    catch_signal(SIGUSR1, SA_RESTART);
    pthread_t one = spawn(taker, NULL), other = spawn(blocker, NULL);
    for (int i = 0; i < 3000; i++) {
        CHECK_IS(pthread_kill(one, SIGUSR1), 0);
        sched_yield();
    }
    atomic_store(&over, true);
    join(one);
    join(other);
    say("and of no other's");
    return 0;
}
