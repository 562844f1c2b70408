/* Fifty threads increment one counter under one mutex, taken by lock, trylock and timedlock, some with a wait inside.
 * covers: pthread_mutex_lock pthread_mutex_trylock pthread_mutex_timedlock pthread_mutex_clocklock pthread_mutex_unlock
 * proof: green_threads>=50 parks>=50
 * passes: pthread_mutex_trylock: a try waits for nothing: the lock's words are glibc's, and so is the try, but for robust locks and those
 *   with priorities
 */
#include "deadlines.h"

enum { THREADS = 50, EACH = 100 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counter;
static atomic_int inside;

static void lock_by(int way)
{
    struct timespec deadline = in_ms(way == 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME, way == 3 ? 0 : 60000);
    switch (way) {
    case 0:
        while (pthread_mutex_trylock(&mutex) != 0)
            sched_yield();
        break;
    case 1:
        CHECK_IS(pthread_mutex_timedlock(&mutex, &deadline), 0);
        break;
    case 2:
        CHECK_IS(pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &deadline), 0);
        break;
    case 3: /* timeouts that race with the unlock */
        if (pthread_mutex_timedlock(&mutex, &deadline) == 0)
            break;
        /* fall through */
    default:
        CHECK_IS(pthread_mutex_lock(&mutex), 0);
    }
}

static void *thread(void *number)
{
    for (int i = 0; i < EACH; i++) {
        lock_by(((intptr_t)number + i) % 8);
        CHECK_IS(inside++, 0);
        long value = counter;
        if (i == (intptr_t)number * 2)
            usleep(20);
        counter = value + 1;
        inside--;
        CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    for (intptr_t i = 0; i < THREADS; i++)
        threads[i] = spawn(thread, (void *)i);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    CHECK_IS(counter, THREADS * EACH);
    say("%d increments", THREADS * EACH);
    return 0;
}
