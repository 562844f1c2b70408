/* What a thread's own timers signal runs on that thread, to the last one that was under way when the timer was deleted.
 * covers: timer_create timer_settime timer_delete sigaction
 * proof: green_threads>=4 parks>=1 hooks.timer_create>=800
 * passes: timer_settime: a timer of real time is the kernel's to set
 * passes: timer_delete: the library forgets the timer, and the kernel deletes it
 * passes: sigaction: called before the first thread is made
 */
#include "ctest.h"

enum { OWNERS = 4, TIMERS = 200, PERIOD_NS = 50000 };

static __thread volatile int own = -1; /* the owner's number */
static __thread volatile int came;

static void handler(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    CHECK_IS(info->si_value.sival_int, own);
    came++;
}

static void *owns(void *number)
{
    own = (intptr_t)number;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = own};
    struct itimerspec often = {{0, PERIOD_NS}, {0, PERIOD_NS}};
    event._sigev_un._tid = gettid();
    for (int i = 0; i < TIMERS; i++) {
        timer_t timer;
        came = 0;
        CHECK_IS(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
        CHECK_IS(timer_settime(timer, 0, &often, NULL), 0);
        while (came < 2)
            sched_yield();
        CHECK_IS(timer_delete(timer), 0);
    }
    return number;
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    CHECK_IS(sigaction(SIGRTMIN, &action, NULL), 0);
    pthread_t owners[OWNERS];
    for (intptr_t i = 0; i < OWNERS; i++)
        owners[i] = spawn(owns, (void *)i);
    for (int i = 0; i < OWNERS; i++)
        join(owners[i]);
    say("each signal came to its own thread");
    return 0;
}
