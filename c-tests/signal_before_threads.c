/* What was sent to main before there was a second thread, and waits, waits for main alone; what was sent to the process, for all.
 * covers: pthread_create pthread_sigmask sigpending raise kill sigwaitinfo
 * proof: green_threads>=1 hooks.sigpending>=1
 * no_park: only main waits, for threads that may have ended before it asks
 * passes: pthread_sigmask raise kill: called before the first thread is made
 */
#include "signals.h"

static bool pending(int signal)
{
    sigset_t set;
    CHECK_IS(sigpending(&set), 0);
    return sigismember(&set, signal);
}

static void *looks(void *argument)
{
    CHECK(!pending(SIGUSR1));
    CHECK(pending(SIGUSR2));
    say("the thread: only what was sent to the process");
    return argument;
}

int main(void)
{
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGUSR1);
    sigaddset(&both, SIGUSR2);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &both, NULL), 0);
    CHECK_IS(raise(SIGUSR1), 0);
    CHECK_IS(kill(getpid(), SIGUSR2), 0);
    join(spawn(looks, NULL));
    CHECK(pending(SIGUSR1) && pending(SIGUSR2));
    siginfo_t info;
    CHECK_IS(sigwaitinfo(&both, &info), SIGUSR1);
    CHECK_IS(info.si_code, SI_USER); /* as glibc says of raise here */
    CHECK_IS(sigwaitinfo(&both, &info), SIGUSR2);
    CHECK_IS(info.si_code, SI_USER);
    say("main: both");
    return 0;
}
