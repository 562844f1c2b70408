/* Locks by hand whose word holds gettid(), by the futex operations that inherit priority: contended, tried, timed, handed on when their
 * owner ends, moved to from another word; shared and private; from a thread that the library did not make, too.
 * covers: syscall gettid
 * proof: green_threads>=20 parks>=50 hooks.syscall>=100 hand_overs<=40 kernel_threads_peak<=8
 * processors: 4
 */
#include "futex.h"
#include <semaphore.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

enum { THREADS = 6, ROUNDS = 40 };

static atomic_uint word, other;
static int counted, kind; /* the private flag, or none */
static sem_t told;

static int lock(int operation, const struct timespec *until)
{
    unsigned none = 0;
    if (atomic_compare_exchange_strong(&word, &none, gettid()))
        return 0;
    return futex(&word, operation | kind, 0, until, NULL, 0) ? errno : 0;
}

static int unlock(void)
{
    unsigned mine = gettid();
    if (atomic_compare_exchange_strong(&word, &mine, 0))
        return 0;
    return futex(&word, FUTEX_UNLOCK_PI | kind, 0, NULL, NULL, 0) ? errno : 0;
}

static void *counts(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_IS(lock(i % 2 ? FUTEX_LOCK_PI : FUTEX_LOCK_PI2, NULL), 0);
        int was = counted;
        usleep(50);
        counted = was + 1;
        CHECK_IS(unlock(), 0);
    }
    return argument;
}

static void contended(void)
{
    pthread_t threads[THREADS];
    counted = 0;
    for (int i = 0; i < THREADS; i++)
        threads[i] = spawn(counts, NULL);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    CHECK_IS(counted, THREADS * ROUNDS);
    CHECK_IS(word, 0);
}

static void *tries(void *argument)
{
    struct timespec soon;
    CHECK_IS(lock(FUTEX_TRYLOCK_PI, NULL), EAGAIN);
    CHECK_IS(unlock(), EPERM);
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 20000000;
    if (soon.tv_nsec >= 1000000000)
        soon.tv_sec++, soon.tv_nsec -= 1000000000;
    CHECK_IS(lock(FUTEX_LOCK_PI, &soon), ETIMEDOUT);
    CHECK_IS(lock(FUTEX_LOCK_PI, &(struct timespec){0, -1}), EINVAL);
    CHECK_IS(lock(FUTEX_LOCK_PI2, &(struct timespec){0, 1}), ETIMEDOUT);
    CHECK_IS(lock(FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, NULL), ENOSYS);
    return argument;
}

static void refused(void)
{
    CHECK_IS(futex(&word, FUTEX_LOCK_PI | kind, 0, NULL, NULL, 0), 0);
    CHECK_IS(word, (unsigned)gettid());
    CHECK_IS(lock(FUTEX_LOCK_PI, NULL), EDEADLK);
    CHECK_IS(lock(FUTEX_TRYLOCK_PI, NULL), EDEADLK);
    join(spawn(tries, NULL));
    CHECK_IS(unlock(), 0);
    CHECK_IS(futex(&word, FUTEX_TRYLOCK_PI | kind, 0, NULL, NULL, 0), 0);
    CHECK_IS(futex(&word, FUTEX_UNLOCK_PI | kind, 0, NULL, NULL, 0), 0);
    CHECK_IS(word, 0);
    word = FUTEX_TID_MASK; /* nobody */
    CHECK_IS(lock(FUTEX_LOCK_PI, NULL), ESRCH);
    word = 0;
    CHECK_FAILS(futex((char *)&word + 1, FUTEX_LOCK_PI | kind, 0, NULL, NULL, 0), EINVAL);
    CHECK_FAILS(futex((void *)8, FUTEX_LOCK_PI | kind, 0, NULL, NULL, 0), EFAULT);
}

static void *ends_with_it(void *argument)
{
    CHECK_IS(lock(FUTEX_LOCK_PI, NULL), 0);
    sem_post(&told);
    while (!(word & FUTEX_WAITERS))
        nap(1);
    return argument;
}

/* Its waiter gets it, and is told by the word. */
static void owner_ends(void)
{
    pthread_t owner = spawn(ends_with_it, NULL);
    sem_wait(&told);
    CHECK_IS(lock(FUTEX_LOCK_PI, NULL), 0);
    CHECK((word & FUTEX_TID_MASK) == (unsigned)gettid() && word & FUTEX_OWNER_DIED);
    join(owner);
    word &= ~FUTEX_OWNER_DIED;
    CHECK_IS(unlock(), 0);
}

static void *moves(void *argument)
{
    CHECK_IS(futex(&other, FUTEX_WAIT_REQUEUE_PI | kind, 0, NULL, &word, 0), 0);
    CHECK_IS(word & FUTEX_TID_MASK, (unsigned)gettid());
    counted++;
    CHECK_IS(unlock(), 0);
    return argument;
}

static void requeued(void)
{
    pthread_t threads[3];
    counted = 0;
    other = 0;
    for (int i = 0; i < 3; i++)
        threads[i] = spawn(moves, NULL);
    CHECK_IS(lock(FUTEX_LOCK_PI, NULL), 0);
    UNTIL_TOTAL(futex(&other, FUTEX_CMP_REQUEUE_PI | kind, 1, (void *)2L, &word, 0), 3);
    CHECK_IS(counted, 0);
    CHECK_IS(unlock(), 0);
    for (int i = 0; i < 3; i++)
        join(threads[i]);
    CHECK_IS(counted, 3);
    CHECK_FAILS(futex(&other, FUTEX_CMP_REQUEUE_PI | kind, 1, (void *)2L, &word, 1), EAGAIN);
    CHECK_FAILS(futex(&other, FUTEX_CMP_REQUEUE_PI | kind, 2, (void *)2L, &word, 0), EINVAL);
    CHECK_FAILS(futex(&other, FUTEX_WAIT_REQUEUE_PI | kind, 1, NULL, &word, 0), EAGAIN);
    CHECK_FAILS(futex(&other, FUTEX_WAIT_REQUEUE_PI | kind, 0, &(struct timespec){0, 1}, &word, 0), ETIMEDOUT);
}

/* A timer's function runs on a thread that libc makes. */
static void by_timer(union sigval unused)
{
    (void)unused;
    CHECK_IS(lock(FUTEX_LOCK_PI, NULL), 0);
    counted++;
    CHECK_IS(unlock(), 0);
    sem_post(&told);
}

static void foreign(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = by_timer};
    struct itimerspec soon = {.it_value = {0, 1000000}};
    timer_t timer;
    counted = 0;
    CHECK_IS(lock(FUTEX_LOCK_PI, NULL), 0);
    CHECK_IS(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    CHECK_IS(timer_settime(timer, 0, &soon, NULL), 0);
    while (!(word & FUTEX_WAITERS))
        nap(1);
    CHECK_IS(counted, 0);
    CHECK_IS(unlock(), 0);
    CHECK_IS(sem_wait(&told), 0);
    CHECK_IS(counted, 1);
    CHECK_IS(timer_delete(timer), 0);
}

static void all(void)
{
    const char *names[] = {"private", "shared"};
    for (int i = 0; i < 2; i++) {
        kind = i == 0 ? FUTEX_PRIVATE_FLAG : 0;
        contended();
        refused();
        owner_ends();
        requeued();
        foreign();
        say("%s", names[i]);
    }
}

int main(void)
{
    sem_init(&told, 0, 0);
    in_thread(all);
    return 0;
}
