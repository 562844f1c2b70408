/* race_random's operations on threads: born, joined, detached, ended, signalled, masked, cancelled. */
#ifndef CHAOS_THREADS_H
#define CHAOS_THREADS_H

#include "chaos.h"
#include <gnu/libc-version.h>

static void signals(struct dice *dice)
{
    struct itimerval soon = {.it_value.tv_usec = 1 + below(dice, 2000)};
    switch (below(dice, 5)) {
    case 0:
        CHECK_IS(kill(getpid(), any_signal(dice)), 0);
        break;
    case 1:
        if (sigqueue(getpid(), SIG_WAITED, (union sigval){0}) == 0)
            waited_sent++;
        break;
    case 2:
        CHECK_IS(setitimer(ITIMER_REAL, &soon, NULL), 0);
        break;
    default:
        send_to_actor(dice);
    }
}

static void mask(struct dice *dice)
{
    sigset_t one = only(SIGUSR1), before, pending;
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &one, &before), 0);
    int handled = mine.handled;
    CHECK_IS(below(dice, 2) ? raise(SIGUSR1) : pthread_kill(pthread_self(), SIGUSR1), 0);
    dawdle(dice);
    CHECK_IS(sigpending(&pending), 0);
    CHECK_IS(sigismember(&pending, SIGUSR1), 1);
    CHECK_IS(mine.handled, handled);
    CHECK_IS(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    CHECK(mine.handled > handled);
}

static void *little(void *argument)
{
    struct dice dice = {(uintptr_t)argument};
    begin();
    dawdle(&dice);
    free(malloc(1 + below(&dice, 5000)));
    CHECK(pthread_equal(mine.self, pthread_self()));
    return argument;
}

static void create(struct dice *dice)
{
    struct helper helpers[4];
    uint64_t numbers[4];
    int count = 1 + below(dice, 4);
    for (int i = 0; i < count; i++) {
        numbers[i] = throw(dice) >> 1;
        helpers[i] = start(dice, little, (void *)numbers[i]);
    }
    for (int i = count - 1; i >= 0; i--)
        CHECK(finish(dice, &helpers[i]) == (void *)numbers[i]);
}

static void *detached(void *argument)
{
    little(argument);
    if ((uintptr_t)argument % 3 == 0)
        CHECK_IS(pthread_detach(pthread_self()), 0);
    detached_ended++;
    return NULL;
}

static void detach(struct dice *dice)
{
    uintptr_t number = throw(dice);
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (number % 3 == 1)
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    detached_begun++;
    CHECK_IS(pthread_create(&thread, &attributes, detached, (void *)number), 0);
    pthread_attr_destroy(&attributes);
    if (number % 3 == 2)
        CHECK_IS(pthread_detach(thread), 0);
    while (detached_begun - detached_ended > 30)
        sleep_us(100);
}

static void count_down(void *count)
{
    --*(int *)count;
}

static __attribute__((noinline)) void descend(int *depth, int to)
{
    pthread_cleanup_push(count_down, depth);
    if (++*depth == to)
        pthread_exit(depth);
    if (*depth < to)
        descend(depth, to);
    pthread_cleanup_pop(0);
}

static void *exits_deep(void *argument)
{
    begin();
    descend(argument, 1 + (uintptr_t)argument % 41);
    return NULL;
}

static void exit_deep(struct dice *dice)
{
    int depth = 0;
    struct helper helper = start(dice, exits_deep, &depth);
    CHECK(finish(dice, &helper) == &depth);
    CHECK_IS(depth, 0);
}

/* Cancellation: a victim waits in one of the ways of the table until it is cancelled. */

struct victim {
    struct dice dice;
    pthread_mutex_t mutex; /* it says whether it is held */
    pthread_cond_t condition;
    sem_t semaphore, begun;
    int ends[2];
    pthread_t inner;
    void (*wait)(struct victim *);
    int cleaned;
};

static void unlock(void *mutex)
{
    CHECK_IS(pthread_mutex_unlock(mutex), 0);
}

static void wait_condition(struct victim *victim)
{
    CHECK_IS(pthread_mutex_lock(&victim->mutex), 0);
    pthread_cleanup_push(unlock, &victim->mutex);
    struct timespec soon = from_now(CLOCK_REALTIME, 2000);
    if (below(&victim->dice, 2))
        pthread_cond_wait(&victim->condition, &victim->mutex);
    else
        pthread_cond_timedwait(&victim->condition, &victim->mutex, &soon);
    pthread_cleanup_pop(1);
}

static void wait_semaphore(struct victim *victim)
{
    struct timespec soon = from_now(CLOCK_REALTIME, 2000);
    CHECK(below(&victim->dice, 2) ? sem_wait(&victim->semaphore) : sem_timedwait(&victim->semaphore, &soon) < 0);
}

