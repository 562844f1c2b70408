/* Threads fork while signals pour in: what comes in the middle of a fork is the parent's, and the child goes on.
 * covers: fork waitpid kill sigaction _exit
 * uncounted: _exit
 * proof: green_threads>=8 parks>=300 hooks.fork>=300
 * passes: sigaction: called before the first thread is made
 */
#include "ctest.h"

enum { FORKERS = 6, FORKS = 50 };

static atomic_bool over;
static const int signals[] = {SIGUSR1, SIGUSR2, SIGHUP, SIGINT};

static void handler(int signal)
{
    (void)signal;
}

static void *forks(void *status)
{
    for (int i = 0; i < FORKS; i++) {
        int ended;
        pid_t child = fork();
        if (child == 0) {
            CHECK_IS(raise(SIGUSR1), 0);
            _exit((intptr_t)status);
        }
        usleep(1); /* parks, where the wait may find that the child has ended */
        CHECK_IS(TEMP_FAILURE_RETRY(waitpid(child, &ended, 0)), child);
        CHECK(WIFEXITED(ended));
        CHECK_IS(WEXITSTATUS(ended), (intptr_t)status);
    }
    return status;
}

static void *interrupts(void *argument)
{
    for (unsigned turn = 0; !over; turn++) {
        CHECK_IS(kill(getpid(), signals[turn % 4]), 0);
        if (turn % 4 == 0)
            sched_yield();
    }
    return argument;
}

int main(void)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    for (int i = 0; i < 4; i++)
        CHECK_IS(sigaction(signals[i], &action, NULL), 0);
    pthread_t forkers[FORKERS], interrupters[2] = {spawn(interrupts, NULL), spawn(interrupts, NULL)};
    for (intptr_t i = 0; i < FORKERS; i++)
        forkers[i] = spawn(forks, (void *)(i + 1));
    for (int i = 0; i < FORKERS; i++)
        join(forkers[i]);
    over = true;
    join(interrupters[0]);
    join(interrupters[1]);
    say("%d children ended as they were told", FORKERS * FORKS);
    return 0;
}
