/* Signals and a program's own system call instructions: without SA_RESTART a call that waits ends with EINTR, with it it goes on; masks
 * of all signals, of the thread, of a wait and of a handler, are as natively; a handler makes such calls itself; a cancellation waits.
 * covers: sigaction pthread_sigmask pthread_cancel
 * options: inline=1
 * proof: inline==1 inline_calls>=15 green_threads>=9 parks>=1
 */
#include "inline.h"
#include "signals.h"
#include <linux/futex.h>
#include <sys/socket.h>

static int line[2], inner[2];
static atomic_bool done;
static _Atomic uint32_t word;
static const struct timespec long_time = {1000, 0};

static long a_read(void)
{
    char byte;
    return INLINE(SYS_read, line[0], &byte, 1);
}

static long a_recvfrom(void)
{
    char byte;
    return INLINE(SYS_recvfrom, line[0], &byte, 1, 0, NULL, NULL);
}

static long a_poll(void)
{
    struct pollfd wanted = {.fd = line[0], .events = POLLIN};
    return INLINE(SYS_poll, &wanted, 1, -1);
}

static long a_nanosleep(void)
{
    return INLINE(SYS_nanosleep, &long_time, NULL);
}

/* A futex may wake for nothing. */
static long a_timed_futex(void)
{
    long result;
    do
        result = INLINE(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &long_time);
    while (result == 0);
    return result;
}

static void *until_interrupted(void *call)
{
    errno = 0;
    CHECK_IS((*(long (**)(void))call)(), -EINTR);
    CHECK_IS(errno, 0);
    done = true;
    return NULL;
}

static void interrupted(const char *name, long (*call)(void))
{
    done = false;
    pthread_t thread = spawn(until_interrupted, &call);
    signal_until(thread, SIGUSR1, &done);
    join(thread);
    say("%s: EINTR", name);
}

static void *until_written(void *call)
{
    CHECK_IS((*(long (**)(void))call)(), 1);
    return NULL;
}

static void restarted(const char *name, long (*call)(void))
{
    pthread_t thread = spawn(until_written, &call);
    signal_times(thread, SIGUSR1, 3);
    CHECK_IS(INLINE(SYS_write, line[1], "x", 1), 1);
    join(thread);
    say("%s: goes on", name);
}

static sigset_t all_signals(void)
{
    sigset_t all;
    sigfillset(&all);
    return all;
}

/* A thread that blocks everything, by the function or the instruction, makes calls of all sorts. */
static void *blocks_all(void *by_function)
{
    sigset_t all = all_signals(), now;
    if (by_function)
        CHECK_IS(pthread_sigmask(SIG_SETMASK, &all, NULL), 0);
    else
        CHECK_IS(INLINE(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8), 0);
    CHECK_IS(a_read(), 1);
    CHECK_IS(INLINE(SYS_getppid), getppid());
    CHECK_IS(INLINE(SYS_rt_sigprocmask, SIG_SETMASK, NULL, &now, 8), 0);
    CHECK(sigismember(&now, SIGSYS) == 1 && sigismember(&now, SIGUSR1) == 1);
    return NULL;
}

/* A handler that blocks everything reads, by the instruction, what another thread writes. */
static void reads_in_handler(int signal)
{
    char byte = 0;
    CHECK_IS(INLINE(SYS_read, inner[0], &byte, 1), 1);
    CHECK_IS(INLINE(SYS_gettid), gettid());
    CHECK_IS(byte, 'h');
    count_signal(signal);
}

static void *takes_signal(void *way)
{
    sigset_t all = all_signals();
    struct pollfd wanted = {.fd = line[0], .events = POLLIN};
    if (way) {
        sigdelset(&all, SIGUSR2); /* a wait with a mask that holds SIGSYS, too */
        CHECK_IS(INLINE(SYS_ppoll, &wanted, 1, &long_time, &all, 8), -EINTR);
    } else {
        CHECK_IS(a_nanosleep(), -EINTR);
    }
    done = true;
    return NULL;
}

static void handler_reads(void *way, const char *name)
{
    struct sigaction action = {.sa_handler = reads_in_handler, .sa_mask = all_signals()};
    CHECK_IS(sigaction(SIGUSR2, &action, NULL), 0);
    done = false;
    atomic_store(&signals_caught, 0);
    pthread_t thread = spawn(takes_signal, way);
    nap(2);
    while (!done) {
        CHECK_IS(pthread_kill(thread, SIGUSR2), 0);
        CHECK_IS(INLINE(SYS_write, inner[1], "h", 1), 1);
        nap(2);
    }
    join(thread);
    char rest[64];
    fcntl(inner[0], F_SETFL, O_NONBLOCK);
    while (read(inner[0], rest, sizeof rest) > 0)
        ;
    fcntl(inner[0], F_SETFL, 0);
    CHECK(signals_caught >= 1);
    say("%s: its handler read", name);
}

