/* Deadlines race with wakes in each kind of timed wait; whoever is told that it was woken was, and nobody waits for ever.
 * covers: pthread_mutex_timedlock pthread_rwlock_timedrdlock pthread_rwlock_timedwrlock pthread_cond_timedwait poll syscall
 * proof: green_threads>=8 parks>=10
 */
#include "deadlines.h"
#include "futex.h"

enum { THREADS = 8, EACH = 60 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static _Atomic uint32_t word;
static atomic_int holders, readers, writers;
static int ends[2];

static struct timespec soon(clockid_t clock, unsigned *seed)
{
    return in_us(clock, random_below(60, seed));
}

static void sometimes_wait(int i)
{
    if (i % 4 == 0)
        usleep(30);
}

static void on_mutex(int i, unsigned *seed)
{
    struct timespec deadline = soon(CLOCK_REALTIME, seed);
    int error = pthread_mutex_timedlock(&mutex, &deadline);
    CHECK(error == 0 || error == ETIMEDOUT);
    if (error)
        return;
    CHECK_IS(holders++, 0);
    sometimes_wait(i);
    CHECK_IS(--holders, 0);
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
}

static void on_rwlock(int i, unsigned *seed)
{
    struct timespec deadline = soon(CLOCK_REALTIME, seed);
    bool write = i % 3 == 0;
    int error = write ? pthread_rwlock_timedwrlock(&lock, &deadline) : pthread_rwlock_timedrdlock(&lock, &deadline);
    CHECK(error == 0 || error == ETIMEDOUT);
    if (error)
        return;
    if (write) {
        CHECK_IS(writers++, 0);
        CHECK_IS(readers, 0);
    } else {
        readers++;
        CHECK_IS(writers, 0);
    }
    sometimes_wait(i);
    write ? writers-- : readers--;
    CHECK_IS(pthread_rwlock_unlock(&lock), 0);
}

static void on_condition(int i, unsigned *seed)
{
    struct timespec deadline = soon(CLOCK_REALTIME, seed);
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    CHECK_IS(holders++, 0);
    if (i % 2) {
        CHECK_IS(pthread_cond_signal(&condition), 0);
    } else {
        holders--;
        int error = pthread_cond_timedwait(&condition, &mutex, &deadline);
        CHECK(error == 0 || error == ETIMEDOUT);
        CHECK_IS(holders++, 0);
    }
    CHECK_IS(--holders, 0);
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
}

static void on_futex(int i, unsigned *seed)
{
    struct timespec deadline = soon(CLOCK_MONOTONIC, seed);
    if (i % 2) {
        word++;
        CHECK(futex_wake(&word, 1) >= 0);
    } else {
        long result = futex(&word, FUTEX_WAIT_BITSET_PRIVATE, word, &deadline, NULL, ~0u);
        CHECK(result == 0 || errno == ETIMEDOUT || errno == EAGAIN);
    }
}

static void on_pipe(int i, unsigned *seed)
{
    struct pollfd poll_for = {ends[0], POLLIN, 0};
    char byte;
    if (i % 2) {
        CHECK_IS(write(ends[1], "x", 1), 1);
    } else if (poll(&poll_for, 1, random_below(2, seed)) == 1) {
        CHECK_IS(poll_for.revents, POLLIN);
        CHECK(read(ends[0], &byte, 1) == 1 || errno == EAGAIN); /* another may have been quicker */
    }
}

static void *thread(void *number)
{
    static void (*const ways[])(int, unsigned *) = {on_mutex, on_rwlock, on_condition, on_futex, on_pipe};
    unsigned seed = (uintptr_t)number + 1;
    for (int i = 0; i < EACH; i++)
        ways[((intptr_t)number + i) % 5](i, &seed);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    CHECK_IS(pipe2(ends, O_NONBLOCK), 0);
    for (intptr_t i = 0; i < THREADS; i++)
        threads[i] = spawn(thread, (void *)i);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    CHECK_IS(holders + readers + writers, 0);
    CHECK_IS(pthread_mutex_trylock(&mutex), 0);
    CHECK_IS(pthread_rwlock_trywrlock(&lock), 0);
    say("%d threads, %d waits each, all came back, all locks free", THREADS, EACH);
    return 0;
}
