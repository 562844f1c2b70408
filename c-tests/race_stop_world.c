/* The world stops as collectors stop it: a signal to each thread, whose handler waits in sigsuspend for another; nobody moves meanwhile.
 * covers: pthread_kill sigsuspend sigaction sem_post sem_wait
 * proof: green_threads>=12 parks>=10 kernel_threads_peak<=30
 * processors: 4
 * passes: sigaction: called before the first thread is made
 */
#include "ctest.h"
#include <semaphore.h>

enum { THREADS = 12, ROUNDS = 6 };

static pthread_t threads[THREADS];
static atomic_long counts[THREADS];
static atomic_int round_now;
static atomic_bool stop;
static sem_t stopped, never;

static void suspend(int number)
{
    int saved = errno, now = round_now;
    sigset_t mask;
    (void)number;
    sem_post(&stopped);
    sigfillset(&mask);
    sigdelset(&mask, SIGUSR2);
    while (round_now == now)
        sigsuspend(&mask);
    errno = saved;
}

static void resume(int number)
{
    (void)number;
}

/* Some compute, some yield, some sleep, some wait for ever (again and again). */
static void *works(void *argument)
{
    intptr_t i = (intptr_t)argument;
    while (!stop) {
        counts[i]++;
        if (i % 4 == 1)
            sched_yield();
        if (i % 4 == 2)
            nanosleep(&(struct timespec){0, 100000}, NULL);
        if (i % 4 == 3)
            sem_wait(&never);
    }
    return NULL;
}

int main(void)
{
    struct sigaction action = {.sa_handler = suspend};
    sigfillset(&action.sa_mask);
    CHECK_IS(sigaction(SIGUSR1, &action, NULL), 0);
    action.sa_handler = resume;
    CHECK_IS(sigaction(SIGUSR2, &action, NULL), 0);
    sem_init(&stopped, 0, 0);
    sem_init(&never, 0, 0);
    for (intptr_t i = 0; i < THREADS; i++)
        threads[i] = spawn(works, (void *)i);
    for (int round = 0; round < ROUNDS; round++) {
        long before[THREADS];
        for (int i = 0; i < THREADS; i++)
            CHECK_IS(pthread_kill(threads[i], SIGUSR1), 0);
        for (int i = 0; i < THREADS; i++)
            CHECK_IS(sem_wait(&stopped), 0);
        for (int i = 0; i < THREADS; i++)
            before[i] = counts[i];
        nap(round % 2);
        for (int i = 0; i < THREADS; i++)
            CHECK_IS(counts[i], before[i]);
        round_now++;
        for (int i = 0; i < THREADS; i++)
            CHECK_IS(pthread_kill(threads[i], SIGUSR2), 0);
        sched_yield();
    }
    say("stopped %d times", ROUNDS);
    stop = true;
    for (int i = 0; i < THREADS; i++) {
        sem_post(&never);
        sem_post(&never);
    }
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    return 0;
}
