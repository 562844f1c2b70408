/* Threads that wait on a condition variable end one after another while they hold its mutex, which is robust: each next one is told, and so
 * is who comes last. A try in between is answered as long as one of them holds it. With priority inheritance the kernel keeps an owner of
 * its own, the kernel thread.
 * Kernel threads: the eight of one round's waits, which are on their way to rest, beside the eight of the next, four workers, and those
 * that watch.
 * covers: pthread_cond_wait pthread_mutex_trylock pthread_mutex_lock pthread_mutex_unlock pthread_cond_broadcast
 * proof: green_threads>=192 parks>=24 hooks.pthread_mutex_trylock>=48 hooks.pthread_cond_wait>=192 kernel_threads_peak<=24
 * processors: 4
 */
#include "ctest.h"

enum { THREADS = 8, ROUNDS = 12 };
static pthread_mutex_t mutex;
static pthread_cond_t wanted = PTHREAD_COND_INITIALIZER;
static int waiting, told;
static atomic_int tries;

static void *waits(void *argument)
{
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    waiting++;
    int error = pthread_cond_wait(&wanted, &mutex);
    CHECK(error == 0 || error == EOWNERDEAD);
    told += error == EOWNERDEAD;
    return argument; /* it ends as the owner */
}

static void *tries_it(void *argument)
{
    int error;
    for (int turn = 0; turn < 3; turn++) {
        error = pthread_mutex_trylock(&mutex);
        CHECK(error == 0 || error == EBUSY || error == EOWNERDEAD);
        tries++;
        if (error != EBUSY)
            break;
        sched_yield();
    }
    return argument; /* perhaps as the owner */
}

static void round_of(int protocol)
{
    pthread_t threads[THREADS], trying[2];
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setprotocol(&attributes, protocol);
    CHECK_IS(pthread_mutex_init(&mutex, &attributes), 0);
    waiting = told = 0;
    for (int i = 0; i < THREADS; i++)
        threads[i] = spawn(waits, NULL);
    for (bool all = false; !all; sched_yield()) {
        CHECK_IS(pthread_mutex_lock(&mutex), 0);
        all = waiting == THREADS;
        CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    }
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    CHECK_IS(pthread_cond_broadcast(&wanted), 0);
    for (int i = 0; i < 2; i++)
        trying[i] = spawn(tries_it, NULL);
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    for (int i = 0; i < 2; i++)
        join(trying[i]);
    CHECK_IS(pthread_mutex_lock(&mutex), EOWNERDEAD);
    CHECK(told >= THREADS - 1);
    CHECK_IS(pthread_mutex_consistent(&mutex), 0);
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    CHECK_IS(pthread_mutex_destroy(&mutex), 0);
}

int main(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        round_of(PTHREAD_PRIO_NONE);
        round_of(PTHREAD_PRIO_INHERIT);
    }
    CHECK(tries >= ROUNDS * 2 * 2);
    say("%d times %d ended as the owner", ROUNDS * 2, THREADS);
    return 0;
}
