/* The signal mask is each thread's own: inherited at creation, kept over waits, told by both calls; what is blocked stays pending.
 * covers: pthread_sigmask sigprocmask sigpending pthread_kill raise kill
 * proof: green_threads>=3 parks>=3
 * passes: kill: a signal to another process, or one that no handler waits for, is the kernel's to send
 */
#include "signals.h"
#include <semaphore.h>

static sem_t ready, go;

static sigset_t set_of(int signal)
{
    sigset_t set;
    sigemptyset(&set);
    if (signal)
        sigaddset(&set, signal);
    return set;
}

static bool blocks(int signal)
{
    sigset_t by_pthread, by_process;
    CHECK_IS(pthread_sigmask(SIG_BLOCK, NULL, &by_pthread), 0);
    CHECK_IS(sigprocmask(SIG_BLOCK, NULL, &by_process), 0);
    CHECK_IS(sigismember(&by_pthread, signal), sigismember(&by_process, signal));
    return sigismember(&by_pthread, signal);
}

static bool pending(int signal)
{
    sigset_t set;
    CHECK_IS(sigpending(&set), 0);
    return sigismember(&set, signal);
}

static void *inherits(void *argument)
{
    CHECK(blocks(SIGUSR2) && !blocks(SIGUSR1));
    return argument;
}

static void *own_mask(void *argument)
{
    sigset_t usr1 = set_of(SIGUSR1), usr2 = set_of(SIGUSR2), old;
    CHECK(blocks(SIGUSR1) && !blocks(SIGUSR2));
    CHECK_IS(pthread_sigmask(SIG_SETMASK, &usr2, &old), 0);
    CHECK(sigismember(&old, SIGUSR1));
    for (int i = 0; i < 3; i++) {
        nap(1);
        sched_yield();
        CHECK(blocks(SIGUSR2) && !blocks(SIGUSR1));
    }
    join(spawn(inherits, NULL));
    CHECK_IS(sigprocmask(SIG_BLOCK, &usr1, NULL), 0);
    CHECK(blocks(SIGUSR1) && blocks(SIGUSR2));
    CHECK_IS(pthread_sigmask(SIG_UNBLOCK, &usr2, NULL), 0);
    CHECK(blocks(SIGUSR1) && !blocks(SIGUSR2));
    return argument;
}

static void *keeps_pending(void *argument)
{
    sigset_t usr1 = set_of(SIGUSR1);
    CHECK(blocks(SIGUSR1));
    sem_post(&ready);
    sem_wait(&go); /* main has sent the signal */
    nap(1);
    CHECK_IS(signals_caught, 0);
    CHECK(pending(SIGUSR1));
    CHECK_IS(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL), 0);
    CHECK_IS(signals_caught, 1); /* before the call returns */
    CHECK(!pending(SIGUSR1));
    CHECK_IS(raise(SIGUSR1), 0);
    CHECK_IS(signals_caught, 2);
    return argument;
}

int main(void)
{
    sigset_t usr1 = set_of(SIGUSR1), none = set_of(0);
    sem_init(&ready, 0, 0);
    sem_init(&go, 0, 0);
    catch_signal(SIGUSR1, 0);
    CHECK_IS(pthread_sigmask(SIG_SETMASK, &usr1, NULL), 0);
    join(spawn(own_mask, NULL));
    CHECK(blocks(SIGUSR1) && !blocks(SIGUSR2));
    say("inherited, then each thread's own, over waits");

    pthread_t thread = spawn(keeps_pending, NULL);
    sem_wait(&ready);
    CHECK_IS(pthread_kill(thread, SIGUSR1), 0);
    CHECK(!pending(SIGUSR1)); /* the thread's, not main's */
    sem_post(&go);
    join(thread);
    say("sent to a thread that blocks it: pending there, delivered when unblocked");

    signals_caught = 0;
    CHECK_IS(kill(getpid(), SIGUSR1), 0);
    CHECK(pending(SIGUSR1));
    CHECK_IS(sigprocmask(SIG_SETMASK, &none, NULL), 0);
    CHECK_IS(signals_caught, 1);
    say("sent to the process: pending until main unblocks it");
    return 0;
}
