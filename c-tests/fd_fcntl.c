/* fcntl's other commands, by each of its names: duplicates, flags, owner, pipe size; integer and pointer arguments arrive.
 * covers: fcntl fcntl64 __fcntl dup ioctl
 * proof: green_threads>=1 hooks.fcntl>=5 hooks.fcntl64>=2 hooks.__fcntl>=2 hooks.ioctl>=3
 * no_park: only main waits, for threads that may have ended before it asks
 * came: ioctl>=4: the rest are requests that change nothing the library knows
 */
#include "sockets.h"

extern int __fcntl(int, int, ...);

static int line[2];

static void duplicates(void)
{
    int copy = fcntl(line[0], F_DUPFD, 100);
    CHECK_IS(copy, 100);
    CHECK_IS(fcntl64(line[0], F_DUPFD_CLOEXEC, 100), 101);
    CHECK_IS(__fcntl(line[0], F_DUPFD, 100), 102);
    CHECK_IS(fcntl(100, F_GETFD), 0);
    CHECK_IS(fcntl(101, F_GETFD), FD_CLOEXEC);
    CHECK_IS(fcntl(102, F_SETFD, FD_CLOEXEC), 0);
    CHECK_IS(__fcntl(102, F_GETFD), FD_CLOEXEC);
    int lowest = dup(line[0]);
    CHECK(lowest >= 0 && lowest < 100);
    CHECK_IS(fcntl(lowest, F_GETFD), 0);
    CHECK_FAILS(dup(-1), EBADF);
    CHECK_FAILS(fcntl(line[0], F_DUPFD, -1), EINVAL);
    CHECK_FAILS(fcntl(-1, F_DUPFD, 0), EBADF);
    CHECK_IS(close_range(100, 102, 0) + close(lowest), 0);
    say("duplicates from 100 on: 100, 101, 102");
}

static void flags(void)
{
    CHECK_IS(fcntl(line[1], F_GETFL), O_WRONLY);
    CHECK_IS(fcntl(line[1], F_SETFL, O_NONBLOCK | O_APPEND), 0);
    CHECK_IS(fcntl64(line[1], F_GETFL), O_WRONLY | O_NONBLOCK | O_APPEND);
    CHECK_IS(__fcntl(line[1], F_SETFL, 0), 0);
    CHECK_IS(__fcntl(line[1], F_GETFL), O_WRONLY);
    CHECK_FAILS(fcntl(-1, F_GETFL), EBADF);
    CHECK_FAILS(fcntl(line[1], 12345), EINVAL);
    say("flags: as they were set");
}

static void others(void)
{
    struct f_owner_ex owner = {F_OWNER_PID, getpid()}, seen = {0};
    CHECK_IS(fcntl(line[0], F_SETOWN, getpid()), 0);
    CHECK_IS(fcntl(line[0], F_GETOWN), getpid());
    CHECK_IS(fcntl64(line[0], F_SETOWN_EX, &owner), 0);
    CHECK_IS(fcntl(line[0], F_GETOWN_EX, &seen), 0);
    CHECK(seen.type == F_OWNER_PID && seen.pid == getpid());
    CHECK_IS(fcntl(line[0], F_SETPIPE_SZ, 1 << 13), 1 << 13);
    CHECK_IS(fcntl(line[1], F_GETPIPE_SZ), 1 << 13);
    CHECK_FAILS(fcntl(line[0], F_SETOWN_EX, NULL), EFAULT);
    say("owner and pipe size: as they were set");
}

static void by_ioctl(void)
{
    int count = -1;
    CHECK_IS(write(line[1], "hello", 5), 5);
    CHECK_IS(ioctl(line[0], FIONREAD, &count), 0);
    CHECK_IS(count, 5);
    CHECK_IS(ioctl(line[0], FIOCLEX), 0);
    CHECK_IS(fcntl(line[0], F_GETFD), FD_CLOEXEC);
    CHECK_IS(ioctl(line[0], FIONCLEX), 0);
    CHECK_IS(fcntl(line[0], F_GETFD), 0);
    CHECK_IS(ioctl(line[0], FIONBIO, &(int){1}), 0);
    CHECK_IS(fcntl(line[0], F_GETFL), O_RDONLY | O_NONBLOCK);
    CHECK_IS(ioctl(line[0], FIONBIO, &(int){0}), 0);
    CHECK_IS(fcntl(line[0], F_GETFL), O_RDONLY);
    CHECK_FAILS(ioctl(line[0], FIONBIO, NULL), EFAULT);
    CHECK_FAILS(ioctl(line[0], TIOCGWINSZ, &count), ENOTTY);
    CHECK_FAILS(ioctl(-1, FIONREAD, &count), EBADF);
    say("ioctl: FIONREAD, FIOCLEX, FIONBIO");
}

static void all(void)
{
    CHECK_IS(pipe(line), 0);
    duplicates();
    flags();
    others();
    by_ioctl();
    close_pair(line);
}

int main(void)
{
    in_thread(all);
    return 0;
}
