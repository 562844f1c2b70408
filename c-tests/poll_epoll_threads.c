/* Several threads wait on one epoll set: each one-shot event goes to exactly one of them, each edge wakes one, and a closed set
 * serves those inside.
 * covers: epoll_wait read write
 * proof: green_threads>=8 parks>=1 hooks.epoll_wait>=200
 */
#include "sockets.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum { WAITERS = 4, COUNTERS = 20, ROUNDS = 10 };
static int queue, stop, counter[COUNTERS];
static atomic_int handled, busy[COUNTERS];

static void arm(int operation, int index, uint32_t events)
{
    CHECK_IS(epoll_ctl(queue, operation, counter[index], &(struct epoll_event){.events = events, .data.u32 = index}), 0);
}

/* Takes what each event announces; one-shot, so no two threads may have the same counter at once. */
static void *waiter(void *unused)
{
    struct epoll_event event;
    for (;;) {
        CHECK_IS(epoll_wait(queue, &event, 1, -1), 1);
        uint32_t index = event.data.u32;
        if (index == COUNTERS)
            return unused;
        CHECK_IS(atomic_fetch_add(&busy[index], 1), 0);
        uint64_t value;
        CHECK_IS(read(counter[index], &value, sizeof value), sizeof value);
        CHECK_IS(value, 1);
        sched_yield();
        atomic_fetch_sub(&busy[index], 1);
        atomic_fetch_add(&handled, 1);
        arm(EPOLL_CTL_MOD, index, EPOLLIN | EPOLLONESHOT);
    }
}

static void *writer(void *unused)
{
    uint64_t one = 1;
    for (int round = 1; round <= ROUNDS; round++) {
        for (int i = 0; i < COUNTERS; i++)
            CHECK_IS(write(counter[i], &one, sizeof one), sizeof one);
        while (atomic_load(&handled) < round * COUNTERS)
            sched_yield();
    }
    return unused;
}

static void one_shot(void)
{
    pthread_t thread[WAITERS];
    queue = epoll_create1(0);
    stop = eventfd(0, 0);
    for (int i = 0; i < COUNTERS; i++) {
        counter[i] = eventfd(0, 0);
        arm(EPOLL_CTL_ADD, i, EPOLLIN | EPOLLONESHOT);
    }
    CHECK_IS(epoll_ctl(queue, EPOLL_CTL_ADD, stop, &(struct epoll_event){.events = EPOLLIN, .data.u32 = COUNTERS}), 0);
    for (int i = 0; i < WAITERS; i++)
        thread[i] = spawn(waiter, NULL);
    join(spawn(writer, NULL));
    CHECK_IS(eventfd_write(stop, 1), 0);
    for (int i = 0; i < WAITERS; i++)
        join(thread[i]);
    say("%d waiters: %d events, each to one; the end to all", WAITERS, atomic_load(&handled));
    close(queue);
}

static atomic_int woken;

static void *edge_waiter(void *unused)
{
    struct epoll_event event;
    CHECK_IS(epoll_wait(queue, &event, 1, -1), 1);
    atomic_fetch_add(&woken, 1);
    return unused;
}

static void edges(void)
{
    pthread_t thread[WAITERS];
    queue = epoll_create1(0);
    counter[0] = eventfd(0, 0);
    arm(EPOLL_CTL_ADD, 0, EPOLLIN | EPOLLET);
    for (int i = 0; i < WAITERS; i++)
        thread[i] = spawn(edge_waiter, NULL);
    for (int i = 1; i <= WAITERS; i++) {
        CHECK_IS(eventfd_write(counter[0], 1), 0);
        while (atomic_load(&woken) < i)
            nap(1);
        CHECK_IS(woken, i);
    }
    for (int i = 0; i < WAITERS; i++)
        join(thread[i]);
    say("edge: %d arrivals woke %d waiters, one each", WAITERS, WAITERS);
    close(queue);
}

static void *any_waiter(void *unused)
{
    struct epoll_event event;
    (void)unused;
    return (void *)(intptr_t)(epoll_wait(queue, &event, 1, -1) == 1);
}

/* The waiter cannot show that it is inside: when it comes too late (EBADF), it tries again. */
static void closed_meanwhile(void)
{
    bool inside = false;
    counter[0] = eventfd(0, 0);
    for (int i = 0; i < 100 && !inside; i++) {
        queue = epoll_create1(0);
        arm(EPOLL_CTL_ADD, 0, EPOLLIN);
        pthread_t thread = spawn(any_waiter, NULL);
        nap(1 + i);
        close(queue);
        CHECK_IS(eventfd_write(counter[0], 1), 0);
        inside = join(thread);
        CHECK_IS(eventfd_read(counter[0], &(eventfd_t){0}), 0);
    }
    CHECK(inside);
    say("the set closed meanwhile: the waiter has its event");
}

int main(void)
{
    in_thread(one_shot);
    in_thread(edges);
    in_thread(closed_meanwhile);
    return 0;
}
