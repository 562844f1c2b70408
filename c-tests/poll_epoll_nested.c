/* An epoll set within others: waited for through poll, select and epoll_wait, chained as deep as the kernel allows, before or after
 * somebody waits.
 * covers: epoll_wait poll select
 * proof: green_threads>=5 parks>=2 hooks.epoll_wait>=4 hooks.poll>=1 hooks.select>=1 kernel_threads_peak<=12
 * processors: 4
 */
#include "sockets.h"
#include <sys/epoll.h>
#include <sys/select.h>

static int fd[2], inner;

static bool add(int queue, int member)
{
    return epoll_ctl(queue, EPOLL_CTL_ADD, member, &(struct epoll_event){.events = EPOLLIN, .data.fd = member}) == 0;
}

static void *late_sender(void *unused)
{
    nap(2);
    transmit(fd[1], "x");
    return unused;
}

static void through_others(void)
{
    struct pollfd entry = {inner, POLLIN, 0};
    struct epoll_event event;
    fd_set set;
    pthread_t thread = spawn(late_sender, NULL);
    CHECK_IS(poll(&entry, 1, -1), 1);
    CHECK_IS(epoll_wait(inner, &event, 1, 0), 1);
    join(thread);
    receive(fd[0], "x");
    CHECK_IS(poll(&entry, 1, 0), 0);
    say("poll of the set: ready with its member");
    FD_ZERO(&set);
    FD_SET(inner, &set);
    thread = spawn(late_sender, NULL);
    CHECK_IS(select(inner + 1, &set, NULL, NULL, NULL), 1);
    join(thread);
    receive(fd[0], "x");
    say("select of the set: the same");
}

/* Sets one around the other until the kernel says that it is too deep; gives the outermost. */
static int chain(int depth[1])
{
    int outer = inner;
    for (*depth = 1;; ++*depth) {
        int next = epoll_create1(0);
        if (!add(next, outer)) {
            CHECK(errno == EINVAL || errno == ELOOP);
            close(next);
            return outer;
        }
        outer = next;
    }
}

static void wait_outside(int outer)
{
    struct epoll_event event;
    pthread_t thread = spawn(late_sender, NULL);
    CHECK_IS(epoll_wait(outer, &event, 1, -1), 1);
    CHECK((event.data.fd == fd[0]) == (outer == inner));
    CHECK_IS(epoll_wait(inner, &event, 1, 0), 1);
    CHECK_IS(event.data.fd, fd[0]);
    join(thread);
    receive(fd[0], "x");
    CHECK_IS(epoll_wait(outer, &event, 1, 5), 0);
}

static void deep(void)
{
    int depth, again;
    int outer = chain(&depth);
    wait_outside(outer);
    say("%d sets in each other: the outermost was woken", depth);
    inner = epoll_create1(0);
    CHECK(add(inner, fd[0]));
    wait_outside(inner);
    CHECK_IS(poll(&(struct pollfd){inner, POLLIN, 0}, 1, 2), 0);
    outer = chain(&again);
    CHECK_IS(again, depth);
    wait_outside(outer);
    say("as deep when the innermost was waited for before");
    CHECK_FAILS(epoll_ctl(inner, EPOLL_CTL_ADD, outer, &(struct epoll_event){.events = EPOLLIN}), ELOOP);
    CHECK_FAILS(epoll_ctl(inner, EPOLL_CTL_ADD, inner, &(struct epoll_event){.events = EPOLLIN}), EINVAL);
}

static void all(void)
{
    unix_pair(SOCK_STREAM, fd);
    inner = epoll_create1(0);
    CHECK(add(inner, fd[0]));
    through_others();
    deep();
}

int main(void)
{
    in_thread(all);
    return 0;
}
