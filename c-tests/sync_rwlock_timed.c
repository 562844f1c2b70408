/* Timed locks of a rwlock end at their deadline on their clock, and take it when it is given back in time.
 * covers: pthread_rwlock_timedrdlock pthread_rwlock_timedwrlock pthread_rwlock_clockrdlock pthread_rwlock_clockwrlock
 * proof: green_threads>=6 parks>=6
 */
#include "deadlines.h"
#include <semaphore.h>

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t held, give_back;

typedef int timed(pthread_rwlock_t *, const struct timespec *);
typedef int clocked(pthread_rwlock_t *, clockid_t, const struct timespec *);

static const struct row { const char *name; timed *timed; clocked *clocked; clockid_t clock; } rows[] = {
    {"timedrdlock", pthread_rwlock_timedrdlock, NULL, CLOCK_REALTIME},
    {"timedwrlock", pthread_rwlock_timedwrlock, NULL, CLOCK_REALTIME},
    {"clockrdlock, real-time", NULL, pthread_rwlock_clockrdlock, CLOCK_REALTIME},
    {"clockrdlock, monotonic", NULL, pthread_rwlock_clockrdlock, CLOCK_MONOTONIC},
    {"clockwrlock, real-time", NULL, pthread_rwlock_clockwrlock, CLOCK_REALTIME},
    {"clockwrlock, monotonic", NULL, pthread_rwlock_clockwrlock, CLOCK_MONOTONIC},
};

static int lock_until(const struct row *row, const struct timespec *deadline)
{
    return row->timed ? row->timed(&lock, deadline) : row->clocked(&lock, row->clock, deadline);
}

static void *holder(void *argument)
{
    CHECK_IS(pthread_rwlock_wrlock(&lock), 0);
    sem_post(&held);
    sem_wait(&give_back);
    nap(1);
    CHECK_IS(pthread_rwlock_unlock(&lock), 0);
    return argument;
}

int main(void)
{
    sem_init(&held, 0, 0);
    sem_init(&give_back, 0, 0);
    for (const struct row *row = rows; row < rows + sizeof rows / sizeof *rows; row++) {
        pthread_t thread = spawn(holder, NULL);
        sem_wait(&held);
        struct timespec deadline = in_ms(row->clock, 3);
        CHECK_IS(lock_until(row, &deadline), ETIMEDOUT);
        CHECK(reached(row->clock, deadline));
        CHECK_IS(lock_until(row, &(struct timespec){1, 0}), ETIMEDOUT);
        CHECK_IS(lock_until(row, &(struct timespec){1, -1}), EINVAL);
        sem_post(&give_back);
        deadline = in_ms(row->clock, 60000);
        CHECK_IS(lock_until(row, &deadline), 0);
        CHECK_IS(pthread_rwlock_unlock(&lock), 0);
        join(thread);
        CHECK_IS(lock_until(row, &(struct timespec){1, 1000000000}), EINVAL); /* checked even when it is free */
        say("%s: ETIMEDOUT while held, a bad time EINVAL, taken when given back", row->name);
    }
    struct timespec deadline = in_ms(CLOCK_REALTIME, 1000);
    CHECK_IS(pthread_rwlock_clockrdlock(&lock, CLOCK_PROCESS_CPUTIME_ID, &deadline), EINVAL);
    CHECK_IS(pthread_rwlock_clockwrlock(&lock, CLOCK_PROCESS_CPUTIME_ID, &deadline), EINVAL);
    say("another clock: EINVAL");
    return 0;
}
