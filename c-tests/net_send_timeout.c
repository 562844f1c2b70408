/* A send timeout ends a blocked send with EAGAIN, or with the count of what went; it also limits connect.
 * covers: send sendto sendmsg write writev connect setsockopt
 * proof: green_threads>=3 parks>=5 hooks.send>=2 hooks.connect>=1
 */
#include "sockets.h"

static const int SHORT = 5;

#define TIMES_OUT(call, error)                     \
    do {                                           \
        long long begin = now_ms();                \
        CHECK_FAILS(call, error);                  \
        CHECK(now_ms() - begin >= SHORT / 2);      \
        say("%s: %s", #call, #error);              \
    } while (0)

static char block[1 << 20];

static void full(void)
{
    int fd[2];
    struct iovec piece = {block, sizeof block};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    unix_pair(SOCK_STREAM, fd);
    timeout_ms(fd[0], SO_SNDTIMEO, SHORT);
    fill(fd[0]);
    TIMES_OUT(send(fd[0], block, sizeof block, 0), EAGAIN);
    TIMES_OUT(sendto(fd[0], block, sizeof block, 0, NULL, 0), EAGAIN);
    TIMES_OUT(sendmsg(fd[0], &message, 0), EAGAIN);
    TIMES_OUT(write(fd[0], block, sizeof block), EAGAIN);
    TIMES_OUT(writev(fd[0], &piece, 1), EAGAIN);
    close_pair(fd);
}

static void half(void)
{
    int fd[2];
    tcp_pair(fd);
    timeout_ms(fd[0], SO_SNDTIMEO, SHORT);
    ssize_t sent, total = 0;
    while ((sent = send(fd[0], block, sizeof block, 0)) == (ssize_t)sizeof block)
        total += sent;
    CHECK(sent > 0 || errno == EAGAIN);
    say("TCP: in the end less than the whole, or EAGAIN");
    timeout_ms(fd[1], SO_RCVTIMEO, 5 * SHORT);
    for (total += sent > 0 ? sent : 0; total > 0; total -= sent)
        CHECK((sent = recv(fd[1], block, sizeof block, 0)) > 0);
    CHECK_FAILS(recv(fd[1], block, 1, MSG_DONTWAIT), EAGAIN);
    say("the other end got what was counted");
    close_pair(fd);
}

static void connecting(void)
{
    struct sockaddr_in address;
    struct sockaddr_un name;
    socklen_t size;
    int listener = unix_bound(SOCK_STREAM, &name, &size), first = socket(AF_UNIX, SOCK_STREAM, 0);
    int second = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_IS(listen(listener, 0), 0);
    CHECK_IS(connect(first, (struct sockaddr *)&name, size), 0);
    timeout_ms(second, SO_SNDTIMEO, SHORT);
    TIMES_OUT(connect(second, (struct sockaddr *)&name, size), EAGAIN);
    close(first), close(second), close(listener);

    listener = tcp_listen(&address, 0);
    first = tcp_connect(&address);
    second = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_IS(poll(&(struct pollfd){listener, POLLIN, 0}, 1, -1), 1);
    timeout_ms(second, SO_SNDTIMEO, SHORT);
    TIMES_OUT(connect(second, (struct sockaddr *)&address, sizeof address), EINPROGRESS);
    CHECK_FAILS(connect(second, (struct sockaddr *)&address, sizeof address), EALREADY);
    say("again: EALREADY");
    CHECK_IS(fcntl(second, F_GETFL), O_RDWR);
    close(first), close(second), close(listener);
}

int main(void)
{
    in_thread(full);
    in_thread(half);
    in_thread(connecting);
    return 0;
}
