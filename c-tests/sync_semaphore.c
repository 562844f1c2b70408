/* Semaphores: counting, waiting, trying, timed on both clocks, and their limits.
 * covers: sem_wait sem_trywait sem_timedwait sem_clockwait sem_post
 * proof: green_threads>=12 parks>=2
 */
#include "deadlines.h"
#include <semaphore.h>

static sem_t semaphore, answer;

static int value_of(sem_t *of)
{
    int value;
    CHECK_IS(sem_getvalue(of, &value), 0);
    return value;
}

static void *takes(void *argument)
{
    CHECK_IS(sem_wait(&semaphore), 0);
    CHECK_IS(sem_post(&answer), 0);
    return argument;
}

static void *posts_later(void *argument)
{
    nap(1);
    CHECK_IS(sem_post(argument), 0);
    return NULL;
}

static void limits(void)
{
    CHECK_IS(sem_init(&semaphore, 0, 2), 0);
    CHECK_IS(sem_trywait(&semaphore), 0);
    CHECK_IS(sem_wait(&semaphore), 0);
    CHECK_FAILS(sem_trywait(&semaphore), EAGAIN);
    CHECK_IS(value_of(&semaphore), 0);
    CHECK_IS(sem_destroy(&semaphore), 0);
    CHECK_IS(sem_init(&semaphore, 0, SEM_VALUE_MAX), 0);
    CHECK_FAILS(sem_post(&semaphore), EOVERFLOW);
    CHECK_FAILS(sem_init(&semaphore, 0, (unsigned)SEM_VALUE_MAX + 1), EINVAL);
    say("trywait at zero EAGAIN, post at the limit EOVERFLOW, init beyond it EINVAL");
}

static void timed(void)
{
    struct timespec deadline = in_ms(CLOCK_REALTIME, 3);
    CHECK_IS(sem_init(&semaphore, 0, 0), 0);
    CHECK_FAILS(sem_timedwait(&semaphore, &deadline), ETIMEDOUT);
    CHECK(reached(CLOCK_REALTIME, deadline));
    deadline = in_ms(CLOCK_MONOTONIC, 3);
    CHECK_FAILS(sem_clockwait(&semaphore, CLOCK_MONOTONIC, &deadline), ETIMEDOUT);
    CHECK(reached(CLOCK_MONOTONIC, deadline));
    CHECK_FAILS(sem_timedwait(&semaphore, &(struct timespec){1, 0}), ETIMEDOUT);
    CHECK_FAILS(sem_clockwait(&semaphore, CLOCK_REALTIME, &(struct timespec){1, 0}), ETIMEDOUT);
    CHECK_FAILS(sem_timedwait(&semaphore, &(struct timespec){1, 1000000000}), EINVAL);
    CHECK_FAILS(sem_clockwait(&semaphore, CLOCK_MONOTONIC, &(struct timespec){1, -1}), EINVAL);
    CHECK_FAILS(sem_clockwait(&semaphore, CLOCK_PROCESS_CPUTIME_ID, &deadline), EINVAL);
    say("timed and clock waits: ETIMEDOUT at the deadline; bad times and clocks EINVAL");

    for (int i = 0; i < 2; i++) {
        pthread_t thread = spawn(posts_later, &semaphore);
        clockid_t clock = i ? CLOCK_MONOTONIC : CLOCK_REALTIME;
        deadline = in_ms(clock, 60000);
        CHECK_IS(i ? sem_clockwait(&semaphore, clock, &deadline) : sem_timedwait(&semaphore, &deadline), 0);
        join(thread);
    }
    CHECK_IS(sem_post(&semaphore), 0);
    CHECK_FAILS(sem_timedwait(&semaphore, &(struct timespec){1, 1000000000}), EINVAL); /* checked even when it is free */
    say("posted in time: taken");
}

static void many(void)
{
    pthread_t threads[10];
    CHECK_IS(sem_init(&semaphore, 0, 0), 0);
    CHECK_IS(sem_init(&answer, 0, 0), 0);
    for (int i = 0; i < 10; i++)
        threads[i] = spawn(takes, NULL);
    nap(1);
    CHECK_IS(value_of(&answer), 0);
    for (int i = 1; i <= 10; i++) {
        CHECK_IS(sem_post(&semaphore), 0);
        CHECK_IS(sem_wait(&answer), 0);
        CHECK_IS(value_of(&answer), 0);
        CHECK_IS(value_of(&semaphore), 0);
    }
    for (int i = 0; i < 10; i++)
        join(threads[i]);
    say("10 threads wait: each post lets one through");
}

int main(void)
{
    in_thread(limits);
    in_thread(timed);
    many();
    return 0;
}
