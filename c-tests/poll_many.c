/* A thousand descriptors polled at once by several threads: poll, select and epoll_wait each find the one that is ready.
 * covers: poll select epoll_wait
 * proof: green_threads>=3 parks>=2 hooks.poll>=10 hooks.select>=10 hooks.epoll_wait>=10
 */
#include "ctest.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>

enum { COUNT = 1000, ROUNDS = 10 };
static int counter[COUNT], queue;
static pthread_barrier_t turn;

static int find_by_poll(void)
{
    struct pollfd entry[COUNT];
    for (int i = 0; i < COUNT; i++)
        entry[i] = (struct pollfd){counter[i], POLLIN, 0};
    CHECK_IS(poll(entry, COUNT, -1), 1);
    for (int i = 0; i < COUNT; i++)
        if (entry[i].revents)
            return i;
    return -1;
}

static int find_by_select(void)
{
    fd_set set;
    FD_ZERO(&set);
    for (int i = 0; i < COUNT; i++)
        FD_SET(counter[i], &set);
    CHECK_IS(select(counter[COUNT - 1] + 1, &set, NULL, NULL, NULL), 1);
    for (int i = 0; i < COUNT; i++)
        if (FD_ISSET(counter[i], &set))
            return i;
    return -1;
}

static int find_by_epoll(void)
{
    struct epoll_event event[COUNT];
    CHECK_IS(epoll_wait(queue, event, COUNT, -1), 1);
    return event[0].data.u32;
}

/* All finders meet before each round and after it, so that the writer takes its mark back only when all have seen it. */
static void *finder(void *call)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&turn);
        CHECK_IS((*(int (**)(void))call)(), i * 111);
        pthread_barrier_wait(&turn);
    }
    return NULL;
}

int main(void)
{
    static int (*const call[])(void) = {find_by_poll, find_by_select, find_by_epoll};
    pthread_t thread[3];
    struct rlimit limit;
    CHECK_IS(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK_IS(setrlimit(RLIMIT_NOFILE, &limit), 0);
    queue = epoll_create1(0);
    for (int i = 0; i < COUNT; i++) {
        counter[i] = eventfd(0, 0);
        CHECK(counter[i] >= 0 && counter[i] < FD_SETSIZE);
        CHECK_IS(epoll_ctl(queue, EPOLL_CTL_ADD, counter[i], &(struct epoll_event){.events = EPOLLIN, .data.u32 = i}), 0);
    }
    pthread_barrier_init(&turn, NULL, 4);
    for (int i = 0; i < 3; i++)
        thread[i] = spawn(finder, (void *)&call[i]);
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&turn);
        nap(1);
        CHECK_IS(eventfd_write(counter[i * 111], 1), 0);
        pthread_barrier_wait(&turn);
        CHECK_IS(eventfd_read(counter[i * 111], &(eventfd_t){0}), 0);
    }
    for (int i = 0; i < 3; i++)
        join(thread[i]);
    say("%d descriptors, %d rounds: poll, select and epoll_wait found the one", COUNT, ROUNDS);
    return 0;
}
