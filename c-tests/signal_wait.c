/* Threads wait for signals that they block, each kind of wait, and take what was sent to them, to the process, or with a value.
 * covers: sigwait sigwaitinfo sigtimedwait sigsuspend __sigsuspend pthread_sigqueue sigqueue tgkill pthread_kill kill pthread_sigmask
 * proof: green_threads>=9 parks>=4
 */
#include "deadlines.h"

extern int __sigsuspend(const sigset_t *mask);

static sigset_t usr1, none;
static _Thread_local volatile sig_atomic_t caught;
static atomic_int tid;

static void handler(int number)
{
    CHECK_IS(number, SIGUSR1);
    caught++;
}

static int by_sigwait(void)
{
    int number;
    CHECK_IS(sigwait(&usr1, &number), 0);
    CHECK_IS(number, SIGUSR1);
    return 0;
}

static int by_sigwaitinfo(void)
{
    siginfo_t info;
    CHECK_IS(sigwaitinfo(&usr1, &info), SIGUSR1);
    CHECK_IS(info.si_pid, getpid());
    return info.si_code == SI_QUEUE ? info.si_value.sival_int : 0;
}

static int by_sigtimedwait(void)
{
    siginfo_t info;
    CHECK_IS(sigtimedwait(&usr1, &info, &(struct timespec){60, 0}), SIGUSR1);
    return info.si_code == SI_QUEUE ? info.si_value.sival_int : 0;
}

static int suspended(int (*suspend)(const sigset_t *))
{
    sigset_t after;
    CHECK_FAILS(suspend(&none), EINTR);
    CHECK_IS(caught, 1);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
    CHECK(sigismember(&after, SIGUSR1)); /* the old mask again */
    return 0;
}

static int by_sigsuspend(void) { return suspended(sigsuspend); }
static int by_its_alias(void) { return suspended(__sigsuspend); }

static void send_by_kill(pthread_t thread) { CHECK_IS(pthread_kill(thread, SIGUSR1), 0); }
static void send_by_queue(pthread_t thread) { CHECK_IS(pthread_sigqueue(thread, SIGUSR1, (union sigval){.sival_int = 7}), 0); }
static void send_by_tgkill(pthread_t thread) { (void)thread; CHECK_IS(tgkill(getpid(), tid, SIGUSR1), 0); }
static void send_to_process(pthread_t thread) { (void)thread; CHECK_IS(kill(getpid(), SIGUSR1), 0); }
static void queue_to_process(pthread_t thread)
{
    (void)thread;
    CHECK_IS(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 8}), 0);
}

static const struct row { const char *name; int (*wait)(void); void (*send)(pthread_t); } rows[] = {
    {"sigwait, pthread_kill", by_sigwait, send_by_kill},
    {"sigwait, kill", by_sigwait, send_to_process},
    {"sigwaitinfo, pthread_sigqueue", by_sigwaitinfo, send_by_queue},
    {"sigwaitinfo, tgkill", by_sigwaitinfo, send_by_tgkill},
    {"sigtimedwait, sigqueue", by_sigtimedwait, queue_to_process},
    {"sigtimedwait, kill", by_sigtimedwait, send_to_process},
    {"sigsuspend, pthread_kill", by_sigsuspend, send_by_kill},
    {"__sigsuspend, tgkill", by_its_alias, send_by_tgkill},
};

static void *waits(void *argument)
{
    const struct row *row = argument;
    tid = gettid();
    return (void *)(intptr_t)row->wait();
}

static void runs_out(void)
{
    struct timespec end = in_ms(CLOCK_MONOTONIC, 3);
    CHECK_FAILS(sigtimedwait(&usr1, NULL, &(struct timespec){0, 3000000}), EAGAIN);
    CHECK(reached(CLOCK_MONOTONIC, end));
    CHECK_FAILS(sigtimedwait(&usr1, NULL, &(struct timespec){0, 0}), EAGAIN);
    CHECK_FAILS(sigtimedwait(&usr1, NULL, &(struct timespec){0, -1}), EINVAL);
    say("sigtimedwait alone: EAGAIN");
}

int main(void)
{
    sigemptyset(&none);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    CHECK_IS(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler}, NULL), 0);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &usr1, NULL), 0);
    for (const struct row *row = rows; row < rows + sizeof rows / sizeof *rows; row++) {
        tid = 0;
        pthread_t thread = spawn(waits, (void *)row);
        while (tid == 0)
            sched_yield();
        nap((row - rows) % 2); /* already waiting, or just about to: the signal stays pending */
        row->send(thread);
        say("%s: value %d", row->name, (int)(intptr_t)join(thread));
    }
    in_thread(runs_out);
    return 0;
}
