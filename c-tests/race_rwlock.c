/* Readers and writers storm one rwlock of each kind by every way to take it: readers see no half-made change.
 * covers: pthread_rwlock_rdlock pthread_rwlock_wrlock pthread_rwlock_tryrdlock pthread_rwlock_trywrlock pthread_rwlock_unlock
 * covers: pthread_rwlock_timedwrlock pthread_rwlock_clockrdlock pthread_once
 * proof: green_threads>=24 parks>=70
 */
#include "deadlines.h"

enum { THREADS = 8, EACH = 100 };

static pthread_rwlock_t lock;
static pthread_once_t once;
static long left, right;
static int initialised;

static void initialise(void)
{
    sched_yield();
    initialised++;
}

static void read_lock(int way)
{
    struct timespec deadline = in_ms(CLOCK_MONOTONIC, 60000);
    if (way == 0 && pthread_rwlock_tryrdlock(&lock) == 0)
        return;
    CHECK_IS(way == 1 ? pthread_rwlock_clockrdlock(&lock, CLOCK_MONOTONIC, &deadline) : pthread_rwlock_rdlock(&lock), 0);
}

static void write_lock(int way)
{
    struct timespec deadline = in_ms(CLOCK_REALTIME, 60000);
    if (way == 0 && pthread_rwlock_trywrlock(&lock) == 0)
        return;
    CHECK_IS(way == 1 ? pthread_rwlock_timedwrlock(&lock, &deadline) : pthread_rwlock_wrlock(&lock), 0);
}

static void *thread(void *number)
{
    CHECK_IS(pthread_once(&once, initialise), 0);
    CHECK_IS(initialised, 1);
    for (int i = 0; i < EACH; i++) {
        if (((intptr_t)number + i) % 4 == 0) {
            write_lock(i % 3);
            left++;
            if (i % 16 == 0)
                sched_yield();
            right++;
        } else {
            read_lock(i % 3);
            CHECK_IS(left, right);
            if (i % 16 == 1)
                sched_yield();
            CHECK_IS(left, right);
        }
        CHECK_IS(pthread_rwlock_unlock(&lock), 0);
    }
    return NULL;
}

int main(void)
{
    for (int kind = PTHREAD_RWLOCK_PREFER_READER_NP; kind <= PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP; kind++) {
        pthread_t threads[THREADS];
        pthread_rwlockattr_t attributes;
        CHECK_IS(pthread_rwlockattr_init(&attributes), 0);
        CHECK_IS(pthread_rwlockattr_setkind_np(&attributes, kind), 0);
        CHECK_IS(pthread_rwlock_init(&lock, &attributes), 0);
        once = PTHREAD_ONCE_INIT;
        left = right = initialised = 0;
        for (intptr_t i = 0; i < THREADS; i++)
            threads[i] = spawn(thread, (void *)i);
        for (int i = 0; i < THREADS; i++)
            join(threads[i]);
        CHECK_IS(left, THREADS * EACH / 4);
        CHECK_IS(pthread_rwlock_destroy(&lock), 0);
        say("kind %d: %ld changes, none seen half made", kind, left);
    }
    return 0;
}
