/* C11 mutexes and condition variables: plain, recursive and timed, waits with and without a deadline.
 * covers: mtx_lock mtx_timedlock mtx_trylock mtx_unlock cnd_wait cnd_timedwait cnd_signal cnd_broadcast thrd_create thrd_join
 * proof: green_threads>=14 parks>=3
 * passes: mtx_trylock: a try waits for nothing: the lock's words are glibc's, and so is the try, but for robust locks and those with
 *   priorities
 */
#include "deadlines.h"
#include <threads.h>

enum { THREADS = 10, ROUNDS = 100 };

static mtx_t mutex;
static cnd_t condition, arrived;
static int counter, waiting, tokens;
static bool go;

static int increments(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_IS(mtx_lock(&mutex), thrd_success);
        int value = counter;
        if (i % 25 == 0)
            thrd_yield();
        counter = value + 1;
        CHECK_IS(mtx_unlock(&mutex), thrd_success);
    }
    return argument != NULL;
}

static int waits(void *argument)
{
    CHECK_IS(mtx_lock(&mutex), thrd_success);
    waiting++;
    CHECK_IS(cnd_signal(&arrived), thrd_success);
    while (!go)
        CHECK_IS(cnd_wait(&condition, &mutex), thrd_success);
    while (tokens == 0) {
        struct timespec deadline = in_ms(CLOCK_REALTIME, 60000);
        CHECK_IS(cnd_timedwait(&condition, &mutex, &deadline), thrd_success);
    }
    tokens--;
    CHECK_IS(mtx_unlock(&mutex), thrd_success);
    return argument != NULL;
}

static void run_all(int (*function)(void *), void (*meanwhile)(void))
{
    thrd_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK_IS(thrd_create(&threads[i], function, i % 2 ? &counter : NULL), thrd_success);
    if (meanwhile)
        meanwhile();
    for (int i = 0; i < THREADS; i++) {
        int result;
        CHECK_IS(thrd_join(threads[i], &result), thrd_success);
        CHECK_IS(result, i % 2);
    }
}

static void wake(void)
{
    CHECK_IS(mtx_lock(&mutex), thrd_success);
    while (waiting < THREADS)
        CHECK_IS(cnd_wait(&arrived, &mutex), thrd_success);
    go = true;
    CHECK_IS(cnd_broadcast(&condition), thrd_success);
    CHECK_IS(mtx_unlock(&mutex), thrd_success);
    for (int i = 0; i < THREADS; i++) {
        CHECK_IS(mtx_lock(&mutex), thrd_success);
        tokens++;
        CHECK_IS(cnd_signal(&condition), thrd_success);
        CHECK_IS(mtx_unlock(&mutex), thrd_success);
    }
}

static int finds_it_held(void *argument)
{
    CHECK_IS(mtx_trylock(&mutex), thrd_busy);
    if (argument) {
        struct timespec deadline = in_ms(CLOCK_REALTIME, 3);
        CHECK_IS(mtx_timedlock(&mutex, &deadline), thrd_timedout);
        CHECK(reached(CLOCK_REALTIME, deadline));
        CHECK_IS(mtx_timedlock(&mutex, &(struct timespec){1, -1}), thrd_error);
    }
    return 0;
}

static const struct { const char *name; int type; } rows[] = {
    {"plain", mtx_plain}, {"timed", mtx_timed}, {"recursive", mtx_plain | mtx_recursive}, {"timed, recursive", mtx_timed | mtx_recursive},
};

int main(void)
{
    CHECK_IS(cnd_init(&condition), thrd_success);
    CHECK_IS(cnd_init(&arrived), thrd_success);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool recursive = rows[i].type & mtx_recursive;
        CHECK_IS(mtx_init(&mutex, rows[i].type), thrd_success);
        counter = 0;
        run_all(increments, NULL);
        CHECK_IS(counter, THREADS * ROUNDS);
        CHECK_IS(mtx_lock(&mutex), thrd_success);
        CHECK_IS(mtx_trylock(&mutex), recursive ? thrd_success : thrd_busy);
        if (recursive)
            CHECK_IS(mtx_unlock(&mutex), thrd_success);
        thrd_t thread;
        CHECK_IS(thrd_create(&thread, finds_it_held, rows[i].type & mtx_timed ? &mutex : NULL), thrd_success);
        CHECK_IS(thrd_join(thread, NULL), thrd_success);
        CHECK_IS(mtx_unlock(&mutex), thrd_success);
        mtx_destroy(&mutex);
        say("%s mutex: %d increments", rows[i].name, THREADS * ROUNDS);
    }

    CHECK_IS(mtx_init(&mutex, mtx_plain), thrd_success);
    run_all(waits, wake);
    CHECK_IS(tokens, 0);
    say("%d waiters: broadcast to all, then one signal each", THREADS);

    CHECK_IS(mtx_lock(&mutex), thrd_success);
    struct timespec deadline = in_ms(CLOCK_REALTIME, 3);
    int result;
    while ((result = cnd_timedwait(&condition, &mutex, &deadline)) == thrd_success)
        ;
    CHECK_IS(result, thrd_timedout);
    CHECK(reached(CLOCK_REALTIME, deadline));
    CHECK_IS(mtx_unlock(&mutex), thrd_success);
    cnd_destroy(&condition);
    say("cnd_timedwait: thrd_timedout");
    return 0;
}
