/* A cancellation ends a thread in a signal handler that waits: what is to be cleaned up is, in the handler and in what it interrupted.
 * covers: pthread_cancel pthread_kill read pthread_join
 * proof: green_threads>=3 parks>=4 hooks.pthread_cancel>=3 kernel_threads_peak<=12
 * processors: 4
 */
#include "ctest.h"
#include <semaphore.h>

static sem_t ready;
static atomic_bool inside;
static int idle[2];
static long cleaned;

static void cleanup(void *number)
{
    cleaned = cleaned * 10 + (intptr_t)number;
}

static void waits_inside(void)
{
    char byte;
    pthread_cleanup_push(cleanup, (void *)1);
    inside = true;
    CHECK(read(idle[0], &byte, 1) != 1);
    pthread_cleanup_pop(0);
}

static void handler(int number)
{
    (void)number;
    pthread_cleanup_push(cleanup, (void *)2);
    waits_inside();
    pthread_cleanup_pop(0);
}

static void *waits(void *argument)
{
    char byte;
    pthread_cleanup_push(cleanup, (void *)3);
    sem_post(&ready);
    for (;;)
        CHECK(read(idle[0], &byte, 1) != 1);
    pthread_cleanup_pop(0);
    return argument;
}

int main(void)
{
    static const int flags[] = {0, SA_RESTART, SA_SIGINFO};
    CHECK_IS(pipe(idle), 0);
    sem_init(&ready, 0, 0);
    for (int i = 0; i < 3; i++) {
        CHECK_IS(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler, .sa_flags = flags[i]}, NULL), 0);
        inside = false;
        cleaned = 0;
        pthread_t thread = spawn(waits, NULL);
        CHECK_IS(sem_wait(&ready), 0);
        CHECK_IS(pthread_kill(thread, SIGUSR1), 0);
        while (!inside)
            sched_yield();
        nap(i);
        CHECK_IS(pthread_cancel(thread), 0);
        CHECK(join(thread) == PTHREAD_CANCELED);
        say("cleaned up: %ld", cleaned);
    }
    return 0;
}
