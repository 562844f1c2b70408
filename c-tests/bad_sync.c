/* Synchronisation calls given bad attributes, bad times, bad clocks, and objects in the wrong state answer as libc does.
 * covers: pthread_mutex_init pthread_mutex_lock pthread_mutex_unlock pthread_mutex_trylock pthread_mutex_timedlock
 * covers: pthread_mutex_clocklock pthread_mutex_destroy pthread_cond_clockwait pthread_cond_timedwait pthread_rwlock_rdlock
 * covers: pthread_rwlock_clockrdlock pthread_rwlock_clockwrlock pthread_rwlock_timedrdlock pthread_rwlock_timedwrlock
 * covers: pthread_rwlock_wrlock pthread_barrier_init sem_post sem_timedwait sem_clockwait sem_trywait mtx_timedlock cnd_timedwait
 * proof: green_threads>=4 parks>=13
 */
#include "bad.h"
#include <semaphore.h>
#include <threads.h>

static const struct timespec past = {1, 0}, before = {-1, 0}, negative_ns = {1, -1}, too_many_ns = {1, 1000000000};
static const struct time { const char *name; const struct timespec *time; } times[] = {
    {"the past", &past}, {"before 1970", &before}, {"negative nanoseconds", &negative_ns}, {"too many nanoseconds", &too_many_ns},
};
static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_BOOTTIME, -1, 99};

static void attributes(void)
{
    pthread_mutexattr_t mutex;
    pthread_condattr_t condition;
    pthread_rwlockattr_t lock;
    pthread_barrierattr_t barrier;
    pthread_barrier_t object;
    CHECK_IS(pthread_mutexattr_init(&mutex) | pthread_condattr_init(&condition), 0);
    CHECK_IS(pthread_rwlockattr_init(&lock) | pthread_barrierattr_init(&barrier), 0);
    TRY_ERROR(pthread_mutexattr_settype(&mutex, 99));
    TRY_ERROR(pthread_mutexattr_setprotocol(&mutex, 99));
    TRY_ERROR(pthread_mutexattr_setpshared(&mutex, 99));
    TRY_ERROR(pthread_mutexattr_setrobust(&mutex, 99));
    TRY_ERROR(pthread_mutexattr_setprioceiling(&mutex, 1000));
    TRY_ERROR(pthread_condattr_setclock(&condition, CLOCK_PROCESS_CPUTIME_ID));
    TRY_ERROR(pthread_condattr_setclock(&condition, 99));
    TRY_ERROR(pthread_condattr_setpshared(&condition, 99));
    TRY_ERROR(pthread_rwlockattr_setkind_np(&lock, 99));
    TRY_ERROR(pthread_rwlockattr_setpshared(&lock, 99));
    TRY_ERROR(pthread_barrierattr_setpshared(&barrier, 99));
    TRY_ERROR(pthread_barrier_init(&object, NULL, 0));
    TRY_ERROR(pthread_barrier_init(&object, NULL, UINT_MAX));
}

static void mutexes(void)
{
    pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER, checking = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP, free_one, robust, unknown;
    pthread_mutexattr_t attribute;
    CHECK_IS(pthread_mutex_init(&free_one, NULL), 0);
    CHECK_IS(pthread_mutex_lock(&held), 0);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        say("%s:", times[i].name);
        TRY_ERROR(pthread_mutex_timedlock(&held, times[i].time));
        TRY_ERROR(pthread_mutex_clocklock(&held, CLOCK_MONOTONIC, times[i].time));
        TRY_ERROR(pthread_mutex_timedlock(&free_one, times[i].time));
        CHECK_IS(pthread_mutex_unlock(&free_one), 0);
    }
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        say("clock %d:", clocks[i]);
        TRY_ERROR(pthread_mutex_clocklock(&held, clocks[i], &past));
    }
    TRY_ERROR(pthread_mutex_trylock(&held));
    TRY_ERROR(pthread_mutex_destroy(&held));
    TRY_ERROR(pthread_mutex_unlock(&checking));
    TRY_ERROR(pthread_mutex_lock(&checking));
    TRY_ERROR(pthread_mutex_timedlock(&checking, &too_many_ns));
    TRY_ERROR(pthread_mutex_unlock(&checking));

    CHECK_IS(pthread_mutexattr_init(&attribute), 0);
    CHECK_IS(pthread_mutexattr_setrobust(&attribute, PTHREAD_MUTEX_ROBUST), 0);
    CHECK_IS(pthread_mutex_init(&robust, &attribute), 0);
    TRY_ERROR(pthread_mutex_consistent(&robust));
    TRY_ERROR(pthread_mutex_consistent(&held));
    TRY_ERROR(pthread_mutex_unlock(&robust));
    memset(&unknown, 0x5a, sizeof unknown); /* of no type that there is */
    TRY_ERROR(pthread_mutex_lock(&unknown));
    TRY_ERROR(pthread_mutex_trylock(&unknown));
    TRY_ERROR(pthread_mutex_timedlock(&unknown, &past));
    TRY_ERROR(pthread_mutex_unlock(&unknown));
}

