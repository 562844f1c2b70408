/* The program's own O_NONBLOCK is obeyed, however it was set, and F_GETFL tells the truth before, during and after a blocked call.
 * covers: fcntl fcntl64 __fcntl ioctl recv send read write accept accept4 connect recvmsg sendmsg
 * proof: green_threads>=2 parks>=2 hooks.fcntl>=2 hooks.fcntl64>=1 hooks.__fcntl>=1 hooks.ioctl>=2
 */
#include "sockets.h"

extern int __fcntl(int, int, ...);

static int fd[2];

static bool nonblocking(int socket)
{
    int flags = fcntl(socket, F_GETFL);
    CHECK(flags >= 0);
    CHECK_IS(fcntl64(socket, F_GETFL), flags);
    CHECK_IS(__fcntl(socket, F_GETFL), flags);
    return flags & O_NONBLOCK;
}

static void *reader(void *unused)
{
    receive(fd[0], "first, second");
    return unused;
}

/* A call that blocks goes on blocking when the flag is set meanwhile: only later calls see it. */
static void meanwhile(void)
{
    CHECK(!nonblocking(fd[0]));
    pthread_t thread = spawn(reader, NULL);
    transmit(fd[1], "first");
    wait_taken(fd[0]);
    for (int i = 0; i < 5; i++, nap(1))
        CHECK(!nonblocking(fd[0]));
    say("while a reader is blocked: not O_NONBLOCK");
    CHECK_IS(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
    char byte;
    CHECK_FAILS(recv(fd[0], &byte, 1, 0), EAGAIN);
    transmit(fd[1], ", ");
    wait_taken(fd[0]);
    transmit(fd[1], "second");
    join(thread);
    CHECK(nonblocking(fd[0]));
    say("set meanwhile: the blocked reader got all, the next would not wait");
}

static void every_call(void)
{
    char block[4096] = "";
    struct iovec part = {block, sizeof block};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    CHECK_FAILS(recv(fd[0], block, 1, 0), EAGAIN);
    CHECK_FAILS(recv(fd[0], block, 1, MSG_WAITALL), EAGAIN);
    CHECK_FAILS(read(fd[0], block, 1), EAGAIN);
    CHECK_FAILS(recvmsg(fd[0], &message, 0), EAGAIN);
    fill(fd[0]);
    CHECK_FAILS(send(fd[0], block, sizeof block, 0), EAGAIN);
    CHECK_FAILS(write(fd[0], block, sizeof block), EAGAIN);
    CHECK_FAILS(sendmsg(fd[0], &message, 0), EAGAIN);
    say("O_NONBLOCK: EAGAIN from each call");
}

static void *late(void *unused)
{
    nap(5);
    transmit(fd[1], "late");
    return unused;
}

static void by_ioctl(void)
{
    CHECK_IS(ioctl(fd[0], FIONBIO, &(int){0}), 0);
    CHECK(!nonblocking(fd[0]));
    pthread_t thread = spawn(late, NULL);
    receive(fd[0], "late");
    join(thread);
    say("FIONBIO off: waits");
    CHECK_IS(ioctl(fd[0], FIONBIO, &(int){1}), 0);
    CHECK(nonblocking(fd[0]));
    CHECK_FAILS(recv(fd[0], &(char){0}, 1, 0), EAGAIN);
    say("FIONBIO on: EAGAIN");
    int copy = dup(fd[0]);
    CHECK_IS(__fcntl(copy, F_SETFL, 0), 0);
    thread = spawn(late, NULL);
    receive(fd[0], "late");
    join(thread);
    CHECK_IS(fcntl64(copy, F_SETFL, O_NONBLOCK), 0);
    CHECK_FAILS(recv(fd[0], &(char){0}, 1, 0), EAGAIN);
    say("through a duplicate: the same");
    close(copy);
}

static void connecting(void)
{
    struct sockaddr_in address;
    int error = -1, listener = tcp_listen(&address, 1);
    CHECK_IS(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    CHECK_FAILS(accept(listener, NULL, NULL), EAGAIN);
    CHECK_FAILS(accept4(listener, NULL, NULL, SOCK_NONBLOCK), EAGAIN);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK_FAILS(connect(client, (struct sockaddr *)&address, sizeof address), EINPROGRESS);
    CHECK_IS(poll(&(struct pollfd){client, POLLOUT, 0}, 1, -1), 1);
    CHECK_IS(getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error}), 0);
    CHECK_IS(error, 0);
    CHECK(nonblocking(client));
    CHECK_IS(poll(&(struct pollfd){listener, POLLIN, 0}, 1, -1), 1);
    int server = accept(listener, NULL, NULL);
    CHECK(server >= 0 && !nonblocking(server));
    say("connect: EINPROGRESS, then connected; the accepted end is a blocking one");
    close(client), close(server), close(listener);

    client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK_FAILS(connect(client, (struct sockaddr *)&address, sizeof address), EINPROGRESS);
    CHECK_IS(poll(&(struct pollfd){client, POLLOUT, 0}, 1, -1), 1);
    CHECK_IS(getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error}), 0);
    say("refused: EINPROGRESS, then %s", error_name(error));
    close(client);
}

static void all(void)
{
    tcp_pair(fd);
    meanwhile();
    by_ioctl();
    every_call();
    close_pair(fd);
    connecting();
}

int main(void)
{
    in_thread(all);
    return 0;
}
