/* Process-shared mutex, condition variable, barrier, rwlock and semaphore work between threads of a parent and of its child.
 * covers: pthread_mutex_lock pthread_cond_signal pthread_barrier_wait pthread_rwlock_wrlock pthread_rwlock_rdlock sem_wait sem_post fork
 * proof: green_threads>=4 parks>=1 kernel_threads_peak<=14
 * processors: 4
 * passes: pthread_cond_signal: a condition that processes share is the kernel's
 */
#include "deadlines.h"
#include <semaphore.h>
#include <sys/mman.h>

enum { ROUNDS = 25, THREADS = 2 };

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    pthread_barrier_t barrier;
    pthread_rwlock_t lock;
    sem_t semaphore[2];
    int turn, counter, serial;
} *shared;

/* Whose turn it is alternates between the processes. */
static void ping_pong(int own)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct timespec deadline = in_ms(CLOCK_REALTIME, 60000);
        CHECK_IS(pthread_mutex_lock(&shared->mutex), 0);
        while (shared->turn != own)
            CHECK_IS(i % 2 ? pthread_cond_wait(&shared->condition, &shared->mutex)
                           : pthread_cond_timedwait(&shared->condition, &shared->mutex, &deadline), 0);
        shared->turn = !own;
        CHECK_IS(pthread_cond_signal(&shared->condition), 0);
        CHECK_IS(pthread_mutex_unlock(&shared->mutex), 0);
    }
}

static void *semaphores(void *own_number)
{
    intptr_t own = (intptr_t)own_number;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_IS(sem_wait(&shared->semaphore[own]), 0);
        CHECK_IS(sem_post(&shared->semaphore[!own]), 0);
    }
    return NULL;
}

static void *barrier_and_lock(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        int result = pthread_barrier_wait(&shared->barrier);
        CHECK(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
        CHECK_IS(pthread_rwlock_wrlock(&shared->lock), 0);
        shared->serial += result == PTHREAD_BARRIER_SERIAL_THREAD;
        shared->counter++;
        CHECK_IS(pthread_rwlock_unlock(&shared->lock), 0);
        CHECK_IS(pthread_rwlock_rdlock(&shared->lock), 0);
        CHECK(shared->counter > i);
        CHECK_IS(pthread_rwlock_unlock(&shared->lock), 0);
    }
    return argument;
}

static void one_side(intptr_t own)
{
    pthread_t threads[THREADS + 1];
    for (int i = 0; i < THREADS; i++)
        threads[i] = spawn(barrier_and_lock, NULL);
    threads[THREADS] = spawn(semaphores, (void *)own);
    ping_pong(own);
    for (int i = 0; i <= THREADS; i++)
        join(threads[i]);
}

static void initialise(void)
{
    pthread_mutexattr_t mutex;
    pthread_condattr_t condition;
    pthread_barrierattr_t barrier;
    pthread_rwlockattr_t lock;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    CHECK_IS(pthread_mutexattr_init(&mutex) | pthread_condattr_init(&condition), 0);
    CHECK_IS(pthread_barrierattr_init(&barrier) | pthread_rwlockattr_init(&lock), 0);
    CHECK_IS(pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED), 0);
    CHECK_IS(pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED), 0);
    CHECK_IS(pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED), 0);
    CHECK_IS(pthread_rwlockattr_setpshared(&lock, PTHREAD_PROCESS_SHARED), 0);
    CHECK_IS(pthread_mutex_init(&shared->mutex, &mutex), 0);
    CHECK_IS(pthread_cond_init(&shared->condition, &condition), 0);
    CHECK_IS(pthread_barrier_init(&shared->barrier, &barrier, 2 * THREADS), 0);
    CHECK_IS(pthread_rwlock_init(&shared->lock, &lock), 0);
    CHECK_IS(sem_init(&shared->semaphore[0], 1, 1), 0);
    CHECK_IS(sem_init(&shared->semaphore[1], 1, 0), 0);
}

/* The runtime starts, and a thread parks: all other waits here may be the kernel's. */
static void naps(void)
{
    CHECK_IS(usleep(1000), 0);
}

int main(void)
{
    initialise();
    in_thread(naps);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(CTEST_SECONDS);
        one_side(1);
        _exit(0);
    }
    int status;
    one_side(0);
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK_IS(status, 0);
    CHECK_IS(shared->counter, 2 * THREADS * ROUNDS);
    CHECK_IS(shared->serial, ROUNDS);
    say("two processes: %d turns, %d rounds of a barrier, one serial thread each", 2 * ROUNDS, ROUNDS);
    return 0;
}
