/* A rwlock lets its readers in together and its writer alone, for each kind of preference.
 * covers: pthread_rwlock_rdlock pthread_rwlock_wrlock pthread_rwlock_tryrdlock pthread_rwlock_trywrlock pthread_rwlock_unlock
 * proof: green_threads>=45 parks>=1
 * passes: pthread_rwlock_tryrdlock: a try waits for nothing: it is glibc's, but where a writer that waits goes first
 */
#include "ctest.h"

enum { READERS = 6, WRITERS = 2, ROUNDS = 30 };

static pthread_rwlock_t lock;
static pthread_barrier_t all_readers;
static atomic_int readers_in, writers_in;
static long counter;

static void *together(void *argument)
{
    CHECK_IS(pthread_rwlock_rdlock(&lock), 0);
    pthread_barrier_wait(&all_readers); /* passes only when all are inside */
    CHECK_IS(pthread_rwlock_trywrlock(&lock), EBUSY);
    CHECK_IS(pthread_rwlock_tryrdlock(&lock), 0);
    CHECK_IS(pthread_rwlock_unlock(&lock), 0);
    pthread_barrier_wait(&all_readers);
    CHECK_IS(pthread_rwlock_unlock(&lock), 0);
    return argument;
}

static void *reader(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_IS(pthread_rwlock_rdlock(&lock), 0);
        readers_in++;
        CHECK_IS(writers_in, 0);
        if (i % 8 == 0)
            sched_yield();
        readers_in--;
        CHECK_IS(pthread_rwlock_unlock(&lock), 0);
    }
    return argument;
}

static void *writer(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_IS(pthread_rwlock_wrlock(&lock), 0);
        CHECK_IS(writers_in++, 0);
        CHECK_IS(readers_in, 0);
        long value = counter;
        if (i % 8 == 0)
            sched_yield();
        counter = value + 1;
        writers_in--;
        CHECK_IS(pthread_rwlock_unlock(&lock), 0);
    }
    return argument;
}

static void stranger(void)
{
    CHECK_IS(pthread_rwlock_tryrdlock(&lock), EBUSY);
    CHECK_IS(pthread_rwlock_trywrlock(&lock), EBUSY);
}

static const struct { const char *name; int kind; } rows[] = {
    {"prefers readers", PTHREAD_RWLOCK_PREFER_READER_NP},
    {"prefers writers", PTHREAD_RWLOCK_PREFER_WRITER_NP},
    {"prefers writers, not recursive", PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP},
};

int main(void)
{
    CHECK_IS(pthread_barrier_init(&all_readers, NULL, READERS), 0);
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        pthread_rwlockattr_t attributes;
        pthread_t threads[READERS + WRITERS];
        CHECK_IS(pthread_rwlockattr_init(&attributes), 0);
        CHECK_IS(pthread_rwlockattr_setkind_np(&attributes, rows[row].kind), 0);
        CHECK_IS(pthread_rwlock_init(&lock, &attributes), 0);
        counter = 0;
        for (int i = 0; i < READERS; i++)
            threads[i] = spawn(together, NULL);
        for (int i = 0; i < READERS; i++)
            join(threads[i]);
        for (int i = 0; i < READERS + WRITERS; i++)
            threads[i] = spawn(i < READERS ? reader : writer, NULL);
        for (int i = 0; i < READERS + WRITERS; i++)
            join(threads[i]);
        CHECK_IS(counter, WRITERS * ROUNDS);

        CHECK_IS(pthread_rwlock_wrlock(&lock), 0);
        in_thread(stranger);
        CHECK_IS(pthread_rwlock_rdlock(&lock), EDEADLK);
        CHECK_IS(pthread_rwlock_wrlock(&lock), EDEADLK);
        CHECK_IS(pthread_rwlock_unlock(&lock), 0);
        CHECK_IS(pthread_rwlock_destroy(&lock), 0);
        say("%s: readers together, writers alone, the writer again: EDEADLK", rows[row].name);
    }
    return 0;
}