static void conditions_and_rwlocks(void)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    TRY_ERROR(pthread_rwlock_wrlock(&lock));
    TRY_ERROR(pthread_rwlock_wrlock(&lock));
    TRY_ERROR(pthread_rwlock_rdlock(&lock));
    CHECK_IS(pthread_rwlock_unlock(&lock), 0);
    CHECK_IS(pthread_rwlock_rdlock(&lock), 0);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        say("%s:", times[i].name);
        TRY_ERROR(pthread_cond_timedwait(&condition, &mutex, times[i].time));
        TRY_ERROR(pthread_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, times[i].time));
        TRY_ERROR(pthread_rwlock_timedwrlock(&lock, times[i].time));
        TRY_ERROR(pthread_rwlock_clockwrlock(&lock, CLOCK_REALTIME, times[i].time));
    }
    CHECK_IS(pthread_rwlock_unlock(&lock), 0);
    TRY_ERROR(pthread_rwlock_timedrdlock(&lock, &too_many_ns));
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        say("clock %d:", clocks[i]);
        TRY_ERROR(pthread_cond_clockwait(&condition, &mutex, clocks[i], &past));
        int error = pthread_rwlock_clockrdlock(&lock, clocks[i], &past);
        say("pthread_rwlock_clockrdlock: %s", error_name(error));
        if (error == 0)
            CHECK_IS(pthread_rwlock_unlock(&lock), 0);
    }
}

static void semaphores(void)
{
    sem_t semaphore;
    mtx_t mutex;
    cnd_t condition;
    TRY(sem_init(&semaphore, 0, UINT_MAX));
    CHECK_IS(sem_init(&semaphore, 0, SEM_VALUE_MAX), 0);
    TRY(sem_post(&semaphore));
    CHECK_IS(sem_init(&semaphore, 0, 0), 0);
    TRY(sem_trywait(&semaphore));
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        say("%s:", times[i].name);
        TRY(sem_timedwait(&semaphore, times[i].time));
        TRY(sem_clockwait(&semaphore, CLOCK_MONOTONIC, times[i].time));
    }
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        say("clock %d:", clocks[i]);
        TRY(sem_clockwait(&semaphore, clocks[i], &past));
    }
    TRY(sem_open("/no such/semaphore", 0) == SEM_FAILED);
    TRY(sem_open("/", 0) == SEM_FAILED);
    TRY(sem_unlink("/greenpatch-c-test-nobody-made-this"));
    TRY(mtx_init(&mutex, 99) == thrd_error);
    CHECK_IS(mtx_init(&mutex, mtx_timed), thrd_success);
    CHECK_IS(cnd_init(&condition), thrd_success);
    CHECK_IS(mtx_lock(&mutex), thrd_success);
    TRY(mtx_timedlock(&mutex, &past) == thrd_timedout);
    TRY(mtx_timedlock(&mutex, &negative_ns) == thrd_error);
    TRY(cnd_timedwait(&condition, &mutex, &past) == thrd_timedout);
    TRY(cnd_timedwait(&condition, &mutex, &too_many_ns) == thrd_error);
}

int main(void)
{
    in_thread(attributes);
    in_thread(mutexes);
    in_thread(conditions_and_rwlocks);
    in_thread(semaphores);
    return 0;
}
