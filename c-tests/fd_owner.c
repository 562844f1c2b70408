/* Signals of a descriptor for one thread (F_OWNER_TID): each thread gets its own, by a signal of its choice that names the descriptor, by
 * SIGIO that names none, through another number of the same file, and in sigwaitinfo; the owner is told, and can be changed.
 * covers: fcntl ioctl gettid sigwaitinfo
 * proof: green_threads>=8 parks>=8 hooks.fcntl>=40
 */
#include "ctest.h"
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum { THREADS = 4, TIMES = 2000, GETSIG = 11 };

static __thread volatile int got, named;

static void on_io(int number, siginfo_t *info, void *context)
{
    (void)context;
    got++;
    named = number == SIGIO ? -1 : info->si_fd;
    if (number == SIGIO)
        CHECK_IS(info->si_code, SI_KERNEL);
}

static void own(int fd, int signal)
{
    struct f_owner_ex owner = {F_OWNER_TID, gettid()}, told = {0, 0};
    CHECK_IS(fcntl(fd, F_SETOWN_EX, &owner), 0);
    CHECK_IS(fcntl(fd, F_GETOWN_EX, &told), 0);
    CHECK(told.pid == owner.pid && told.type == F_OWNER_TID);
    CHECK_IS(fcntl(fd, F_GETOWN), gettid());
    CHECK_IS(fcntl(fd, F_GETSIG), 0);
    CHECK_IS(fcntl(fd, F_SETSIG, signal), 0);
    CHECK_IS(fcntl(fd, F_GETSIG), signal);
    CHECK_IS(fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK), 0);
}

static void *handles(void *argument)
{
    int pair[2], signal = (int)(long)argument;
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    own(pair[0], signal);
    nap(5);
    got = 0;
    CHECK_IS(write(pair[1], "x", 1), 1);
    for (int i = 0; i < 4000 && !got; i++)
        nap(1);
    CHECK(got >= 1);
    CHECK(signal == 0 || named == pair[0]);
    /* The process's own again, and another thread's no more. */
    CHECK_IS(fcntl(pair[0], F_SETOWN, getpid()), 0);
    CHECK_IS(fcntl(pair[0], F_GETOWN), getpid());
    CHECK_IS(fcntl(pair[0], F_GETSIG), signal);
    CHECK_FAILS(fcntl(pair[0], F_SETOWN_EX, (void *)8), EFAULT);
    CHECK_FAILS(fcntl(pair[0], F_SETOWN_EX, (&(struct f_owner_ex){99, 1})), EINVAL);
    CHECK_FAILS(fcntl(pair[0], F_SETOWN_EX, (&(struct f_owner_ex){F_OWNER_TID, 0x3ffffff})), ESRCH);
    CHECK_FAILS(fcntl(99, F_SETOWN_EX, (&(struct f_owner_ex){F_OWNER_TID, gettid()})), EBADF);
    close(pair[0]);
    close(pair[1]);
    return NULL;
}

static void *waits(void *unused)
{
    int pair[2], signal = SIGRTMIN + 4;
    sigset_t set;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, signal);
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    own(pair[0], signal);
    int other = dup(pair[0]);
    CHECK_IS(write(pair[1], "x", 1), 1);
    CHECK_IS(sigwaitinfo(&set, &info), signal);
    CHECK_IS(info.si_fd, pair[0]);
    close(pair[0]);
    close(pair[1]);
    close(other);
    return unused;
}

/* What one thread gives up, another takes at once: the signal that it has chosen stays its descriptor's. A new file has no owner. */
static void *gives_up(void *argument)
{
    int pair[2], signal = (int)(long)argument;
    for (int i = 0; i < TIMES; i++) {
        CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        CHECK_IS(fcntl(pair[0], F_GETOWN), 0);
        own(pair[0], i % 2 ? signal : 0);
        if (i % 4 < 2)
            CHECK_IS(fcntl(pair[0], F_SETOWN, getpid()), 0);
        CHECK_IS(fcntl(pair[0], F_GETSIG), i % 2 ? signal : 0);
        close(pair[0]);
        close(pair[1]);
    }
    return NULL;
}

/* A thread's tid stands for its process, which then owns the socket in the place of the thread. */
static void *asks(void *unused)
{
    int pair[2], told, own_tid = gettid(), of_nobody = 0x3ffffff, by_number = SIOCGPGRP;
    struct f_owner_ex owner = {F_OWNER_TID, own_tid};
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CHECK_IS(fcntl(pair[0], F_SETOWN_EX, &owner), 0);
    CHECK_IS(ioctl(pair[0], FIOGETOWN, &told), 0);
    CHECK_IS(told, own_tid);
    CHECK_IS(ioctl(pair[0], FIOSETOWN, &own_tid), 0);
    CHECK_IS(fcntl(pair[0], F_GETOWN_EX, &owner), 0);
    CHECK(owner.type == F_OWNER_PID);
    CHECK_IS(ioctl(pair[0], SIOCSPGRP, &(int){-getpgrp()}), 0);
    CHECK_IS(syscall(SYS_ioctl, pair[0], by_number, &told), 0);
    CHECK_IS(told, -getpgrp());
    CHECK_FAILS(ioctl(pair[0], SIOCSPGRP, &of_nobody), ESRCH);
    CHECK_FAILS(ioctl(pair[0], FIOSETOWN, 8), EFAULT);
    CHECK_FAILS(ioctl(pair[0], SIOCGPGRP, 8), EFAULT);
    CHECK_FAILS(ioctl(99, FIOSETOWN, &own_tid), EBADF);
    CHECK_FAILS(ioctl(99, FIOGETOWN, &told), EBADF);
    close(pair[0]);
    close(pair[1]);
    return unused;
}

static void in_all(void *(*function)(void *), long argument, const char *what)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = spawn(function, (void *)argument);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    say("%s", what);
}

static void all(void)
{
    in_all(handles, SIGRTMIN + 3, "a signal that names the descriptor");
    in_all(handles, 0, "a SIGIO that names none");
    in_all(waits, 0, "waited for");
    in_all(asks, 0, "by ioctl");
    in_all(gives_up, SIGRTMIN + 3, "given up and taken");
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_io, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigset_t set;
    sigaction(SIGRTMIN + 3, &action, NULL);
    sigaction(SIGIO, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 4);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    in_thread(all);
    return 0;
}
