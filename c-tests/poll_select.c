/* select and pselect: the three sets, what is left of the time, no descriptors, a closed one; pselect leaves its time alone.
 * covers: select __select pselect
 * proof: green_threads>=3 parks>=4 hooks.select>=4 hooks.__select>=1 hooks.pselect>=2
 */
#include "sockets.h"
#include <sys/select.h>

extern int __select(int, fd_set *, fd_set *, fd_set *, struct timeval *);

static const long SHORT = 5000;
static int fd[2];

static fd_set set_of(int first, int second)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(first, &set);
    FD_SET(second, &set);
    return set;
}

static void *late_sender(void *unused)
{
    nap(2);
    transmit(fd[1], "x");
    return unused;
}

static void times_out(void)
{
    struct timeval time = {0, SHORT};
    struct timespec fixed = {0, SHORT * 1000};
    fd_set set = set_of(fd[0], fd[1]);
    long long begin = now_ms();
    CHECK_IS(select(fd[1] + 1, &set, NULL, NULL, &time), 0);
    CHECK(!FD_ISSET(fd[0], &set) && !FD_ISSET(fd[1], &set));
    CHECK(time.tv_sec == 0 && time.tv_usec == 0);
    time.tv_usec = SHORT;
    CHECK_IS(select(0, NULL, NULL, NULL, &time), 0);
    CHECK(time.tv_sec == 0 && time.tv_usec == 0);
    CHECK_IS(pselect(0, NULL, NULL, NULL, &fixed, NULL), 0);
    CHECK(fixed.tv_sec == 0 && fixed.tv_nsec == SHORT * 1000);
    CHECK(now_ms() - begin >= 3 * SHORT / 1000 - 1);
    say("timeouts: sets emptied, nothing left of select's time, pselect's untouched");
    set = set_of(fd[0], fd[1]);
    CHECK_IS(__select(fd[1] + 1, &set, NULL, NULL, &time), 0);
    CHECK_IS(pselect(fd[1] + 1, &set, NULL, NULL, &(struct timespec){0, 0}, NULL), 0);
    say("no time: nothing");
}

static void time_left(void)
{
    struct timeval time = {60, 0};
    struct timespec fixed = {60, 0};
    fd_set set = set_of(fd[0], fd[1]);
    pthread_t thread = spawn(late_sender, NULL);
    CHECK_IS(select(fd[1] + 1, &set, NULL, NULL, &time), 1);
    CHECK(FD_ISSET(fd[0], &set) && !FD_ISSET(fd[1], &set));
    CHECK(time.tv_sec > 30 && time.tv_sec < 60);
    join(thread);
    receive(fd[0], "x");
    set = set_of(fd[0], fd[1]);
    thread = spawn(late_sender, NULL);
    CHECK_IS(pselect(fd[1] + 1, &set, NULL, NULL, &fixed, NULL), 1);
    CHECK(fixed.tv_sec == 60 && fixed.tv_nsec == 0);
    join(thread);
    receive(fd[0], "x");
    say("woken: select tells what is left, pselect does not");
}

static void three_sets(void)
{
    fd_set in = set_of(fd[0], fd[1]), out = in, exceptions = in;
    transmit(fd[1], "x");
    CHECK_IS(select(fd[1] + 1, &in, &out, &exceptions, NULL), 3);
    CHECK(FD_ISSET(fd[0], &in) && !FD_ISSET(fd[1], &in));
    CHECK(FD_ISSET(fd[0], &out) && FD_ISSET(fd[1], &out));
    CHECK(!FD_ISSET(fd[0], &exceptions) && !FD_ISSET(fd[1], &exceptions));
    say("3 bits: one may read, both may write");
    in = set_of(fd[0], fd[1]);
    CHECK_IS(select(fd[0], &in, NULL, NULL, &(struct timeval){0, 0}), 0);
    receive(fd[0], "x");
    in = set_of(fd[0], fd[0]);
    pthread_t thread = spawn(late_sender, NULL);
    CHECK_IS(__select(fd[0] + 1, &in, NULL, NULL, NULL), 1);
    join(thread);
    receive(fd[0], "x");
    say("without a limit: waited");
}

static void *closer(void *unused)
{
    nap(2);
    close(fd[1]);
    return unused;
}

static void refused(void)
{
    int closed = dup(fd[0]);
    fd_set set = set_of(fd[0], closed);
    close(closed);
    CHECK_FAILS(select(closed + 1, &set, NULL, NULL, NULL), EBADF);
    CHECK_FAILS(select(-1, NULL, NULL, NULL, NULL), EINVAL);
    CHECK_FAILS(select(0, NULL, NULL, NULL, &(struct timeval){-1, 0}), EINVAL);
    CHECK_FAILS(pselect(0, NULL, NULL, NULL, &(struct timespec){0, 1000000000}, NULL), EINVAL);
    say("a closed one EBADF, bad counts and times EINVAL");
    set = set_of(fd[0], fd[0]);
    pthread_t thread = spawn(closer, NULL);
    CHECK_IS(select(fd[0] + 1, &set, NULL, NULL, NULL), 1);
    join(thread);
    say("the peer's end makes it readable");
}

static void all(void)
{
    unix_pair(SOCK_STREAM, fd);
    times_out();
    time_left();
    three_sets();
    refused();
    close(fd[0]);
}

int main(void)
{
    in_thread(all);
    return 0;
}
