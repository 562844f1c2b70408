/* Handlers of threads without an alternate stack run on the thread's own stack, with SA_ONSTACK and without, while signals come from
 * everywhere: to the process and to threads, from another process, from threads and from timers. (Where the kernel comes with the first
 * kind is a stack that belongs to nobody: a handler that runs there finds frames overwritten.)
 * covers: sigaction sigsuspend ppoll pselect pthread_sigmask timer_create sigqueue pthread_sigqueue fork waitpid pthread_getattr_np
 * proof: green_threads>=4 parks>=100 hooks.pthread_sigqueue>=100
 * passes: sigaction: called before the first thread is made
 */
#include "ctest.h"

#define SIG_ANYBODY (SIGRTMIN + 1) /* to the process, SA_ONSTACK */
#define SIG_ONE (SIGRTMIN + 2)     /* to a thread, with 1, 2, 3, … */
#define SIG_TIMER (SIGRTMIN + 3)   /* of a thread's timer, SA_ONSTACK */

enum { RECEIVERS = 3, MILLISECONDS = 500, TURNS = 200 };

static __thread struct {
    char *low, *high; /* this thread's stack */
    volatile int come;
} mine;
static pthread_t receivers[RECEIVERS];
static atomic_int sent[RECEIVERS];
static atomic_int ended;
static atomic_bool over;

static void handler(int signal, siginfo_t *info, void *context)
{
    char here;
    (void)context;
    CHECK(mine.high == NULL || (mine.low <= &here && &here < mine.high));
    if (signal == SIG_ONE)
        CHECK_IS(info->si_value.sival_int, ++mine.come);
    else
        sched_yield();
}

static timer_t start_timer(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIG_TIMER};
    event._sigev_un._tid = gettid();
    struct itimerspec times = {{0, 100000}, {0, 100000}};
    timer_t timer;
    CHECK_IS(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    CHECK_IS(timer_settime(timer, 0, &times, NULL), 0);
    return timer;
}

static void *receives(void *number)
{
    pthread_attr_t attributes;
    void *low;
    size_t bytes;
    CHECK_IS(pthread_getattr_np(pthread_self(), &attributes), 0);
    CHECK_IS(pthread_attr_getstack(&attributes, &low, &bytes), 0);
    pthread_attr_destroy(&attributes);
    mine.low = low;
    mine.high = mine.low + bytes;
    timer_t timer = start_timer();
    sigset_t blocked, open;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIG_ONE);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &blocked, &open), 0);
    for (int turn = 0; turn < 4 || !over || mine.come < sent[(intptr_t)number]; turn++) { /* each kind on the slowest machine, too */
        switch (turn % 4) {
        case 0:
            ppoll(NULL, 0, &(struct timespec){0, 500000}, &open);
            break;
        case 1:
            pselect(0, NULL, NULL, NULL, &(struct timespec){0, 0}, &open);
            break;
        case 2:
            sigsuspend(&open); /* until the timer's signal, at the latest */
            break;
        case 3:
            CHECK_IS(pthread_sigmask(SIG_SETMASK, &open, NULL), 0);
            CHECK_IS(pthread_sigmask(SIG_BLOCK, &blocked, NULL), 0);
        }
    }
    CHECK_IS(timer_delete(timer), 0);
    ended++;
    for (;;)
        pause();
}

static void *sends(void *unused)
{
    for (int turn = 0; !over || turn < TURNS; turn++) { /* so many on the slowest machine, too */
        int number = turn % RECEIVERS;
        if (pthread_sigqueue(receivers[number], SIG_ONE, (union sigval){.sival_int = sent[number] + 1}) == 0)
            sent[number]++;
        if (turn % 5 == 0)
            sigqueue(getpid(), SIG_ANYBODY, (union sigval){0});
        if (turn % 16 == 0)
            nap(1);
    }
    return unused;
}

static void send_from_another_process(void)
{
    for (int i = 0; i < MILLISECONDS * 2; i++) {
        sigqueue(getppid(), SIG_ANYBODY, (union sigval){0});
        usleep(500);
    }
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    CHECK_IS(sigaction(SIG_ONE, &action, NULL), 0);
    action.sa_flags |= SA_ONSTACK;
    CHECK_IS(sigaction(SIG_ANYBODY, &action, NULL), 0);
    CHECK_IS(sigaction(SIG_TIMER, &action, NULL), 0);
    for (intptr_t i = 0; i < RECEIVERS; i++)
        receivers[i] = spawn(receives, (void *)i);
    pthread_t sender = spawn(sends, NULL);
    pid_t child = fork();
    if (child == 0) {
        send_from_another_process();
        _exit(0);
    }
    CHECK_IS(waitpid(child, NULL, 0), child);
    over = true;
    join(sender);
    while (ended < RECEIVERS)
        nap(1);
    say("each on its own stack, in order");
    return 0;
}
