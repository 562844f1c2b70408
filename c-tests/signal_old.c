/* signal's older names set handlers with the promises of their time: those of BSD restart and block, that of System V does neither.
 * covers: bsd_signal ssignal sysv_signal __sysv_signal siginterrupt sigaction raise sighold sigrelse sigset sigignore sigblock sigsetmask
 * proof: green_threads>=2 parks>=1
 */
#include "signals.h"

typedef void (*handler)(int);

extern handler bsd_signal(int number, handler action);
extern handler __sysv_signal(int number, handler action);
/* By its right name it is deprecated. */
extern int set_interrupts(int number, int interrupts) __asm__("siginterrupt");

static struct sigaction now(void)
{
    struct sigaction action;
    CHECK_IS(sigaction(SIGUSR1, NULL, &action), 0);
    return action;
}

static void restarting(handler (*set)(int, handler))
{
    CHECK(set(SIGUSR1, SIG_DFL) != SIG_ERR);
    CHECK(set(SIGUSR1, count_signal) == SIG_DFL);
    CHECK(now().sa_flags & SA_RESTART);
    CHECK(!(now().sa_flags & (SA_RESETHAND | SA_NODEFER)));
    CHECK(set(-1, count_signal) == SIG_ERR && errno == EINVAL);
}

static void once_only(handler (*set)(int, handler))
{
    CHECK(set(SIGUSR1, count_signal) != SIG_ERR);
    CHECK(!(now().sa_flags & SA_RESTART));
    CHECK((now().sa_flags & SA_RESETHAND) && (now().sa_flags & SA_NODEFER));
    signals_caught = 0;
    CHECK_IS(raise(SIGUSR1), 0);
    CHECK_IS(signals_caught, 1);
    CHECK(now().sa_handler == SIG_DFL);
    CHECK(set(SIGKILL, count_signal) == SIG_ERR && errno == EINVAL);
}

static void names(void)
{
    restarting(bsd_signal);
    restarting(ssignal);
    say("bsd_signal, ssignal: SA_RESTART");
    once_only(sysv_signal);
    once_only(__sysv_signal);
    say("sysv_signal: once, without SA_RESTART");
}

/* By their right names these are deprecated, too. */
extern int hold(int number) __asm__("sighold");
extern int release(int number) __asm__("sigrelse");
extern int ignore(int number) __asm__("sigignore");
extern handler set(int number, handler action) __asm__("sigset");
extern int block(int mask) __asm__("sigblock");
extern int set_mask(int mask) __asm__("sigsetmask");

static bool held(void)
{
    sigset_t mask;
    CHECK_IS(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
    return sigismember(&mask, SIGUSR1);
}

static void masks(void)
{
    handler hold_it = (handler)2; /* SIG_HOLD */
    CHECK(set(SIGUSR1, count_signal) != SIG_ERR);
    CHECK(!held() && !(now().sa_flags & (SA_RESTART | SA_RESETHAND)));
    signals_caught = 0;
    CHECK_IS(hold(SIGUSR1), 0);
    CHECK_IS(raise(SIGUSR1), 0);
    CHECK(held() && signals_caught == 0);
    CHECK_IS(release(SIGUSR1), 0);
    CHECK(!held() && signals_caught == 1);
    CHECK(set(SIGUSR1, hold_it) == count_signal && held());
    CHECK(set(SIGUSR1, hold_it) == hold_it);
    CHECK(set(SIGUSR1, count_signal) == hold_it && !held());
    CHECK_IS(ignore(SIGUSR1), 0);
    CHECK(now().sa_handler == SIG_IGN);
    say("sighold, sigrelse, sigset, sigignore");
    int before = block(0);
    CHECK_IS(block(1 << (SIGUSR1 - 1)), before);
    CHECK(held());
    CHECK_IS(set_mask(before), before | 1 << (SIGUSR1 - 1));
    CHECK(!held());
    CHECK_FAILS(hold(0), EINVAL);
    CHECK_FAILS(release(65), EINVAL);
    CHECK_FAILS(ignore(SIGKILL), EINVAL);
    CHECK(set(0, count_signal) == SIG_ERR && errno == EINVAL);
    say("sigblock, sigsetmask");
}

static atomic_bool done;
static int channel[2];

static void *reads(void *argument)
{
    char byte;
    CHECK_FAILS(read(channel[0], &byte, 1), EINTR);
    done = true;
    return argument;
}

int main(void)
{
    in_thread(names);
    in_thread(masks);
    CHECK_IS(pipe(channel), 0);
    CHECK(bsd_signal(SIGUSR1, count_signal) != SIG_ERR);
    CHECK_IS(set_interrupts(SIGUSR1, 1), 0);
    CHECK(!(now().sa_flags & SA_RESTART));
    pthread_t thread = spawn(reads, NULL);
    signal_until(thread, SIGUSR1, &done);
    join(thread);
    CHECK_IS(set_interrupts(SIGUSR1, 0), 0);
    CHECK(now().sa_flags & SA_RESTART);
    CHECK_FAILS(set_interrupts(-1, 1), EINVAL);
    say("siginterrupt: whether calls go on");
    return 0;
}
