/* Two timers with one signal below the real-time ones: each has a signal of its own, also while the other's waits.
 * covers: timer_create timer_settime timer_delete pthread_sigmask
 * proof: green_threads>=1 parks>=1
 * passes: timer_settime: a timer of real time is the kernel's to set
 * passes: timer_delete: the library forgets the timer, and the kernel deletes it
 */
#include "ctest.h"

static atomic_int expired[2];

static void on_timer(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    expired[info->si_value.sival_int]++;
}

static void all(void)
{
    struct itimerspec soon = {.it_value = {0, 1000000}};
    timer_t timers[2];
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    for (int i = 0; i < 2; i++) {
        struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1, .sigev_value.sival_int = i};
        event._sigev_un._tid = gettid();
        CHECK_IS(timer_create(CLOCK_MONOTONIC, &event, &timers[i]), 0);
    }
    for (int round = 1; round <= 20; round++) {
        CHECK_IS(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
        CHECK_IS(timer_settime(timers[0], 0, &soon, NULL), 0);
        CHECK_IS(timer_settime(timers[1], 0, &soon, NULL), 0);
        nap(5);
        CHECK_IS(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
        for (int i = 0; i < 5000 && (expired[0] < round || expired[1] < round); i++)
            nap(1);
        CHECK(expired[0] == round && expired[1] == round);
    }
    CHECK_IS(timer_delete(timers[0]), 0);
    CHECK_IS(timer_delete(timers[1]), 0);
    say("both, each time");
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    in_thread(all);
    return 0;
}
