/* objects [sliced]: condition variables, semaphores, futexes and joins, which contexts wait for, and locks that mind their owner. */
#define _GNU_SOURCE
#include "loop.h"
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <threads.h>

/* The code for whose waits a context is left, and the same code for whose waits it is not. */
#define LISTED __attribute__((noinline, section("listed")))
extern char __start_listed[], __stop_listed[];

static long turns;
static sem_t unit;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static mtx_t c_lock;
static cnd_t c_changed;
static int word, wanted;

static struct timespec in_ms(clockid_t clock, long ms)
{
    struct timespec time;
    clock_gettime(clock, &time);
    time.tv_nsec += ms % 1000 * 1000000, time.tv_sec += ms / 1000 + time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

/* Each context waits for what the next one gives, so that a thread that blocks would wait for itself. */
static LISTED void takes_unit(long i)
{
    struct timespec until = in_ms(CLOCK_REALTIME, 20000);
    CHECK((i % 2 ? sem_wait(&unit) : sem_timedwait(&unit, &until)) == 0);
    turns++;
}

static void gives_unit(long i)
{
    (void)i;
    usleep(1000);
    CHECK(sem_post(&unit) == 0);
}

static LISTED void awaits_change(long i)
{
    struct timespec until = in_ms(CLOCK_REALTIME, 20000), steadily = in_ms(CLOCK_MONOTONIC, 20000);
    CHECK(pthread_mutex_lock(&lock) == 0);
    while (wanted <= i)
        switch (i % 3) {
        case 0:
            CHECK(pthread_cond_wait(&changed, &lock) == 0);
            break;
        case 1:
            CHECK(pthread_cond_timedwait(&changed, &lock, &until) == 0);
            break;
        default:
            CHECK(pthread_cond_clockwait(&changed, &lock, CLOCK_MONOTONIC, &steadily) == 0);
        }
    turns++;
    CHECK(pthread_mutex_unlock(&lock) == 0);
}

static void changes(long i)
{
    usleep(1000);
    CHECK(pthread_mutex_lock(&lock) == 0);
    wanted = i + 1;
    CHECK(pthread_cond_broadcast(&changed) == 0 && pthread_mutex_unlock(&lock) == 0);
}

static LISTED void awaits_change_in_c11(long i)
{
    CHECK(mtx_lock(&c_lock) == thrd_success);
    while (wanted <= i)
        CHECK(cnd_wait(&c_changed, &c_lock) == thrd_success);
    turns++;
    CHECK(mtx_unlock(&c_lock) == thrd_success);
}

static void changes_in_c11(long i)
{
    usleep(1000);
    CHECK(mtx_lock(&c_lock) == thrd_success);
    wanted = i + 1;
    CHECK(cnd_broadcast(&c_changed) == thrd_success && mtx_unlock(&c_lock) == thrd_success);
}

static LISTED void awaits_word(long i)
{
    while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) <= i)
        if (syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, __atomic_load_n(&word, __ATOMIC_SEQ_CST), NULL) != 0)
            CHECK(errno == EAGAIN);
    turns++;
}

static void changes_word(long i)
{
    usleep(1000);
    __atomic_store_n(&word, i + 1, __ATOMIC_SEQ_CST);
    CHECK(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1000) >= 0);
}

/* The deadline comes, and the loop ends waits. */
static LISTED void is_late(long i)
{
    struct timespec until = in_ms(CLOCK_REALTIME, 20);
    if (i == 0)
        CHECK(sem_timedwait(&unit, &until) == -1 && errno == ETIMEDOUT);
    else
        CHECK(pthread_mutex_lock(&lock) == 0 && pthread_cond_timedwait(&changed, &lock, &until) == ETIMEDOUT &&
              pthread_mutex_unlock(&lock) == 0);
    turns++;
}

static struct context *victim;

static LISTED void is_ended(long i)
{
    struct timespec until = in_ms(CLOCK_REALTIME, 20000), time = {20, 0};
    CHECK(pthread_mutex_lock(&lock) == 0);
    switch (i) {
    case 0:
        CHECK(sem_wait(&unit) == -1 && errno == EINTR);
        break;
    case 1:
        CHECK(pthread_cond_timedwait(&changed, &lock, &until) == ETIMEDOUT);
        break;
    case 2: /* It has no error for that, and wakes for nothing. */
        CHECK(pthread_cond_wait(&changed, &lock) == 0);
        break;
    default:
        CHECK(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, word, &time) == -1 && errno == EINTR);
    }
    CHECK(pthread_mutex_unlock(&lock) == 0);
    turns++;
}

static void ends(long i)
{
    (void)i;
    cancel(victim, GP_CANCEL_SHUTDOWN);
}

/* A thread that is no context lets go of what lies in a context's frame, or in memory of all. */
static sem_t of_all, *given;
static bool is_waited_for;

static void *posts(void *unused)
{
    while (!__atomic_load_n(&is_waited_for, __ATOMIC_SEQ_CST))
        usleep(1000);
    usleep(10000);
    CHECK(sem_post(given) == 0);
    return unused;
}

static void lets_go(long unused)
{
    (void)unused;
    __atomic_store_n(&is_waited_for, true, __ATOMIC_SEQ_CST);
}

