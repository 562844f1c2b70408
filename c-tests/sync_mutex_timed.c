/* Timed locks of a mutex end at their deadline on their clock, not before; and take it when it is given back in time.
 * covers: pthread_mutex_timedlock pthread_mutex_clocklock
 * proof: green_threads>=2 parks>=3
 */
#include "deadlines.h"
#include <semaphore.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static sem_t held, give_back;

static void *holder(void *argument)
{
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    sem_post(&held);
    sem_wait(&give_back);
    nap(1);
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    return argument;
}

static int lock_by(clockid_t clock, const struct timespec *deadline)
{
    return clock < 0 ? pthread_mutex_timedlock(&mutex, deadline) : pthread_mutex_clocklock(&mutex, clock, deadline);
}

static const struct { const char *name; clockid_t clock, counts_on; } rows[] = {
    {"timedlock", -1, CLOCK_REALTIME},
    {"clocklock on the real-time clock", CLOCK_REALTIME, CLOCK_REALTIME},
    {"clocklock on the monotonic clock", CLOCK_MONOTONIC, CLOCK_MONOTONIC},
};

int main(void)
{
    sem_init(&held, 0, 0);
    sem_init(&give_back, 0, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        pthread_t thread = spawn(holder, NULL);
        sem_wait(&held);
        struct timespec deadline = in_ms(rows[i].counts_on, 3), past = {1, 0}, before_1970 = {-1, 0}, bad = {1, 1000000000};
        CHECK_IS(lock_by(rows[i].clock, &deadline), ETIMEDOUT);
        CHECK(reached(rows[i].counts_on, deadline));
        CHECK_IS(lock_by(rows[i].clock, &past), ETIMEDOUT);
        CHECK_IS(lock_by(rows[i].clock, &before_1970), ETIMEDOUT);
        CHECK_IS(lock_by(rows[i].clock, &bad), EINVAL);
        say("%s, held: ETIMEDOUT, a bad time EINVAL", rows[i].name);

        sem_post(&give_back);
        deadline = in_ms(rows[i].counts_on, 60000);
        CHECK_IS(lock_by(rows[i].clock, &deadline), 0);
        CHECK_IS(pthread_mutex_unlock(&mutex), 0);
        join(thread);
        CHECK_IS(lock_by(rows[i].clock, &past), 0); /* free: the deadline does not matter */
        CHECK_IS(pthread_mutex_unlock(&mutex), 0);
        say("%s, given back: taken", rows[i].name);
    }
    struct timespec deadline = in_ms(CLOCK_REALTIME, 1000);
    CHECK_IS(pthread_mutex_clocklock(&mutex, CLOCK_PROCESS_CPUTIME_ID, &deadline), EINVAL);
    say("another clock: EINVAL");
    return 0;
}
