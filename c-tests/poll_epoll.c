/* epoll sets of the program's own: level, edge and one-shot, changes during a wait, timeouts, bad arguments.
 * covers: epoll_wait epoll_pwait epoll_pwait2
 * proof: green_threads>=4 parks>=4 hooks.epoll_wait>=10 hooks.epoll_pwait>=2 hooks.epoll_pwait2>=2
 */
#include "sockets.h"
#include <sys/epoll.h>

static int fd[2], queue;
static volatile int negative = -1, huge = INT_MAX;

static void control(int operation, uint32_t events, uint64_t data)
{
    CHECK_IS(epoll_ctl(queue, operation, fd[0], &(struct epoll_event){.events = events, .data.u64 = data}), 0);
}

/* Waits and must see exactly this. */
static void expect(int timeout, int count, uint32_t events, uint64_t data)
{
    struct epoll_event event[4] = {{0}};
    CHECK_IS(epoll_wait(queue, event, 4, timeout), count);
    CHECK(count == 0 || (event[0].events == events && event[0].data.u64 == data));
}

static void *late_sender(void *unused)
{
    nap(2);
    transmit(fd[1], "x");
    return unused;
}

static void after_a_while(uint32_t events, uint64_t data)
{
    pthread_t thread = spawn(late_sender, NULL);
    expect(-1, 1, events, data);
    join(thread);
}

static void level(void)
{
    control(EPOLL_CTL_ADD, EPOLLIN, 1);
    expect(0, 0, 0, 0);
    after_a_while(EPOLLIN, 1);
    expect(-1, 1, EPOLLIN, 1);
    expect(60000, 1, EPOLLIN, 1);
    receive(fd[0], "x");
    expect(0, 0, 0, 0);
    say("level: as long as there is something");
}

static void edge(void)
{
    control(EPOLL_CTL_MOD, EPOLLIN | EPOLLET, 2);
    after_a_while(EPOLLIN, 2);
    expect(5, 0, 0, 0);
    after_a_while(EPOLLIN, 2);
    expect(0, 0, 0, 0);
    receive(fd[0], "xx");
    say("edge: once for each arrival");
}

static void *late_rearm(void *unused)
{
    nap(2);
    control(EPOLL_CTL_MOD, EPOLLIN | EPOLLONESHOT, 4);
    return unused;
}

static void one_shot(void)
{
    control(EPOLL_CTL_MOD, EPOLLIN | EPOLLONESHOT, 3);
    after_a_while(EPOLLIN, 3);
    expect(5, 0, 0, 0);
    pthread_t thread = spawn(late_rearm, NULL);
    expect(-1, 1, EPOLLIN, 4);
    join(thread);
    receive(fd[0], "x");
    say("one-shot: once until armed again, also during the wait");
}

static void *late_add(void *unused)
{
    nap(2);
    control(EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT, 5);
    return unused;
}

static void *late_close(void *unused)
{
    nap(2);
    close(fd[1]);
    return unused;
}

static void changes(void)
{
    control(EPOLL_CTL_DEL, 0, 0);
    pthread_t thread = spawn(late_add, NULL);
    expect(-1, 1, EPOLLOUT, 5);
    join(thread);
    say("added during the wait: seen");
    control(EPOLL_CTL_MOD, EPOLLIN | EPOLLRDHUP, 6);
    thread = spawn(late_close, NULL);
    expect(-1, 1, EPOLLIN | EPOLLRDHUP | EPOLLHUP, 6);
    join(thread);
    say("the peer closed: EPOLLIN EPOLLRDHUP EPOLLHUP");
    close(fd[0]);
    expect(5, 0, 0, 0);
    say("closed: gone from the set");
}

static void times_and_errors(void)
{
    struct epoll_event event;
    struct timespec time = {0, 5000000};
    long long begin = now_ms();
    CHECK_IS(epoll_wait(queue, &event, 1, 5), 0);
    CHECK_IS(epoll_pwait(queue, &event, 1, 5, NULL), 0);
    CHECK_IS(epoll_pwait2(queue, &event, 1, &time, NULL), 0);
    CHECK(now_ms() - begin >= 14 && time.tv_nsec == 5000000);
    CHECK_IS(epoll_pwait(queue, &event, 1, 0, NULL), 0);
    CHECK_IS(epoll_pwait2(queue, &event, 1, &(struct timespec){0, 0}, NULL), 0);
    say("timeouts: nothing, not too early");
    int file = open("/dev/null", O_RDONLY);
    CHECK_FAILS(epoll_wait(queue, &event, 0, 0), EINVAL);
    CHECK_FAILS(epoll_wait(queue, &event, negative, -1), EINVAL);
    CHECK_FAILS(epoll_wait(queue, &event, huge, 0), EINVAL);
    CHECK_FAILS(epoll_wait(file, &event, 1, 0), EINVAL);
    CHECK_FAILS(epoll_wait(-1, &event, 1, -1), EBADF);
    CHECK_FAILS(epoll_pwait(-1, &event, 1, -1, NULL), EBADF);
    CHECK_FAILS(epoll_pwait2(queue, &event, 1, &(struct timespec){0, -1}, NULL), EINVAL);
    close(file);
    say("refused: EINVAL, EBADF");
}

static void all(void)
{
    unix_pair(SOCK_STREAM, fd);
    queue = epoll_create1(0);
    level();
    edge();
    one_shot();
    changes();
    times_and_errors();
    close(queue);
}

int main(void)
{
    in_thread(all);
    return 0;
}