/* The kernel's own structure. Without a way back of its own the kernel refuses a handler, so this one is libc's function's. */
static void sets_handler(void)
{
    struct kernel_action {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        uint64_t mask;
    } before, after;
    CHECK_IS(INLINE(SYS_rt_sigaction, SIGUSR1, NULL, &before, 8), 0);
    CHECK(before.handler == count_signal && before.flags & SA_RESTART);
    CHECK_IS(signal(SIGUSR1, SIG_IGN) == count_signal, true);
    CHECK_IS(INLINE(SYS_rt_sigaction, SIGUSR1, &before, &after, 8), 0);
    CHECK(after.handler == SIG_IGN);
    CHECK_IS(INLINE(SYS_rt_sigaction, SIGUSR1, NULL, &after, 8), 0);
    CHECK(after.handler == count_signal && after.mask == before.mask);
    CHECK_IS(INLINE(SYS_rt_sigaction, SIGKILL, &before, NULL, 8), -EINVAL);
    CHECK_IS(INLINE(SYS_rt_sigaction, SIGUSR1, &before, NULL, 4), -EINVAL);
    CHECK_IS(INLINE(SYS_rt_sigaction, SIGUSR1, NULL, 8, 8), -EFAULT);
    atomic_store(&signals_caught, 0);
    CHECK_IS(raise(SIGUSR1), 0);
    CHECK_IS(signals_caught, 1);
}

static void blocks_sigsys(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    CHECK_IS(kill(getpid(), SIGSYS), 0);
    for (int i = 0; i < 20; i++)
        CHECK_IS(INLINE(SYS_getppid), getppid());
}

/* SIGSYS itself, sent to the process while all threads block it, waits. */
static void sent(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    catch_signal(SIGSYS, 0);
    in_thread(blocks_sigsys);
    nap(2);
    CHECK_IS(signals_caught, 0);
    CHECK_IS(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    while (signals_caught == 0)
        nap(1);
    CHECK_IS(signals_caught, 1);
    say("SIGSYS, sent and blocked: it waits");
}

/* By the instruction no call is a cancellation point. */
static void *is_cancelled(void *argument)
{
    CHECK_IS(a_read(), 1);
    word = 1;
    pthread_testcancel();
    return argument;
}

int main(void)
{
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, line), 0);
    CHECK_IS(pipe(inner), 0);
    catch_signal(SIGUSR1, 0);
    sigset_t early, before;
    sigemptyset(&early);
    sigaddset(&early, SIGSYS);
    CHECK_IS(sigprocmask(SIG_BLOCK, &early, NULL), 0); /* before there is a thread */
    interrupted("read", a_read);
    CHECK_IS(INLINE(SYS_getppid), getppid());
    CHECK_IS(pthread_sigmask(SIG_UNBLOCK, &early, &before), 0);
    CHECK(sigismember(&before, SIGSYS) == 1);
    interrupted("recvfrom", a_recvfrom);
    interrupted("poll", a_poll);
    interrupted("nanosleep", a_nanosleep);
    interrupted("futex with a timeout", a_timed_futex);
    catch_signal(SIGUSR1, SA_RESTART);
    restarted("read", a_read);
    restarted("recvfrom", a_recvfrom);
    for (int by_function = 0; by_function < 2; by_function++) {
        pthread_t thread = spawn(blocks_all, by_function ? &word : NULL);
        nap(2);
        CHECK_IS(write(line[1], "x", 1), 1);
        join(thread);
    }
    say("all signals blocked: calls go through");
    handler_reads(NULL, "nanosleep");
    handler_reads(&word, "ppoll");
    in_thread(sets_handler);
    say("rt_sigaction: as the function's");
    sent();
    word = 0;
    pthread_t thread = spawn(is_cancelled, NULL);
    nap(2);
    CHECK_IS(pthread_cancel(thread), 0);
    nap(2);
    CHECK_IS(word, 0);
    CHECK_IS(write(line[1], "x", 1), 1);
    CHECK(join(thread) == PTHREAD_CANCELED);
    CHECK_IS(word, 1);
    say("cancelled at the next cancellation point");
    return 0;
}
