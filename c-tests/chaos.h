/* What race_random's operations are made with: chance, threads with data of their own, signals from everywhere. */
#ifndef CHAOS_H
#define CHAOS_H

#include "ctest.h"
#include <dirent.h>
#include <inttypes.h>
#include <malloc.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

enum { ACTORS = 12, OWN_STACK = 128 << 10, SMALL_STACK = 64 << 10, ALTERNATE_STACK = 32 << 10 };

extern char **environ;

/* ---- Chance: one generator per actor, and one per thread that an actor makes. ---- */

struct dice {
    uint64_t state;
};

static uint64_t throw(struct dice *dice) /* splitmix64 */
{
    uint64_t z = dice->state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static unsigned below(struct dice *dice, unsigned limit)
{
    return throw(dice) % limit;
}

static void sleep_us(unsigned microseconds)
{
    nanosleep(&(struct timespec){0, microseconds * 1000L}, NULL);
}

/* Lets others come between, or not. */
static void dawdle(struct dice *dice)
{
    switch (below(dice, 4)) {
    case 0:
        sched_yield();
        break;
    case 1:
        sleep_us(below(dice, 300));
        break;
    case 2:
        for (volatile unsigned left = below(dice, 3000); left > 0; left--)
            ;
    }
}

static struct timespec from_now(clockid_t clock, unsigned microseconds)
{
    struct timespec time;
    clock_gettime(clock, &time);
    time.tv_nsec += microseconds * 1000L;
    time.tv_sec += time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

/* ---- What every thread has: data that must be its own, and new. ---- */

enum { FRESH = 4711 };

static __thread struct {
    int fresh;            /* FRESH in a thread that begins */
    pthread_t self;       /* 0: not yet known */
    int id;               /* 0: nobody sends it signals with its number */
    int place;            /* an actor's, in the roll */
    volatile int handled; /* SIGUSR1 that came */
    volatile int counted; /* SIG_COUNT that came, in order */
    volatile int timed;   /* SIG_TIMER of its own timer */
} mine = {.fresh = FRESH};

static pthread_key_t key;
static atomic_long keys_set, keys_destroyed, detached_begun, detached_ended;

static void destroy_key(void *value)
{
    CHECK(value == (void *)pthread_self());
    keys_destroyed++;
}

/* First thing in every thread. */
static void begin(void)
{
    CHECK_IS(mine.fresh, FRESH);
    CHECK(mine.self == 0);
    mine.fresh = 0;
    mine.self = pthread_self();
    CHECK(pthread_getspecific(key) == NULL);
    keys_set++;
    CHECK_IS(pthread_setspecific(key, (void *)mine.self), 0);
}

/* ---- Threads with all kinds of stacks, joined in all kinds of ways. ---- */

struct helper {
    pthread_t thread;
    void *stack;
};

static struct helper start(struct dice *dice, void *(*function)(void *), void *argument)
{
    struct helper helper = {0};
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    switch (below(dice, 4)) {
    case 0:
        CHECK_IS(pthread_attr_setstacksize(&attributes, SMALL_STACK), 0);
        break;
    case 1:
        helper.stack = mmap(NULL, OWN_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        CHECK(helper.stack != MAP_FAILED);
        CHECK_IS(pthread_attr_setstack(&attributes, helper.stack, OWN_STACK), 0);
    }
    CHECK_IS(pthread_create(&helper.thread, &attributes, function, argument), 0);
    pthread_attr_destroy(&attributes);
    return helper;
}

static int try_to_join(struct dice *dice, pthread_t thread, void **result)
{
    struct timespec soon;
    switch (below(dice, 4)) {
    case 0:
        dawdle(dice);
        return pthread_tryjoin_np(thread, result);
    case 1:
        soon = from_now(CLOCK_REALTIME, below(dice, 2000));
        return pthread_timedjoin_np(thread, result, &soon);
    case 2:
        soon = from_now(CLOCK_MONOTONIC, below(dice, 2000));
        return pthread_clockjoin_np(thread, result, CLOCK_MONOTONIC, &soon);
    default:
        return pthread_join(thread, result);
    }
}

static void *finish(struct dice *dice, struct helper *helper)
{
    void *result;
    int error;
    do
        error = try_to_join(dice, helper->thread, &result);
    while (error == EBUSY || error == ETIMEDOUT);
    CHECK_IS(error, 0);
    if (helper->stack)
        CHECK_IS(munmap(helper->stack, OWN_STACK), 0);
    return result;
}

/* ---- Signals: who may be sent some, and the one handler. ---- */

#define SIG_NUMBERED (SIGRTMIN + 1) /* to a thread, with its number */
#define SIG_COUNT (SIGRTMIN + 2)    /* to a thread, with 1, 2, 3, … */
#define SIG_WAITED (SIGRTMIN + 3)   /* to the process; blocked but where it is waited for */
#define SIG_TIMER (SIGRTMIN + 4)

enum { OF_THREAD = 1000 }; /* a timer's number, from here on: its signal is for one thread */

static atomic_int timers[ACTORS]; /* how often the actors' own timers have expired */
static atomic_long waited_sent, waited_come;

/* What a handler does besides: hooks, in the middle of anything. */
static void call_hooks(void)
{
    static atomic_uint turn;
    switch (turn++ % 8) {
    case 0:
        sched_yield();
        break;
    case 1:
        poll(NULL, 0, 0);
        break;
    case 2:
        sleep_us(20);
        break;
    case 3: {
        sem_t semaphore;
        sem_init(&semaphore, 0, 0);
        sem_post(&semaphore);
        CHECK_IS(sem_trywait(&semaphore), 0);
        break;
    }
    case 4: {
        int ends[2];
        char byte = 7;
        CHECK_IS(pipe(ends), 0);
        CHECK_IS(write(ends[1], &byte, 1), 1);
        CHECK_IS(read(ends[0], &byte, 1), 1);
        close(ends[0]);
        close(ends[1]);
    }
    }
}

static void handler(int signal, siginfo_t *info, void *context)
{
    int error = errno, value = info->si_value.sival_int, state;
    (void)context;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state); /* who is interrupted may hold anything */
    CHECK(mine.self == 0 || pthread_equal(mine.self, pthread_self()));
    if (signal == SIGUSR1)
        mine.handled++;
    else if (signal == SIG_NUMBERED)
        CHECK_IS(mine.id, value);
    else if (signal == SIG_COUNT)
        CHECK_IS(value, ++mine.counted);
    else if (signal == SIG_TIMER && value >= OF_THREAD)
        mine.timed = value;
    else if (signal == SIG_TIMER)
        timers[value]++;
    if (signal != SIG_COUNT)
        call_hooks();
    pthread_setcancelstate(state, NULL);
    errno = error;
}

static void set_handlers(void)
{
    const int signals[] = {SIGUSR1, SIGUSR2, SIGALRM, SIG_NUMBERED, SIG_COUNT, SIG_TIMER};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
        action.sa_flags |= i % 2 ? SA_ONSTACK : SA_RESTART; /* SIGUSR2 interrupts, on the alternate stack */
        CHECK_IS(sigaction(signals[i], &action, NULL), 0);
    }
}

static sigset_t only(int signal)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    return set;
}

