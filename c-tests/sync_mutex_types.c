/* Each type of mutex keeps others out and says what its type promises: normal, recursive, error-checking, adaptive, static initialisers.
 * covers: pthread_mutex_init pthread_mutex_destroy pthread_mutex_lock pthread_mutex_trylock pthread_mutex_unlock pthread_mutex_timedlock
 * proof: green_threads>=20 parks>=1
 * passes: pthread_mutex_trylock: a try waits for nothing: the lock's words are glibc's, and so is the try, but for robust locks and those
 *   with priorities
 */
#include "deadlines.h"

static const struct row { const char *name; int type, owner_locks, owner_tries, stranger_unlocks, unlocked_unlock; } rows[] = {
    /* A normal mutex locked again by its owner waits for ever: shown by a timed lock. */
    {"normal", PTHREAD_MUTEX_NORMAL, ETIMEDOUT, EBUSY, 0, 0},
    {"recursive", PTHREAD_MUTEX_RECURSIVE, 0, 0, EPERM, EPERM},
    {"error-checking", PTHREAD_MUTEX_ERRORCHECK, EDEADLK, EBUSY, EPERM, EPERM},
    {"adaptive", PTHREAD_MUTEX_ADAPTIVE_NP, ETIMEDOUT, EBUSY, 0, 0},
};

static pthread_mutex_t mutex;
static long counter;
static const struct row *row;

static void *increments(void *argument)
{
    for (int i = 0; i < 200; i++) {
        CHECK_IS(pthread_mutex_lock(&mutex), 0);
        long value = counter;
        if (i % 20 == 0)
            sched_yield(); /* gives the others a chance to be wrong */
        counter = value + 1;
        CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    }
    return argument;
}

static void stranger(void)
{
    struct timespec deadline = in_ms(CLOCK_REALTIME, 2);
    CHECK_IS(pthread_mutex_trylock(&mutex), EBUSY);
    CHECK_IS(pthread_mutex_timedlock(&mutex, &deadline), ETIMEDOUT);
    if (row->stranger_unlocks) /* where it is not an error it would unlock */
        CHECK_IS(pthread_mutex_unlock(&mutex), row->stranger_unlocks);
}

static void *waits_for_it(void *argument)
{
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    CHECK_IS(counter, -1);
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    return argument;
}

static void owner(void)
{
    struct timespec deadline = in_ms(CLOCK_REALTIME, 2);
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    int timed = pthread_mutex_timedlock(&mutex, &deadline), tried = pthread_mutex_trylock(&mutex);
    CHECK_IS(timed, row->owner_locks);
    CHECK_IS(tried, row->owner_tries);
    in_thread(stranger);
    if (timed == 0)
        CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    if (tried == 0)
        CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    CHECK_IS(pthread_mutex_destroy(&mutex), EBUSY);
    counter = 0;
    pthread_t waiter = spawn(waits_for_it, NULL);
    nap(1);
    counter = -1;
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    join(waiter);
    if (row->unlocked_unlock)
        CHECK_IS(pthread_mutex_unlock(&mutex), row->unlocked_unlock);
    say("  again by its owner: lock %s, trylock %s; by another: unlock %s", error_name(timed), error_name(tried),
        row->stranger_unlocks ? error_name(row->stranger_unlocks) : "not tried");
}

static void run(void)
{
    pthread_t threads[4];
    counter = 0;
    for (int i = 0; i < 4; i++)
        threads[i] = spawn(increments, NULL);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    CHECK_IS(counter, 4 * 200);
    in_thread(owner);
    CHECK_IS(pthread_mutex_destroy(&mutex), 0);
}

int main(void)
{
    static const struct { const char *name; pthread_mutex_t value; int row; } initialisers[] = {
        {"normal", PTHREAD_MUTEX_INITIALIZER, 0},
        {"recursive", PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP, 1},
        {"error-checking", PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP, 2},
        {"adaptive", PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP, 3},
    };
    for (row = rows; row < rows + sizeof rows / sizeof *rows; row++) {
        pthread_mutexattr_t attributes;
        CHECK_IS(pthread_mutexattr_init(&attributes), 0);
        CHECK_IS(pthread_mutexattr_settype(&attributes, row->type), 0);
        CHECK_IS(pthread_mutex_init(&mutex, &attributes), 0);
        say("%s", row->name);
        run();
    }
    for (size_t i = 0; i < sizeof initialisers / sizeof *initialisers; i++) {
        mutex = initialisers[i].value;
        row = &rows[initialisers[i].row];
        say("%s, static", initialisers[i].name);
        run();
    }
    return 0;
}
