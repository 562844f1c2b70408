/* Signal calls given bad numbers, actions, ways and memory answer as libc does.
 * covers: sigaction __sigaction signal sigprocmask pthread_sigmask pthread_kill raise kill
 * proof: green_threads>=1
 * no_park: only main waits, for threads that may have ended before it asks
 * passes: kill: a signal to another process, or one that no handler waits for, is the kernel's to send
 */
#include "bad.h"

extern int __sigaction(int number, const struct sigaction *action, struct sigaction *old);

static const int numbers[] = {-1, 0, 32, 33, 34, 64, 65, 9999, INT_MIN, SIGKILL, SIGSTOP};

static void body(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        volatile int number = numbers[i];
        say("signal %d:", number);
        TRY(sigaction(number, &ignore, NULL));
        TRY(__sigaction(number, NULL, &old));
        TRY(signal(number, SIG_IGN) == SIG_ERR);
        if (number == SIGKILL || number == SIGSTOP)
            continue;
        TRY_ERROR(pthread_kill(pthread_self(), number));
        if (number == 32 || number == 33) /* glibc's own, which kill and raise would send */
            continue;
        TRY(raise(number));
        TRY(kill(getpid(), number));
        TRY(sigaddset(&set, number));
    }
    say("ways and memory:");
    TRY(sigprocmask(99, &set, NULL));
    TRY(sigprocmask(99, NULL, NULL));
    TRY_ERROR(pthread_sigmask(99, &set, NULL));
    TRY_ERROR(pthread_sigmask(-1, NULL, &set));
    TRY_ERROR(pthread_sigmask(SIG_BLOCK, NULL, (void *)unmapped()));
    TRY(sigprocmask(SIG_BLOCK, NULL, (void *)unmapped()));
    sigfillset(&set);
    CHECK_IS(pthread_sigmask(SIG_SETMASK, &set, NULL), 0);
    CHECK_IS(pthread_sigmask(SIG_SETMASK, NULL, &set), 0);
    TRY(sigismember(&set, SIGKILL)); /* never blocked */
    TRY(sigismember(&set, SIGSTOP));
    TRY(sigismember(&set, 32));
    TRY(sigismember(&set, 33));
    TRY(sigismember(&set, SIGTERM));
}

int main(void)
{
    in_thread(body);
    return 0;
}
