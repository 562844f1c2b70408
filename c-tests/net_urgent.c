/* Urgent data: POLLPRI and select's exceptions wake the waiting, MSG_OOB takes the byte, recv stops at the mark, SIGURG goes to its owner.
 * covers: recv send poll select fcntl setsockopt ioctl
 * proof: green_threads>=3 parks>=2 hooks.recv>=3 hooks.poll>=2 hooks.select>=1
 * passes: ioctl: where the urgent byte is, is the kernel's to tell
 */
#include "signals.h"
#include "sockets.h"
#include <sys/select.h>

static int fd[2];

static void *late_urgent(void *unused)
{
    nap(2);
    CHECK_IS(send(fd[1], "!", 1, MSG_OOB), 1);
    return unused;
}

static void take_urgent(const char *who)
{
    char byte = 0;
    CHECK_IS(recv(fd[0], &byte, 1, MSG_OOB), 1);
    say("%s: urgent %c", who, byte);
}

static void *reads_normal(void *unused)
{
    receive(fd[0], "nor");
    receive(fd[0], "mal");
    return unused;
}

static void waiting(void)
{
    struct pollfd entry = {fd[0], POLLPRI, 0};
    fd_set exceptions;
    CHECK_FAILS(recv(fd[0], &(char){0}, 1, MSG_OOB), EINVAL);
    pthread_t sender = spawn(late_urgent, NULL);
    CHECK_IS(poll(&entry, 1, -1), 1);
    CHECK_IS(entry.revents, POLLPRI);
    take_urgent("poll");
    join(sender);
    CHECK_FAILS(recv(fd[0], &(char){0}, 1, MSG_OOB), EINVAL);
    sender = spawn(late_urgent, NULL);
    FD_ZERO(&exceptions);
    FD_SET(fd[0], &exceptions);
    CHECK_IS(select(fd[0] + 1, NULL, NULL, &exceptions, NULL), 1);
    CHECK(FD_ISSET(fd[0], &exceptions));
    take_urgent("select");
    join(sender);
}

/* A reader of normal data steps over the urgent byte, which is lost, and goes on waiting. */
static void reader_goes_on(void)
{
    pthread_t reader = spawn(reads_normal, NULL);
    transmit(fd[1], "nor");
    wait_taken(fd[0]);
    nap(1);
    late_urgent(NULL);
    transmit(fd[1], "mal");
    join(reader);
    say("a blocked reader waits on for its own");
}

static void mark(void)
{
    char text[8] = "";
    transmit(fd[1], "ab");
    late_urgent(NULL);
    transmit(fd[1], "cd");
    CHECK_IS(poll(&(struct pollfd){fd[0], POLLPRI, 0}, 1, -1), 1);
    int before = 0;
    CHECK_IS(ioctl(fd[0], FIONREAD, &before), 0);
    CHECK_IS(before, 2);
    CHECK_IS(sockatmark(fd[0]), 0);
    CHECK_IS(recv(fd[0], text, 8, 0), 2);
    CHECK_IS(sockatmark(fd[0]), 1);
    say("before the mark: %s", text);
    CHECK_IS(recv(fd[0], text, 8, 0), 2);
    say("behind it: %s", text);
}

static void in_line(void)
{
    CHECK_IS(setsockopt(fd[0], SOL_SOCKET, SO_OOBINLINE, &(int){1}, sizeof(int)), 0);
    pthread_t sender = spawn(late_urgent, NULL);
    receive(fd[0], "!");
    join(sender);
    say("SO_OOBINLINE: recv waits for it");
}

static void *owner_signal(void *unused)
{
    late_urgent(NULL);
    while (atomic_load(&signals_caught) == 0)
        nap(1);
    return unused;
}

int main(void)
{
    tcp_pair(fd);
    in_thread(waiting);
    in_thread(reader_goes_on);
    in_thread(mark);
    catch_signal(SIGURG, SA_RESTART);
    CHECK_IS(fcntl(fd[0], F_SETOWN, getpid()), 0);
    join(spawn(owner_signal, NULL));
    say("SIGURG came");
    signal(SIGURG, SIG_IGN);
    in_thread(in_line);
    close_pair(fd);
    return 0;
}
