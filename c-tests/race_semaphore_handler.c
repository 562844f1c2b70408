/* A handler ends a timed wait for a semaphore whenever it runs: also between two looks at it, and when one of those is just over.
 * covers: sem_timedwait pthread_kill sigaction
 * proof: green_threads>=4 parks>=1300
 * passes: sigaction: called before the first thread is made
 */
#include "ctest.h"
#include <semaphore.h>

enum { THREADS = 4, ROUNDS = 150 };

static sem_t never, asked[THREADS];
static _Thread_local volatile sig_atomic_t handled;
static pthread_t waiters[THREADS];

static _Thread_local struct timespec until;

/* A wait that has not begun yet has no time. */
static void on_signal(int number)
{
    (void)number;
    until.tv_sec = 0;
    handled = 1;
}

/* Each round one signal comes. */
static void *waits(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        handled = 0;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 3600;
        CHECK_IS(sem_post(&asked[(intptr_t)argument]), 0);
        while (!handled) {
            CHECK_IS(sem_timedwait(&never, &until), -1);
            CHECK(errno == EINTR || errno == ETIMEDOUT);
        }
    }
    return NULL;
}

/* From 0 to some milliseconds later: where the wait may look again by itself. */
static void *signals(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_IS(sem_wait(&asked[(intptr_t)argument]), 0);
        nanosleep(&(struct timespec){0, 1000000 + i % 50 * 100000}, NULL);
        CHECK_IS(pthread_kill(waiters[(intptr_t)argument], SIGUSR1), 0);
    }
    return NULL;
}

int main(void)
{
    pthread_t signallers[THREADS];
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    CHECK_IS(sigaction(SIGUSR1, &action, NULL), 0);
    CHECK_IS(sem_init(&never, 0, 0), 0);
    for (intptr_t i = 0; i < THREADS; i++)
        CHECK_IS(sem_init(&asked[i], 0, 0), 0);
    for (intptr_t i = 0; i < THREADS; i++)
        waiters[i] = spawn(waits, (void *)i);
    for (intptr_t i = 0; i < THREADS; i++)
        signallers[i] = spawn(signals, (void *)i);
    for (int i = 0; i < THREADS; i++) {
        join(signallers[i]);
        join(waiters[i]);
    }
    say("interrupted %d times", THREADS * ROUNDS);
    return 0;
}
