/* Closing all that is not ours, as daemons do (closefrom, close_range, a loop): threads go on waiting and waking afterwards, the numbers
 * are free, and none but the program's own was open.
 * covers: close closefrom close_range dup2 dup3
 * proof: green_threads>=6 parks>=3 hooks.closefrom>=1 hooks.close_range>=4 hooks.close>=100
 */
#include "sockets.h"
#include <linux/close_range.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

enum { MANY = 1 << 16 };
static int fd[2], lowest;

static void *echo(void *unused)
{
    receive(fd[0], "are you there?");
    transmit(fd[0], "yes");
    return unused;
}

/* Waiting and waking still work, on new descriptors that have the lowest numbers. */
static void still_alive(const char *after)
{
    unix_pair(SOCK_STREAM, fd);
    CHECK_IS(fd[0], lowest);
    CHECK_IS(fd[1], lowest + 1);
    pthread_t thread = spawn(echo, NULL);
    nap(2);
    transmit(fd[1], "are you there?");
    receive(fd[1], "yes");
    join(thread);
    int queue = epoll_create1(0);
    CHECK_IS(epoll_wait(queue, &(struct epoll_event){0}, 1, 2), 0);
    CHECK_IS(poll(&(struct pollfd){fd[0], POLLIN, 0}, 1, 2), 0);
    close(queue);
    close_pair(fd);
    say("after %s: alive", after);
}

static void all(void)
{
    still_alive("nothing");
    closefrom(lowest);
    still_alive("closefrom");
    CHECK_IS(close_range(lowest, ~0U, 0), 0);
    still_alive("close_range");
    CHECK_IS(syscall(SYS_close_range, lowest, ~0U, 0), 0);
    still_alive("close_range by its number");
    CHECK_IS(close_range(lowest, ~0U, CLOSE_RANGE_CLOEXEC), 0);
    still_alive("close_range with CLOSE_RANGE_CLOEXEC");
    long limit = sysconf(_SC_OPEN_MAX), found = 0;
    for (long i = lowest; i < limit && i < MANY; i++) {
        if (close(i) == 0)
            found++;
        else
            CHECK(errno == EBADF);
    }
    CHECK_IS(found, 0);
    still_alive("close of each number");
    for (long i = limit - 64; i < limit; i++) {
        CHECK_IS(dup2(0, i), i);
        CHECK_IS(dup3(0, i, O_CLOEXEC), i);
    }
    still_alive("dup2 and dup3 onto the highest numbers");
    CHECK_IS(close_range(limit - 64, limit - 1, 0), 0);
    CHECK_FAILS(close(limit - 1), EBADF);
    CHECK_FAILS(close_range(2, 1, 0), EINVAL);
    CHECK_FAILS(close_range(lowest, ~0U, 1 << 30), EINVAL);
    still_alive("close_range of these");
}

int main(void)
{
    lowest = open("/dev/null", O_RDONLY);
    CHECK(lowest > STDERR_FILENO);
    close(lowest);
    closefrom(lowest);
    in_thread(all);
    return 0;
}
