/* main waits for signals that other threads do not block: they come to main, and their default does not happen.
 * covers: sigwait sigtimedwait kill pthread_sigmask
 * proof: green_threads>=4 parks>=4
 * passes: kill: a signal to another process, or one that no handler waits for, is the kernel's to send
 */
#include "ctest.h"

static atomic_bool stop;

static void *open_to_all(void *argument)
{
    while (!stop) {
        nap(1);
        sched_yield();
    }
    return argument;
}

static void *sends(void *argument)
{
    nap(3);
    CHECK_IS(kill(getpid(), (intptr_t)argument), 0);
    return NULL;
}

static void *ends(void *argument)
{
    return argument;
}

/* Deadly ones, and one that would be ignored. */
static const int signals[] = {SIGUSR2, SIGTERM, SIGCHLD, SIGUSR2};

int main(void)
{
    sigset_t set;
    pthread_t others[3];
    for (int i = 0; i < 3; i++)
        others[i] = spawn(open_to_all, NULL);
    for (const int *number = signals; number < signals + sizeof signals / sizeof *signals; number++) {
        int got;
        sigemptyset(&set);
        sigaddset(&set, *number);
        CHECK_IS(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
        pthread_t sender = spawn(sends, (void *)(intptr_t)*number);
        CHECK_IS(sigwait(&set, &got), 0);
        CHECK_IS(got, *number);
        join(sender);
        say("%s: main's", sigabbrev_np(got));
        CHECK_FAILS(sigtimedwait(&set, NULL, &(struct timespec){0, 1000000}), EAGAIN);
        struct sigaction action;
        CHECK_IS(sigaction(*number, NULL, &action), 0);
        CHECK(action.sa_handler == SIG_DFL);
    }
    stop = true;
    for (int i = 0; i < 3; i++)
        join(others[i]);
    join(spawn(ends, NULL));
    return 0;
}
