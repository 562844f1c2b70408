/* With inline=1 a program's own system call instructions park: many threads wait in each of several calls, and one ticks on.
 * covers: read readv recvfrom poll pselect epoll_wait nanosleep clock_nanosleep close
 * options: inline=1
 * proof: inline==1 inline_calls>=200 green_threads>=160 green_threads_peak>=20 parks>=160 kernel_threads_peak<=14
 * processors: 4
 */
#include "inline.h"
#include "ticker.h"
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <linux/futex.h>

static int pairs[STUCK][2];
static _Atomic uint32_t word;
static atomic_int number;

/* Each thread has a pair of its own. */
static int own(void)
{
    return pairs[number++ % STUCK][0];
}

static void hold_pairs(void)
{
    number = 0;
    for (int i = 0; i < STUCK; i++)
        CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
}

static void give_pairs(void)
{
    for (int i = 0; i < STUCK; i++)
        CHECK_IS(INLINE(SYS_write, pairs[i][1], "x", 1), 1);
}

static void hold_word(void)
{
    word = 0;
}

static void give_word(void)
{
    word = 1;
    CHECK(INLINE(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX) >= 0);
}

static void by_futex(void)
{
    while (word == 0) {
        long result = INLINE(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL);
        CHECK(result == 0 || result == -EAGAIN);
    }
}

static void by_read(void)
{
    char byte = 0;
    CHECK_IS(INLINE(SYS_read, own(), &byte, 1), 1);
    CHECK_IS(byte, 'x');
}

static void by_readv(void)
{
    char byte = 0;
    struct iovec part = {&byte, 1};
    CHECK_IS(INLINE(SYS_readv, own(), &part, 1), 1);
    CHECK_IS(byte, 'x');
}

static void by_recvfrom(void)
{
    char byte = 0;
    CHECK_IS(INLINE(SYS_recvfrom, own(), &byte, 1, 0, NULL, NULL), 1);
    CHECK_IS(byte, 'x');
}

static void by_poll(void)
{
    struct pollfd wanted = {.fd = own(), .events = POLLIN};
    CHECK_IS(INLINE(SYS_poll, &wanted, 1, -1), 1);
    CHECK_IS(wanted.revents, POLLIN);
}

static void by_select(void)
{
    int fd = own();
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    CHECK_IS(INLINE(SYS_pselect6, fd + 1, &set, NULL, NULL, NULL, NULL), 1);
}

static void by_epoll(void)
{
    int set = INLINE(SYS_epoll_create1, EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    CHECK_IS(INLINE(SYS_epoll_ctl, set, EPOLL_CTL_ADD, own(), &event), 0);
    CHECK_IS(INLINE(SYS_epoll_wait, set, &event, 1, -1), 1);
    CHECK_IS(INLINE(SYS_close, set), 0);
}

/* A sleep in slices: it ends when it is told. */
static void by_nanosleep(void)
{
    struct timespec slice = {0, 3000000};
    while (word == 0)
        CHECK_IS(INLINE(SYS_nanosleep, &slice, NULL), 0);
    CHECK_IS(INLINE(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &slice, NULL), 0);
}

static const struct way ways[] = {
    {"futex", hold_word, by_futex, give_word},       {"read", hold_pairs, by_read, give_pairs},
    {"readv", hold_pairs, by_readv, give_pairs},     {"recvfrom", hold_pairs, by_recvfrom, give_pairs},
    {"poll", hold_pairs, by_poll, give_pairs},       {"pselect6", hold_pairs, by_select, give_pairs},
    {"epoll_wait", hold_pairs, by_epoll, give_pairs}, {"nanosleep", hold_word, by_nanosleep, give_word},
};

int main(void)
{
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++)
        tick_while_stuck(&ways[i]);
    return 0;
}
