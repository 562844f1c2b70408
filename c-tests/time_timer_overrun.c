/* Of a timer one signal waits, however often it has expired, and counts the others: for a thread, and for the process.
 * covers: timer_create timer_settime timer_delete sigwaitinfo pthread_sigmask
 * proof: green_threads>=2 parks>=2 hooks.timer_create>=1
 * came: timer_create>=2: a timer that signals the process is the kernel's
 * passes: timer_settime: a timer of real time is the kernel's to set
 * passes: timer_delete: the library forgets the timer, and the kernel deletes it
 * passes: pthread_sigmask: called before the first thread is made
 */
#include "ctest.h"

static void *expires(void *notify)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = (intptr_t)notify, .sigev_signo = SIGRTMIN};
    event._sigev_un._tid = gettid();
    CHECK_IS(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    struct itimerspec often = {{0, 20000}, {0, 20000}};
    CHECK_IS(timer_settime(timer, 0, &often, NULL), 0);
    sigset_t one;
    siginfo_t info;
    sigemptyset(&one);
    sigaddset(&one, SIGRTMIN);
    CHECK_IS(sigwaitinfo(&one, &info), SIGRTMIN);
    nap(40);
    CHECK_IS(sigwaitinfo(&one, &info), SIGRTMIN);
    CHECK_IS(info.si_code, SI_TIMER);
    CHECK(info.si_overrun > 10);
    CHECK_IS(timer_delete(timer), 0);
    return notify;
}

static void handler(int signal)
{
    (void)signal;
}

int main(void)
{
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGRTMIN);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &one, NULL), 0);
    signal(SIGRTMIN, handler);
    join(spawn(expires, (void *)SIGEV_THREAD_ID));
    say("for the thread: one signal for all");
    join(spawn(expires, (void *)SIGEV_SIGNAL));
    say("for the process: one signal for all");
    return 0;
}