static void wait_recv(struct victim *victim)
{
    char byte;
    CHECK_FAILS(recv(victim->ends[0], &byte, 1, 0), EINTR);
}

static void wait_read(struct victim *victim)
{
    char byte;
    CHECK_FAILS(read(victim->ends[0], &byte, 1), EINTR);
}

static void wait_poll(struct victim *victim)
{
    struct pollfd wanted = {.fd = victim->ends[0], .events = POLLIN};
    CHECK(poll(&wanted, 1, below(&victim->dice, 2) ? -1 : 2) <= 0);
}

static void wait_sleep(struct victim *victim)
{
    sleep_us(below(&victim->dice, 999999));
}

static void wait_join(struct victim *victim)
{
    pthread_join(victim->inner, NULL);
}

static void wait_signal(struct victim *victim)
{
    sigset_t one = only(SIG_WAITED), all_but;
    sigfillset(&all_but);
    sigdelset(&all_but, SIGUSR2);
    siginfo_t info;
    switch (below(&victim->dice, 3)) {
    case 0:
        pause();
        break;
    case 1:
        sigsuspend(&all_but);
        break;
    case 2:
        sigdelset(&one, SIG_WAITED);
        sigaddset(&one, SIGRTMAX);
        sigwaitinfo(&one, &info);
    }
}

static void wait_test(struct victim *victim)
{
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    dawdle(&victim->dice);
    pthread_setcancelstate(state, NULL);
    pthread_testcancel();
}

static void wait_unsafely(struct victim *victim)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    unsigned kind = below(&victim->dice, 3);
    volatile unsigned turns = 0;
    do {
        turns = turns + 1;
        if (kind == 0)
            sched_yield();
        else if (kind == 1)
            pause();
    } while (turns || kind < 3);
}

static void *waits_to_be_cancelled(void *argument)
{
    struct victim *victim = argument;
    begin();
    pthread_cleanup_push(count_down, &victim->cleaned);
    sem_post(&victim->begun);
    for (;;)
        victim->wait(victim);
    pthread_cleanup_pop(0);
    return NULL;
}

static void *waits_for_semaphore(void *semaphore)
{
    begin();
    while (sem_wait(semaphore) < 0)
        CHECK(errno == EINTR);
    return NULL;
}

/* From 2.41 on libc's own signal finds the thread in the handler of another that came with it, does nothing there, and the call that was
 * interrupted is begun again. Below that nothing is lost, nor green. */
static bool libc_loses_cancellations(void)
{
    return atoi(gnu_get_libc_version() + 2) >= 41;
}

static void cancel(struct dice *dice)
{
    static void (*const waits[])(struct victim *) = {wait_condition, wait_semaphore, wait_recv, wait_read, wait_poll,
        wait_sleep, wait_join, wait_signal, wait_test, wait_unsafely};
    struct victim victim = {{throw(dice)}, PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP, PTHREAD_COND_INITIALIZER, .cleaned = 1};
    victim.wait = waits[below(dice, sizeof waits / sizeof *waits)];
    sem_init(&victim.semaphore, 0, 0);
    sem_init(&victim.begun, 0, 0);
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, victim.ends), 0);
    struct helper inner, helper;
    sem_t inner_may_end;
    sem_init(&inner_may_end, 0, 0);
    if (victim.wait == wait_join) {
        inner = start(dice, waits_for_semaphore, &inner_may_end);
        victim.inner = inner.thread;
    }
    helper = start(dice, waits_to_be_cancelled, &victim);
    if (below(dice, 4))
        while (sem_wait(&victim.begun) < 0)
            ;
    dawdle(dice);
    if (below(dice, 3) == 0)
        CHECK_IS(pthread_kill(helper.thread, any_signal(dice)), 0);
    CHECK_IS(pthread_cancel(helper.thread), 0);
    while (libc_loses_cancellations() && __atomic_load_n(&victim.cleaned, __ATOMIC_RELAXED)) {
        CHECK_IS(pthread_kill(helper.thread, SIGUSR2), 0); /* which interrupts */
        sleep_us(1000);
    }
    finish(dice, &helper); /* its result is natively any, when the end of a handler lets the cancellation in */
    CHECK_IS(victim.cleaned, 0);
    CHECK_IS(pthread_mutex_trylock(&victim.mutex), 0);
    CHECK_IS(pthread_mutex_unlock(&victim.mutex), 0);
    if (victim.wait == wait_join) {
        sem_post(&inner_may_end);
        CHECK(finish(dice, &inner) == NULL);
    }
    close(victim.ends[0]);
    close(victim.ends[1]);
}

#endif
