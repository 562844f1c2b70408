/* Real-time signals of another process that every thread blocks wait in their order, however often somebody looks for a taker, until
 * one unblocks them, or one is born that does not block them.
 * covers: pthread_sigmask sigaction fork waitpid pthread_create
 * proof: green_threads>=2 parks>=20
 * passes: sigaction: called before the first thread is made
 */
#include "ctest.h"

enum { ROUNDS = 20, SIGNALS = 40 };

static volatile sig_atomic_t next;

static void handler(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    CHECK_IS(info->si_code, SI_QUEUE);
    CHECK_IS(info->si_value.sival_int, next);
    next++;
}

static void *naps(void *unused)
{
    for (;;)
        nap(1);
    return unused;
}

static void send_all(void)
{
    next = 0;
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < SIGNALS; i++)
            CHECK_IS(sigqueue(getppid(), SIGRTMIN, (union sigval){.sival_int = i}), 0);
        _exit(0);
    }
    CHECK_IS(waitpid(child, NULL, 0), child);
    nap(1);
}

static void nothing(int signal)
{
    (void)signal;
}

static void *takes(void *unused)
{
    while (next < SIGNALS)
        pause();
    return unused;
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    CHECK_IS(sigaction(SIGRTMIN, &action, NULL), 0);
    CHECK(signal(SIGUSR1, nothing) != SIG_ERR);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGRTMIN);
    pthread_sigmask(SIG_BLOCK, &one, NULL);
    spawn(naps, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        send_all();
        CHECK_IS(next, 0);
        pthread_sigmask(SIG_UNBLOCK, &one, NULL);
        while (next < SIGNALS)
            nap(1);
        pthread_sigmask(SIG_BLOCK, &one, NULL);
    }
    sigset_t none;
    sigemptyset(&none);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    CHECK_IS(pthread_attr_setsigmask_np(&attributes, &none), 0);
    send_all();
    CHECK_IS(next, 0);
    pthread_t taker;
    CHECK_IS(pthread_create(&taker, &attributes, takes, NULL), 0);
    nap(5);
    while (next < SIGNALS)
        nap(1);
    CHECK_IS(pthread_kill(taker, SIGUSR1), 0); /* it may be in pause */
    join(taker);
    say("%d signals in their order, %d times", SIGNALS, ROUNDS);
    return 0;
}
