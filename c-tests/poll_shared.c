/* Many threads wait for one descriptor, each in its own way, for reading, writing or its end: all are woken by what they wait for.
 * covers: poll select epoll_wait read
 * proof: green_threads>=40 parks>=1 hooks.poll>=10 hooks.select>=10 hooks.epoll_wait>=10
 */
#include "sockets.h"
#include <sys/epoll.h>
#include <sys/select.h>

enum { EACH = 10 };
static int fd[2];

static void *a_poll(void *unused)
{
    struct pollfd entry = {fd[0], POLLIN, 0};
    CHECK_IS(poll(&entry, 1, -1), 1);
    CHECK_IS(entry.revents, POLLIN);
    return unused;
}

static void *a_select(void *unused)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd[0], &set);
    CHECK_IS(select(fd[0] + 1, &set, NULL, NULL, NULL), 1);
    return unused;
}

static void *an_epoll_wait(void *unused)
{
    int queue = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    CHECK_IS(epoll_ctl(queue, EPOLL_CTL_ADD, fd[0], &event), 0);
    CHECK_IS(epoll_wait(queue, &event, 1, 60000), 1);
    close(queue);
    return unused;
}

/* Waits for room, which comes only when the other end has been read. */
static void *for_writing(void *unused)
{
    struct pollfd entry = {fd[0], POLLOUT, 0};
    CHECK_IS(poll(&entry, 1, -1), 1);
    CHECK(entry.revents & POLLOUT);
    return unused;
}

int main(void)
{
    static void *(*const wait[])(void *) = {a_poll, a_select, an_epoll_wait, for_writing};
    pthread_t thread[4 * EACH];
    unix_pair(SOCK_STREAM, fd);
    size_t full = fill(fd[0]);
    for (int i = 0; i < 4 * EACH; i++)
        thread[i] = spawn(wait[i % 4], NULL);
    nap(2);
    transmit(fd[1], "x");
    for (int i = 0; i < 4 * EACH; i++)
        if (i % 4 != 3)
            join(thread[i]);
    say("one byte woke all %d that wait for reading", 3 * EACH);
    for (size_t total = 0; total < full;) {
        char buffer[1 << 14];
        ssize_t got = read(fd[1], buffer, sizeof buffer);
        CHECK(got > 0);
        total += got;
    }
    for (int i = 3; i < 4 * EACH; i += 4)
        join(thread[i]);
    say("room woke all %d that wait for writing", EACH);
    close_pair(fd);
    return 0;
}
