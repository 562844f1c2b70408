/* sigaction, its alias and signal set, tell and reset actions for the whole process, and keep the promises of their flags.
 * covers: sigaction __sigaction signal raise kill pthread_kill
 * proof: green_threads>=1
 * no_park: only main waits, for threads that may have ended before it asks
 */
#include "ctest.h"

extern int __sigaction(int number, const struct sigaction *action, struct sigaction *old);

static volatile sig_atomic_t caught, depth, deepest;
static volatile sig_atomic_t seen_code, seen_blocked;

static void counts(int number)
{
    (void)number;
    if (++depth > deepest)
        deepest = depth;
    if (++caught == 1)
        raise(SIGUSR1); /* nested only under SA_NODEFER */
    depth--;
}

static void informed(int number, siginfo_t *info, void *context)
{
    sigset_t mask;
    CHECK(context != NULL);
    CHECK_IS(info->si_signo, number);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
    seen_code = info->si_code;
    seen_blocked = sigismember(&mask, SIGUSR2) && sigismember(&mask, number);
    caught++;
}

static void (*handler_of(int number))(int)
{
    struct sigaction now;
    CHECK_IS(sigaction(number, NULL, &now), 0);
    return now.sa_handler;
}

static void nested(int flags, int expected_depth)
{
    caught = depth = deepest = 0;
    CHECK_IS(__sigaction(SIGUSR1, &(struct sigaction){.sa_handler = counts, .sa_flags = flags}, NULL), 0);
    CHECK_IS(raise(SIGUSR1), 0);
    CHECK_IS(caught, 2);
    CHECK_IS(deepest, expected_depth);
}

static void body(void)
{
    struct sigaction old;
    CHECK(handler_of(SIGUSR1) == SIG_DFL);
    CHECK(signal(SIGUSR1, SIG_IGN) == SIG_DFL);
    CHECK_IS(raise(SIGUSR1), 0);
    CHECK(signal(SIGUSR1, counts) == SIG_IGN);
    CHECK_IS(sigaction(SIGUSR1, NULL, &old), 0);
    CHECK(old.sa_handler == counts && (old.sa_flags & SA_RESTART));
    say("signal: the former action, SA_RESTART");

    nested(0, 1);
    nested(SA_NODEFER, 2);
    say("its own signal waits for the handler's end, not under SA_NODEFER");

    CHECK_IS(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = counts, .sa_flags = SA_RESETHAND}, NULL), 0);
    caught = 5;
    CHECK_IS(raise(SIGUSR1), 0);
    CHECK_IS(caught, 6);
    CHECK(handler_of(SIGUSR1) == SIG_DFL);
    say("SA_RESETHAND: once");

    struct sigaction action = {.sa_sigaction = informed, .sa_flags = SA_SIGINFO};
    sigaddset(&action.sa_mask, SIGUSR2);
    CHECK_IS(sigaction(SIGUSR1, &action, NULL), 0);
    caught = 0;
    CHECK_IS(pthread_kill(pthread_self(), SIGUSR1), 0);
    CHECK(caught == 1 && seen_code == SI_TKILL && seen_blocked);
    CHECK_IS(__sigaction(SIGUSR1, NULL, &old), 0);
    CHECK(old.sa_sigaction == informed && (old.sa_flags & SA_SIGINFO) && sigismember(&old.sa_mask, SIGUSR2));
    say("SA_SIGINFO: who sent it; its mask while it runs");

    CHECK_FAILS(sigaction(SIGKILL, &action, NULL), EINVAL);
    CHECK_FAILS(__sigaction(0, &action, NULL), EINVAL);
    CHECK(signal(SIGSTOP, SIG_IGN) == SIG_ERR && errno == EINVAL);
    say("not for SIGKILL, SIGSTOP, 0: EINVAL");
}

int main(void)
{
    in_thread(body);
    CHECK_IS(handler_of(SIGUSR1) != SIG_DFL, true); /* actions belong to the process */
    CHECK_IS(kill(getpid(), SIGUSR1), 0);
    CHECK_IS(caught, 2);
    say("sent to the process: caught by main, its last thread");
    return 0;
}