static LISTED void takes_from_thread(long is_in_frame)
{
    sem_t in_frame;
    pthread_t thread;
    bool blocks = is_in_frame && is_sliced;
    given = is_in_frame ? &in_frame : &of_all;
    CHECK(sem_init(given, 0, 0) == 0 && pthread_create(&thread, NULL, posts, NULL) == 0);
    if (blocks)
        lets_go(0);
    uint64_t before = lent();
    CHECK(sem_wait(given) == 0 && (lent() > before) == !blocks);
    CHECK(pthread_join(thread, NULL) == 0);
    turns++;
}

/* Code that is not listed blocks the thread. */
static void takes_unlisted(long i)
{
    (void)i;
    pthread_t thread;
    given = &of_all;
    CHECK(sem_init(given, 0, 0) == 0 && pthread_create(&thread, NULL, posts, NULL) == 0);
    uint64_t before = lent();
    lets_go(0);
    CHECK(sem_wait(given) == 0 && lent() == before);
    CHECK(pthread_join(thread, NULL) == 0);
    turns++;
}

static void *lasts(void *unused)
{
    while (!__atomic_load_n(&is_waited_for, __ATOMIC_SEQ_CST))
        usleep(1000);
    return unused;
}

static void joins(long i)
{
    (void)i;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, lasts, NULL) == 0);
    uint64_t before = lent();
    CHECK(pthread_join(thread, NULL) == 0 && lent() > before);
    turns++;
}

/* One context owns the lock; the others wait for it, and are not told that they have it. */
static pthread_mutex_t owned[2];
static pthread_rwlock_t written = PTHREAD_RWLOCK_INITIALIZER;
static int inside;

static void owns(long i)
{
    pthread_mutex_t *mutex = &owned[i % 2];
    bool is_recursive = i % 2 == 0;
    CHECK(pthread_mutex_lock(mutex) == 0 && inside++ == 0);
    CHECK(pthread_mutex_lock(mutex) == (is_recursive ? 0 : EDEADLK));
    usleep(1000);
    CHECK(pthread_mutex_trylock(mutex) == (is_recursive ? 0 : EBUSY));
    CHECK(inside-- == 1);
    gp_pause(); /* It owns what it owns all the same. */
    for (int unlocks = is_recursive ? 3 : 1; unlocks > 0; unlocks--)
        CHECK(pthread_mutex_unlock(mutex) == 0);
    gp_resume();
    CHECK(pthread_mutex_unlock(mutex) == EPERM);
    turns++;
}

static void tries(long i)
{
    pthread_mutex_t *mutex = &owned[i];
    CHECK(pthread_mutex_trylock(mutex) == EBUSY && pthread_mutex_unlock(mutex) == EPERM);
    turns++;
}

static void writes(long i)
{
    CHECK((i % 3 ? pthread_rwlock_wrlock(&written) : pthread_rwlock_rdlock(&written)) == 0);
    CHECK(i % 3 == 0 || inside == 0);
    inside += i % 3 != 0;
    usleep(1000);
    CHECK(i % 3 == 0 || pthread_rwlock_wrlock(&written) == EDEADLK);
    inside -= i % 3 != 0;
    CHECK(pthread_rwlock_unlock(&written) == 0);
    turns++;
}

enum { PAIRS = 24 };

int main(int count, char **words)
{
    (void)words;
    is_sliced = count > 1;
    lend();
    CHECK(sem_init(&unit, 0, 0) == 0 && mtx_init(&c_lock, mtx_plain) == 0 && cnd_init(&c_changed) == 0);
    CHECK(gp_range(GP_CONDITION_CALLERS, __start_listed, __stop_listed) == 0);
    static void (*const pairs[][2])(long) = {
        {takes_unit, gives_unit}, {awaits_change, changes}, {awaits_change_in_c11, changes_in_c11}, {awaits_word, changes_word}};
    for (size_t kind = 0; kind < sizeof pairs / sizeof *pairs; kind++) {
        wanted = 0;
        for (int i = 0; i < PAIRS; i++)
            spawn(pairs[kind][0], i);
        for (int i = 0; i < PAIRS; i++)
            spawn(pairs[kind][1], i);
        run();
    }
    for (int i = 0; i < 2; i++)
        spawn(is_late, i);
    run();
    for (int i = 0; i < 4; i++) {
        victim = spawn(is_ended, i), spawn(ends, i);
        run();
    }
    for (int i = 0; i < 3; i++) {
        is_waited_for = false;
        spawn(i < 2 ? takes_from_thread : joins, i), spawn(lets_go, 0);
        run();
    }
    is_waited_for = false;
    spawn(takes_unlisted, 0);
    run();
    for (int i = 0; i < 2; i++) {
        pthread_mutexattr_t kind;
        pthread_mutexattr_init(&kind);
        CHECK(pthread_mutexattr_settype(&kind, i == 0 ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_ERRORCHECK) == 0);
        CHECK(pthread_mutex_init(&owned[i], &kind) == 0);
        for (int context = 0; context < 10; context++)
            spawn(owns, i);
        spawn(tries, i);
        run();
    }
    for (int i = 0; i < 12; i++)
        spawn(writes, i);
    run();
    CHECK(gp_unlend() == 0);
    printf("%ld turns\n", turns);
    return 0;
}
