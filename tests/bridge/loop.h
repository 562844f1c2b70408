/* A loop of a program's own that is lent: epoll, and contexts by ucontext, which run in turns on one thread. With `is_sliced` all contexts
 * run on one stack, and what they have used of it is copied away while they are left, as greenlet does.
 *
 *   lend() once      spawn(run, argument) a context      run() until all have ended      cancel(context, verdict) one that is left
 */
#ifndef LOOP_H
#define LOOP_H

#include "../../include/greenpatch.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define CHECK(what)                                                                 \
    do {                                                                            \
        if (!(what)) {                                                              \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #what, strerror(errno)); \
            exit(1);                                                                \
        }                                                                           \
    } while (0)

enum { MOST = 1024, STACK = 256 << 10, BATCH = 64 };

struct context {
    ucontext_t at;
    void (*run)(long);
    long argument;
    int is_over;
    /* The loop may switch to it. */
    bool is_left;
    /* What leave() is to return (enum gp_cancel). */
    int verdict;
    /* Its own stack; with `sliced` what it has used of the stack of all, and how much that is. */
    char *stack;
    size_t used;
};

static bool is_sliced;
static char shared[STACK] __attribute__((aligned(64)));

static ucontext_t hub;
static struct context *current, *ready[MOST];
static int epoll, event, started, ended, ready_count;

static int leave(void *data, void **user)
{
    (void)data;
    struct context *me = current;
    if (!me || !user)
        return me != NULL;
    *user = me;
    current = NULL;
    me->verdict = GP_CANCEL_IGNORE, me->is_left = true;
    CHECK(swapcontext(&me->at, &hub) == 0);
    current = me;
    return me->verdict;
}

static void begin(unsigned high, unsigned low)
{
    struct context *me = (struct context *)((unsigned long)high << 32 | low);
    me->run(me->argument);
    me->is_over = 1;
    current = NULL;
    ended++;
    setcontext(&hub);
}

/* Copies a context's part of the stack of all into memory of its own. */
static void copy_away(struct context *from)
{
    char *lowest = (char *)from->at.uc_mcontext.gregs[REG_RSP] - 128;
    from->used = shared + STACK - lowest;
    CHECK((from->stack = realloc(from->stack, from->used)) != NULL);
    memcpy(from->stack, lowest, from->used);
    memset(lowest, 0x5a, from->used);
}

static struct context *spawn(void (*run)(long), long argument)
{
    struct context *new = calloc(1, sizeof *new);
    new->stack = is_sliced ? NULL : malloc(STACK);
    CHECK(getcontext(&new->at) == 0);
    new->run = run, new->argument = argument, new->is_left = true;
    new->at.uc_stack.ss_sp = is_sliced ? shared : new->stack, new->at.uc_stack.ss_size = STACK;
    makecontext(&new->at, (void (*)(void))begin, 2, (unsigned)((unsigned long)new >> 32), (unsigned)(unsigned long)new);
    if (is_sliced)
        copy_away(new);
    ready[ready_count++] = new;
    started++;
    return new;
}

static void go_on(struct context *with)
{
    if (is_sliced)
        memcpy(shared + STACK - with->used, with->stack, with->used);
    current = with, with->is_left = false;
    CHECK(swapcontext(&hub, &with->at) == 0);
    if (with->is_over)
        free(with->stack), with->stack = NULL; /* Who cancels it may still have it. */
    else if (is_sliced)
        copy_away(with);
}

/* Has the loop switch to a context that it has left, which is to end its wait so, unless it has gone on by then. */
static inline void cancel(struct context *left, int verdict)
{
    left->verdict = verdict;
    ready[ready_count++] = left;
}

static uintptr_t current_context(void *data)
{
    (void)data;
    return (uintptr_t)current;
}

static inline uint64_t lent(void)
{
    struct gp_loop_statistics of = {.size = sizeof of};
    CHECK(!gp_is_present() || gp_loop_statistics(&of) == 0);
    return of.lent;
}

static void lend(void)
{
    struct epoll_event in = {.events = EPOLLIN};
    CHECK((epoll = epoll_create1(EPOLL_CLOEXEC)) >= 0 && (event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) >= 0);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, event, &in) == 0);
    if (gp_is_present()) {
        struct gp_loop_ops ops = {.size = sizeof ops, .leave = leave, .current = current_context};
        if (is_sliced)
            ops.stacks_from = shared, ops.stacks_to = shared + STACK;
        else
            ops.flags = GP_STACKS_STAY;
        int error = gp_lend(&ops, event, NULL);
        if (error) {
            fprintf(stderr, "gp_lend: %s\n", strerror(error));
            exit(1);
        }
    }
}

/* Runs until every context has ended. */
static void run(void)
{
    while (ended < started) {
        while (ready_count > 0) {
            struct context *list[MOST];
            int count = ready_count;
            memcpy(list, ready, count * sizeof *list);
            ready_count = 0;
            for (int i = 0; i < count; i++)
                if (list[i]->is_left)
                    go_on(list[i]);
        }
        if (ended == started)
            break;
        struct epoll_event events[8];
        CHECK(epoll_wait(epoll, events, 8, -1) > 0 || errno == EINTR);
        void *users[BATCH];
        size_t count = gp_take(users, BATCH);
        for (size_t i = 0; i < count; i++)
            go_on(users[i]);
    }
}

static inline double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

#endif
