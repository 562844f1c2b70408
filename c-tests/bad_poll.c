/* poll, select and epoll calls given bad sets, counts, times and memory answer as libc does.
 * covers: poll __poll ppoll __poll_chk __ppoll_chk select __select pselect epoll_wait epoll_pwait epoll_pwait2
 * proof: green_threads>=3 parks>=2
 */
#include "bad.h"
#include <sys/epoll.h>
#include <sys/select.h>

extern int __poll(struct pollfd *list, nfds_t count, int timeout);
extern int __poll_chk(struct pollfd *list, nfds_t count, int timeout, size_t size);
extern int __ppoll_chk(struct pollfd *list, nfds_t count, const struct timespec *timeout, const sigset_t *mask, size_t size);
extern int __select(int count, fd_set *reading, fd_set *writing, fd_set *other, struct timeval *timeout);

static const struct timespec at_once = {0, 0}, negative = {-1, 0}, too_many_ns = {0, 1000000000};

static fd_set only(int fd)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    return set;
}

static void lists(void)
{
    static volatile nfds_t too_many = 1 << 30;
    struct pollfd one = {.fd = closed(), .events = POLLIN}, *unmapped_list = (void *)unmapped();
    TRY(poll(null, 0, 0));
    TRY(poll(null, 1, 0));
    TRY(__poll(unmapped_list, 1, 0));
    TRY(poll(unmapped_list, 0, 0));
    TRY(poll(unmapped_list - 1, 2, 0));
    TRY(poll(&one, too_many, 0));
    TRY(poll(&one, 1, 0));
    TRY(one.revents);
    TRY(poll(&one, 1, -1));
    TRY(poll(&one, 1, -77));
    one.fd = -1;
    TRY(poll(&one, 1, 0));
    TRY(one.revents);
    one.fd = INT_MIN;
    TRY(poll(&one, 1, 1));
    one.fd = INT_MAX;
    TRY(poll(&one, 1, -1));
    TRY(one.revents);
    TRY(ppoll(null, 1, &at_once, NULL));
    TRY(ppoll(null, 0, &negative, NULL));
    TRY(ppoll(null, 0, &too_many_ns, NULL));
    TRY(ppoll(&one, 1, NULL, NULL));
    TRY(ppoll(null, 0, &at_once, (void *)unmapped()));
    TRY(__poll_chk(null, 1, 0, SIZE_MAX));
    TRY(__ppoll_chk(null, 1, &at_once, NULL, SIZE_MAX));
}

static void sets(void)
{
    fd_set set = only(closed());
    struct timeval none_left = {0, 0}, negative_time = {-1, 0}, negative_us = {0, -1};
    TRY(select(0, NULL, NULL, NULL, &none_left));
    TRY(select(none, NULL, NULL, NULL, &none_left));
    TRY(__select(none, NULL, NULL, NULL, &none_left));
    TRY(select(FD_SETSIZE, &set, NULL, NULL, &none_left));
    TRY(select(FD_SETSIZE, NULL, NULL, &set, NULL));
    TRY(select(INT_MAX, NULL, NULL, NULL, &none_left));
    TRY(select(8, (void *)unmapped(), NULL, NULL, &none_left));
    TRY(select(0, NULL, NULL, NULL, &negative_time));
    TRY(select(0, NULL, NULL, NULL, &negative_us));
    TRY(pselect(none, NULL, NULL, NULL, &at_once, NULL));
    TRY(pselect(FD_SETSIZE, NULL, &set, NULL, &at_once, NULL));
    TRY(pselect(0, NULL, NULL, NULL, &negative, NULL));
    TRY(pselect(0, NULL, NULL, NULL, &too_many_ns, NULL));
    TRY(pselect(0, NULL, NULL, NULL, &at_once, (void *)unmapped()));
}

static void epolls(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 7};
    int epoll = epoll_create1(0), ends[2];
    static volatile int too_many = INT_MAX;
    CHECK(epoll >= 0);
    CHECK_IS(pipe(ends), 0);
    CHECK_IS(write(ends[1], "x", 1), 1);
    TRY(epoll_wait(closed(), &event, 1, 0));
    TRY(epoll_wait(none, &event, 1, 0));
    TRY(epoll_wait(ends[0], &event, 1, 0));
    TRY(epoll_wait(epoll, &event, 0, 0));
    TRY(epoll_wait(epoll, &event, none, 0));
    TRY(epoll_wait(epoll, &event, too_many, 0));
    TRY(epoll_wait(epoll, &event, 1, 0));
    TRY(epoll_wait(epoll, null, 1, 0));
    CHECK_IS(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event), 0);
    TRY(epoll_wait(epoll, null, 1, 0));
    TRY(epoll_wait(epoll, (void *)unmapped(), 1, -1));
    TRY(epoll_wait(epoll, &event, 1, -1));
    TRY(epoll_pwait(closed(), &event, 1, 0, NULL));
    TRY(epoll_pwait(epoll, &event, 0, 0, NULL));
    TRY(epoll_pwait(epoll, &event, 1, 0, (void *)unmapped()));
    TRY(epoll_pwait2(closed(), &event, 1, &at_once, NULL));
    TRY(epoll_pwait2(epoll, &event, 1, &negative, NULL));
    TRY(epoll_pwait2(epoll, &event, 1, &too_many_ns, NULL));
    TRY(epoll_pwait2(epoll, &event, 1, (void *)unmapped(), NULL));
    TRY(epoll_pwait2(epoll, &event, 1, NULL, NULL));
    close(epoll);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    in_thread(lists);
    in_thread(sets);
    in_thread(epolls);
    return 0;
}
