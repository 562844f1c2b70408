/* main leaves by pthread_exit while signals pour in that the thread which stays has blocked: they wait, and nothing turns in a circle.
 * covers: pthread_exit pthread_sigmask kill fork waitpid
 * uncounted: pthread_exit pthread_sigmask
 * proof: green_threads>=1 hooks.fork>=100
 * no_park: only main waits, for threads that may have ended before it asks
 * passes: kill: a signal to another process, or one that no handler waits for, is the kernel's to send
 */
#include "ctest.h"

enum { CHILDREN = 100 };

static void handler(int signal)
{
    (void)signal;
}

static void *stays(void *argument)
{
    nap(2);
    exit(3);
    return argument;
}

static void *forks(void *argument)
{
    sigset_t one, before;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    for (int i = 0; i < CHILDREN; i++) {
        int status;
        pid_t child = fork(), ended;
        CHECK(child >= 0);
        if (child == 0) {
            alarm(CTEST_SECONDS);
            CHECK_IS(pthread_sigmask(SIG_BLOCK, &one, &before), 0);
            spawn(stays, NULL);
            CHECK_IS(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
            pthread_exit(NULL);
        }
        while ((ended = waitpid(child, &status, WNOHANG)) == 0)
            CHECK_IS(kill(child, SIGUSR1), 0);
        CHECK_IS(ended, child);
        CHECK(WIFEXITED(status));
        CHECK_IS(WEXITSTATUS(status), 3);
    }
    return argument;
}

int main(void)
{
    signal(SIGUSR1, handler);
    join(spawn(forks, NULL));
    say("%d times main left", CHILDREN);
    return 0;
}
