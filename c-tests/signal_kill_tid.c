/* kill and sigqueue with a thread's tid send to its process; a signal that an exit handler raises after the last thread ends the process.
 * covers: kill sigqueue gettid pause
 * proof: green_threads>=2 parks>=1 hooks.kill>=1
 */
#include "ctest.h"

static atomic_int handled, target;
static pthread_t taker;

static void handler(int number)
{
    (void)number;
    CHECK(pthread_self() == taker);
    handled++;
}

static void *is_named(void *argument)
{
    target = gettid();
    pause();
    return argument;
}

static void *takes(void *argument)
{
    sigset_t usr1;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    taker = pthread_self();
    while (target == 0)
        sched_yield();
    CHECK_IS(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL), 0);
    CHECK_IS(kill(target, SIGUSR1), 0);
    while (handled < 1)
        sched_yield();
    CHECK_IS(sigqueue(target, SIGUSR1, (union sigval){0}), 0);
    while (handled < 2)
        sched_yield();
    CHECK_IS(kill(target, 0), 0);
    return argument;
}

static void ends_badly(void)
{
    kill(getpid(), SIGTERM);
}

static void *ends(void *argument)
{
    nap(1);
    return argument;
}

static void without_main(void)
{
    atexit(ends_badly);
    spawn(ends, NULL);
    pthread_exit(NULL);
}

int main(void)
{
    sigset_t usr1;
    int status = in_child(without_main);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    say("killed in an exit handler after the last thread");
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &usr1, NULL), 0);
    CHECK_IS(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler}, NULL), 0);
    pthread_t named = spawn(is_named, NULL);
    join(spawn(takes, NULL));
    CHECK_IS(pthread_cancel(named), 0);
    CHECK(join(named) == PTHREAD_CANCELED);
    say("by a thread's tid to the process: %d times", handled);
    return 0;
}
