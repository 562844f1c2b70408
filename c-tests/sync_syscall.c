/* The function syscall: numbers whose libc function parks park as well, and answer as the system call does, errno and all.
 * covers: syscall read write readv poll ppoll select pselect nanosleep clock_nanosleep sched_yield gettid wait4 waitid
 * covers: recvfrom close dup2 fcntl sigprocmask
 * proof: green_threads>=12 parks>=8 hooks.syscall>=40 hooks.read>=1 hooks.poll>=1
 * passes: dup2 fcntl: only a descriptor that is none is given
 */
#include "ctest.h"
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static int ends[2];

static void *writes_later(void *argument)
{
    nap(2);
    CHECK_IS(syscall(SYS_write, ends[1], "x", 1), 1);
    return argument;
}

static long reads(void)
{
    char byte;
    return syscall(SYS_read, ends[0], &byte, 1);
}

static long reads_vector(void)
{
    char byte;
    struct iovec part = {&byte, 1};
    return syscall(SYS_readv, ends[0], &part, 1);
}

static long receives(void)
{
    char byte;
    return syscall(SYS_recvfrom, ends[0], &byte, 1, 0, NULL, NULL);
}

static long polls(void)
{
    struct pollfd fd = {ends[0], POLLIN, 0};
    return syscall(SYS_poll, &fd, 1, -1);
}

static long polls_masked(void)
{
    struct pollfd fd = {ends[0], POLLIN, 0};
    sigset_t mask;
    sigemptyset(&mask);
    return syscall(SYS_ppoll, &fd, 1, &(struct timespec){10, 0}, &mask, 8);
}

static long selects(void)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    return syscall(SYS_select, ends[0] + 1, &set, NULL, NULL, &(struct timeval){10, 0});
}

static long selects_masked(void)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    sigset_t mask;
    sigemptyset(&mask);
    struct { sigset_t *mask; size_t size; } sixth = {&mask, 8};
    return syscall(SYS_pselect6, ends[0] + 1, &set, NULL, NULL, &(struct timespec){10, 0}, &sixth);
}

static long waits_for_events(void)
{
    int set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    CHECK_IS(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event), 0);
    long count = syscall(SYS_epoll_wait, set, &event, 1, -1);
    CHECK_IS(syscall(SYS_close, set), 0);
    return count;
}

/* Each call finds nothing, parks, and is woken by what another thread writes. */
static void parks(const char *name, long (*call)(void))
{
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    pthread_t writer = spawn(writes_later, NULL);
    CHECK_IS(call(), 1);
    join(writer);
    CHECK_IS(syscall(SYS_close, ends[0]), 0);
    CHECK_IS(syscall(SYS_close, ends[1]), 0);
    say("%s: parked and woken", name);
}

static void *sleeps(void *argument)
{
    struct timespec time = {0, 2000000}, left = {1, 2};
    CHECK_IS(syscall(SYS_nanosleep, &time, &left), 0);
    CHECK_IS(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &time, &left), 0);
    CHECK(left.tv_sec == 1 && left.tv_nsec == 2);
    CHECK_IS(syscall(SYS_sched_yield), 0);
    time.tv_nsec = -1;
    CHECK_FAILS(syscall(SYS_nanosleep, &time, NULL), EINVAL);
    CHECK_FAILS(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &time, NULL), EINVAL);
    CHECK_FAILS(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, NULL, NULL), EFAULT);
    return argument;
}

static void on_signal(int signal)
{
    (void)signal;
}

static void *identifies_and_masks(void *argument)
{
    CHECK_IS(syscall(SYS_gettid), gettid());
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_IS(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 8), 0);
    CHECK_IS(syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1), 0);
    CHECK_IS(pthread_sigmask(SIG_UNBLOCK, NULL, &old), 0);
    CHECK(sigismember(&old, SIGUSR1) == 1);
    CHECK_FAILS(syscall(SYS_tgkill, getpid(), gettid(), 99), EINVAL);
    CHECK_IS(syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, NULL, 8), 0);
    return argument;
}

static void *waits_for_children(void *argument)
{
    for (int way = 0; way < 2; way++) {
        int status = 0;
        siginfo_t info;
        pid_t child = fork();
        if (child == 0) {
            nap(2);
            _exit(7);
        }
        if (way == 0) {
            CHECK_IS(syscall(SYS_wait4, child, &status, 0, NULL), child);
            CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
        } else {
            CHECK_IS(syscall(SYS_waitid, P_PID, child, &info, WEXITED, NULL), 0);
            CHECK(info.si_pid == child && info.si_status == 7);
        }
    }
    CHECK_FAILS(syscall(SYS_wait4, -1, NULL, 0, NULL), ECHILD);
    return argument;
}

static void *fails(void *argument)
{
    char byte;
    CHECK_FAILS(syscall(SYS_read, -1, &byte, 1), EBADF);
    CHECK_FAILS(syscall(SYS_close, -1), EBADF);
    CHECK_FAILS(syscall(SYS_dup2, -1, 3), EBADF);
    CHECK_FAILS(syscall(SYS_fcntl, -1, F_GETFD), EBADF);
    CHECK_FAILS(syscall(SYS_recvfrom, -1, &byte, 1, 0, NULL, NULL), EBADF);
    CHECK_FAILS(syscall(-1), ENOSYS);
    CHECK_FAILS(syscall(1000000), ENOSYS);
    CHECK_IS(syscall(SYS_getpid), getpid());
    return argument;
}

int main(void)
{
    signal(SIGUSR1, on_signal);
    parks("read", reads);
    parks("readv", reads_vector);
    parks("recvfrom", receives);
    parks("poll", polls);
    parks("ppoll", polls_masked);
    parks("select", selects);
    parks("pselect6", selects_masked);
    parks("epoll_wait", waits_for_events);
    join(spawn(sleeps, NULL));
    say("nanosleep, clock_nanosleep, sched_yield: -1 and errno");
    join(spawn(identifies_and_masks, NULL));
    say("gettid, rt_sigprocmask, tgkill: the thread's own");
    join(spawn(waits_for_children, NULL));
    say("wait4, waitid: the child's end");
    join(spawn(fails, NULL));
    say("bad arguments, unknown numbers: as the kernel says");
    return 0;
}
