/* Two timers of the process that share one signal below the real-time ones, which threads block and unblock all the time: each timer's
 * signal is taken once, also where both come while nobody takes them.
 * covers: timer_create timer_settime timer_delete pthread_sigmask sigtimedwait
 * proof: green_threads>=3 parks>=100
 * passes: timer_create timer_settime: a timer that signals the process is the kernel's
 * passes: timer_delete: the library forgets the timer, and the kernel deletes it
 */
#include "ctest.h"

enum { ROUNDS = 400 };

static atomic_int expired[2];
static atomic_bool stop;
static sigset_t set;

static void on_timer(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    CHECK_IS(info->si_code, SI_TIMER);
    expired[info->si_value.sival_int]++;
}

static void naps(long nanoseconds)
{
    nanosleep(&(struct timespec){0, nanoseconds}, NULL);
}

static void *opens_and_closes(void *unused)
{
    while (!stop) {
        CHECK_IS(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
        naps(20000);
        CHECK_IS(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
        naps(20000);
    }
    return unused;
}

static void start(timer_t *timers, int round)
{
    for (int i = 0; i < 2; i++) {
        struct itimerspec soon = {.it_value = {0, 100000 + 1000 * (round % 50) * i}};
        CHECK_IS(timer_settime(timers[i], 0, &soon, NULL), 0);
    }
}

static void all(void)
{
    timer_t timers[2];
    for (int i = 0; i < 2; i++) {
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = i};
        CHECK_IS(timer_create(CLOCK_MONOTONIC, &event, &timers[i]), 0);
    }
    pthread_t threads[2] = {spawn(opens_and_closes, NULL), spawn(opens_and_closes, NULL)};
    for (int round = 1; round <= ROUNDS; round++) {
        start(timers, round);
        for (int i = 0; i < 50000 && (expired[0] < round || expired[1] < round); i++)
            naps(100000);
        CHECK(expired[0] == round && expired[1] == round);
    }
    stop = true;
    join(threads[0]);
    join(threads[1]);
    say("by handlers");
    /* Nobody else takes them. */
    for (int round = 1; round <= 20; round++) {
        siginfo_t one, other;
        start(timers, round);
        nap(2);
        CHECK_IS(sigtimedwait(&set, &one, &(struct timespec){5, 0}), SIGUSR1);
        CHECK_IS(sigtimedwait(&set, &other, &(struct timespec){5, 0}), SIGUSR1);
        CHECK_IS(one.si_value.sival_int + other.si_value.sival_int, 1);
        CHECK_FAILS(sigtimedwait(&set, &one, &(struct timespec){0, 0}), EAGAIN);
    }
    say("waited for");
    CHECK_IS(timer_delete(timers[0]), 0);
    CHECK_IS(timer_delete(timers[1]), 0);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    in_thread(all);
    return 0;
}