/* Actors, to whom anybody may send signals: whoever is in here does not end while the lock is held. */
static pthread_mutex_t roll_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    pthread_t thread;
    pid_t tid;
    int id;
} roll[ACTORS];

/* `place` is the thread's from now on. */
static void enter_roll(int place, int id)
{
    mine.id = id;
    mine.place = place;
    CHECK_IS(pthread_mutex_lock(&roll_lock), 0);
    roll[place].thread = pthread_self();
    roll[place].tid = gettid();
    roll[place].id = id;
    CHECK_IS(pthread_mutex_unlock(&roll_lock), 0);
}

static void leave_roll(void)
{
    CHECK_IS(pthread_mutex_lock(&roll_lock), 0);
    roll[mine.place].id = 0;
    CHECK_IS(pthread_mutex_unlock(&roll_lock), 0);
}

static int any_signal(struct dice *dice)
{
    return below(dice, 2) ? SIGUSR1 : SIGUSR2;
}

static void send_to_actor(struct dice *dice)
{
    int place = below(dice, ACTORS), error = 0;
    CHECK_IS(pthread_mutex_lock(&roll_lock), 0);
    if (roll[place].id != 0) {
        switch (below(dice, 3)) {
        case 0:
            error = pthread_kill(roll[place].thread, any_signal(dice));
            break;
        case 1:
            error = pthread_sigqueue(roll[place].thread, SIG_NUMBERED, (union sigval){.sival_int = roll[place].id});
            error = error == EAGAIN ? 0 : error;
            break;
        case 2:
            CHECK_IS(tgkill(getpid(), roll[place].tid, any_signal(dice)), 0);
        }
    }
    CHECK_IS(pthread_mutex_unlock(&roll_lock), 0);
    CHECK_IS(error, 0);
}

#endif
