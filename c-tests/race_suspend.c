/* A signal that is sent once ends sigsuspend whenever it comes: before the call, on the way into its wait, in it; in a handler and outside.
 * covers: sigsuspend pthread_kill pthread_sigmask sem_post sem_wait
 * proof: green_threads>=4 parks>=800 kernel_threads_peak<=18
 * processors: 4
 */
#include "ctest.h"
#include <semaphore.h>

enum { THREADS = 4, ROUNDS = 300 };

static sem_t ready[THREADS];
static _Thread_local volatile sig_atomic_t resumed;
static _Thread_local int number;

static void resume(int signal)
{
    (void)signal;
    resumed = 1;
}

/* With SIGUSR2 blocked: says that it may be sent, and waits for it. */
static void wait_for_one(void)
{
    sigset_t all_but_one;
    sigfillset(&all_but_one);
    sigdelset(&all_but_one, SIGUSR2);
    resumed = 0;
    CHECK_IS(sem_post(&ready[number]), 0);
    do
        CHECK_FAILS(sigsuspend(&all_but_one), EINTR);
    while (!resumed);
}

static void suspend(int signal)
{
    (void)signal;
    wait_for_one();
}

static void *works(void *argument)
{
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR2);
    number = (int)(intptr_t)argument;
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &one, NULL), 0);
    for (int i = 0; i < ROUNDS; i++)
        if (i % 2)
            CHECK_IS(pthread_kill(pthread_self(), SIGUSR1), 0);
        else
            wait_for_one();
    return NULL;
}

static pthread_t workers[THREADS];

static void *resumes(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_IS(sem_wait(&ready[(intptr_t)argument]), 0);
        CHECK_IS(pthread_kill(workers[(intptr_t)argument], SIGUSR2), 0);
    }
    return NULL;
}

int main(void)
{
    pthread_t resumers[THREADS];
    struct sigaction action = {.sa_handler = suspend};
    sigfillset(&action.sa_mask);
    CHECK_IS(sigaction(SIGUSR1, &action, NULL), 0);
    action.sa_handler = resume;
    CHECK_IS(sigaction(SIGUSR2, &action, NULL), 0);
    for (intptr_t i = 0; i < THREADS; i++)
        CHECK_IS(sem_init(&ready[i], 0, 0), 0);
    for (intptr_t i = 0; i < THREADS; i++)
        workers[i] = spawn(works, (void *)i);
    for (intptr_t i = 0; i < THREADS; i++)
        resumers[i] = spawn(resumes, (void *)i);
    for (int i = 0; i < THREADS; i++) {
        join(resumers[i]);
        join(workers[i]);
    }
    say("resumed %d times", THREADS * ROUNDS);
    return 0;
}
