/* Timed waits on a condition variable end at their deadline on the clock they go by, hold the mutex again, and are woken before it.
 * covers: pthread_cond_init pthread_cond_destroy pthread_cond_timedwait pthread_cond_clockwait pthread_cond_signal
 * proof: green_threads>=5 parks>=5
 */
#include "deadlines.h"

enum wait { TIMEDWAIT, CLOCKWAIT };

static const struct row { const char *name; enum wait wait; clockid_t attribute, counts_on; } rows[] = {
    {"timedwait", TIMEDWAIT, CLOCK_REALTIME, CLOCK_REALTIME},
    {"timedwait, monotonic attribute", TIMEDWAIT, CLOCK_MONOTONIC, CLOCK_MONOTONIC},
    {"clockwait, real-time", CLOCKWAIT, CLOCK_REALTIME, CLOCK_REALTIME},
    {"clockwait, monotonic", CLOCKWAIT, CLOCK_REALTIME, CLOCK_MONOTONIC},
    {"clockwait against the attribute", CLOCKWAIT, CLOCK_MONOTONIC, CLOCK_REALTIME},
};

static pthread_mutex_t mutex = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static pthread_cond_t condition;
static bool ready;

static void *signals(void *argument)
{
    nap(1);
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    ready = true;
    CHECK_IS(pthread_cond_signal(&condition), 0);
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    return argument;
}

static int wait_until(const struct row *row, const struct timespec *deadline)
{
    int error = row->wait == TIMEDWAIT ? pthread_cond_timedwait(&condition, &mutex, deadline)
                                       : pthread_cond_clockwait(&condition, &mutex, row->counts_on, deadline);
    CHECK_IS(pthread_mutex_trylock(&mutex), EBUSY);
    return error;
}

static void run(const struct row *row)
{
    pthread_condattr_t attributes;
    CHECK_IS(pthread_condattr_init(&attributes), 0);
    CHECK_IS(pthread_condattr_setclock(&attributes, row->attribute), 0);
    CHECK_IS(pthread_cond_init(&condition, &attributes), 0);
    CHECK_IS(pthread_condattr_destroy(&attributes), 0);

    ready = false;
    pthread_t thread = spawn(signals, NULL);
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    struct timespec deadline = in_ms(row->counts_on, 60000);
    while (!ready)
        CHECK_IS(wait_until(row, &deadline), 0);
    CHECK(!reached(row->counts_on, deadline));

    deadline = in_ms(row->counts_on, 3);
    int error;
    while ((error = wait_until(row, &deadline)) == 0)
        ; /* woken without reason: allowed */
    CHECK_IS(error, ETIMEDOUT);
    CHECK(reached(row->counts_on, deadline));
    CHECK_IS(wait_until(row, &(struct timespec){1, 0}), ETIMEDOUT);
    CHECK_IS(wait_until(row, &(struct timespec){1, 1000000000}), EINVAL);
    CHECK_IS(wait_until(row, &(struct timespec){1, -1}), EINVAL);
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    join(thread);
    CHECK_IS(pthread_cond_destroy(&condition), 0);
    say("%s: woken in time; ETIMEDOUT at the deadline; a bad time EINVAL", row->name);
}

int main(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        run(&rows[i]);
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    CHECK_IS(pthread_cond_clockwait(&condition, &mutex, CLOCK_PROCESS_CPUTIME_ID, &(struct timespec){1, 0}), EINVAL);
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    say("another clock: EINVAL");
    return 0;
}
