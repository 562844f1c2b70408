/* Calls for no bytes: which of them wait, and what they leave.
 * covers: recv recvfrom recvmsg read readv send sendto sendmsg write writev
 * proof: green_threads>=2 parks>=5 hooks.recv>=2 hooks.send>=1 hooks.sendto>=1 hooks.readv>=1 hooks.writev>=1
 */
#include "sockets.h"

static int fd[2];
static atomic_bool sent;

static void *late_sender(void *unused)
{
    nap(5);
    atomic_store(&sent, true);
    transmit(fd[1], "x");
    return unused;
}

static void stream(void)
{
    char byte = 'x';
    struct iovec none = {&byte, 0};
    struct msghdr message = {.msg_iov = &none, .msg_iovlen = 1}, empty = {0};
    CHECK_IS(read(fd[0], &byte, 0), 0);
    CHECK_IS(read(fd[0], NULL, 0), 0);
    CHECK_IS(readv(fd[0], &none, 1), 0);
    CHECK_IS(readv(fd[0], NULL, 0), 0);
    say("read and readv: 0 at once");
    CHECK_FAILS(recv(fd[0], &byte, 0, MSG_DONTWAIT), EAGAIN);
    atomic_store(&sent, false);
    pthread_t thread = spawn(late_sender, NULL);
    CHECK_IS(recv(fd[0], &byte, 0, 0), 0);
    CHECK(atomic_load(&sent));
    join(thread);
    CHECK_IS(recv(fd[0], &byte, 0, 0), 0);
    CHECK_IS(recvfrom(fd[0], &byte, 0, 0, NULL, NULL), 0);
    CHECK_IS(recvmsg(fd[0], &message, 0), 0);
    CHECK_IS(recvmsg(fd[0], &empty, 0), 0);
    receive(fd[0], "x");
    say("recv: waited for a byte and left it");
    CHECK_IS(write(fd[0], &byte, 0), 0);
    CHECK_IS(writev(fd[0], &none, 1), 0);
    CHECK_IS(writev(fd[0], NULL, 0), 0);
    CHECK_IS(send(fd[0], &byte, 0, 0), 0);
    CHECK_IS(sendto(fd[0], NULL, 0, 0, NULL, 0), 0);
    CHECK_IS(sendmsg(fd[0], &message, 0), 0);
    CHECK_IS(sendmsg(fd[0], &empty, 0), 0);
    CHECK_FAILS(recv(fd[1], &byte, 1, MSG_DONTWAIT), EAGAIN);
    say("the sending ones: 0, and nothing went");
    close_pair(fd);
}

static void *datagram_sender(void *unused)
{
    nap(2);
    CHECK_IS(send(fd[1], NULL, 0, 0), 0);
    CHECK_IS(write(fd[1], NULL, 0), 0);
    CHECK_IS(send(fd[1], "datagram", 8, 0), 8);
    CHECK_IS(send(fd[1], "next", 4, 0), 4);
    return unused;
}

static void datagrams(void)
{
    char text[8];
    struct sockaddr_in address;
    fd[0] = inet_bound(SOCK_DGRAM, &address);
    fd[1] = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_IS(connect(fd[1], (struct sockaddr *)&address, sizeof address), 0);
    pthread_t thread = spawn(datagram_sender, NULL);
    CHECK_IS(recv(fd[0], text, sizeof text, 0), 0);
    CHECK_IS(recv(fd[0], text, sizeof text, 0), 0);
    CHECK_IS(recv(fd[0], text, 0, 0), 0);
    CHECK_IS(recv(fd[0], text, sizeof text, 0), 4);
    join(thread);
    say("datagrams: two empty ones are received; one read with no bytes is gone");
    close_pair(fd);
}

static void pipes(void)
{
    int end[2];
    CHECK_IS(pipe(end), 0);
    CHECK_IS(read(end[0], NULL, 0), 0);
    CHECK_IS(readv(end[0], NULL, 0), 0);
    CHECK_IS(write(end[1], NULL, 0), 0);
    CHECK_IS(writev(end[1], NULL, 0), 0);
    say("pipes: 0 at once");
    close_pair(end);
}

int main(void)
{
    tcp_pair(fd);
    in_thread(stream);
    unix_pair(SOCK_STREAM, fd);
    in_thread(stream);
    in_thread(datagrams);
    in_thread(pipes);
    return 0;
}
