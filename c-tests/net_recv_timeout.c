/* A receive timeout ends a blocked receive with EAGAIN, whichever call it is and whoever set it; each call starts it anew.
 * covers: recv recvfrom recvmsg read readv accept setsockopt
 * proof: green_threads>=2 parks>=8 hooks.recv>=4 hooks.setsockopt>=3
 */
#include "sockets.h"

static const int SHORT = 5, LONG = 60000;

/* Runs the call, which must end with EAGAIN after the timeout (the kernel counts in ticks: half is certain). */
#define TIMES_OUT(call)                            \
    do {                                           \
        long long begin = now_ms();                \
        CHECK_FAILS(call, EAGAIN);                 \
        CHECK(now_ms() - begin >= SHORT / 2);      \
        say("%s: EAGAIN", #call);                  \
    } while (0)

static void every_call(void)
{
    int fd[2];
    char byte;
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    unix_pair(SOCK_STREAM, fd);
    timeout_ms(fd[0], SO_RCVTIMEO, SHORT);
    TIMES_OUT(recv(fd[0], &byte, 1, 0));
    TIMES_OUT(recvfrom(fd[0], &byte, 1, 0, NULL, NULL));
    TIMES_OUT(recvmsg(fd[0], &message, 0));
    TIMES_OUT(read(fd[0], &byte, 1));
    TIMES_OUT(readv(fd[0], &piece, 1));
    TIMES_OUT(recv(fd[0], &byte, 1, MSG_PEEK));
    transmit(fd[1], "x");
    CHECK_IS(recv(fd[0], &byte, 1, 0), 1);
    close_pair(fd);
}

static void accepting(void)
{
    struct sockaddr_in address;
    int listener = tcp_listen(&address, 1);
    timeout_ms(listener, SO_RCVTIMEO, SHORT);
    TIMES_OUT(accept(listener, NULL, NULL));
    close(listener);
}

static void whole_message(void)
{
    int fd[2];
    char text[8] = "";
    tcp_pair(fd);
    timeout_ms(fd[0], SO_RCVTIMEO, SHORT);
    transmit(fd[1], "abc");
    CHECK_IS(recv(fd[0], text, 6, MSG_WAITALL), 3);
    say("MSG_WAITALL for 6: the 3 that came: %s", text);
    close_pair(fd);
}

/* Nothing that this process keeps about a descriptor may be believed: others can reach the same socket. */
static int shared;

static void set_by_child(void)
{
    timeout_ms(shared, SO_RCVTIMEO, SHORT);
}

static void set_elsewhere(void)
{
    int fd[2];
    char byte;
    unix_pair(SOCK_STREAM, fd);
    transmit(fd[1], "x");
    CHECK_IS(recv(fd[0], &byte, 1, 0), 1);
    shared = fd[0];
    CHECK_IS(in_child(set_by_child), 0);
    say("set by a child:");
    TIMES_OUT(recv(fd[0], &byte, 1, 0));
    int copy = dup(fd[0]);
    timeout_ms(copy, SO_RCVTIMEO, LONG);
    timeout_ms(copy, SO_RCVTIMEO, SHORT);
    say("set through a duplicate:");
    TIMES_OUT(recv(fd[0], &byte, 1, 0));
    close(copy);
    close_pair(fd);
}

static void *late_sender(void *fd)
{
    nap(3 * SHORT);
    transmit(*(int *)fd, "late");
    return NULL;
}

static void taken_back(void)
{
    int fd[2];
    unix_pair(SOCK_STREAM, fd);
    timeout_ms(fd[0], SO_RCVTIMEO, SHORT);
    timeout_ms(fd[0], SO_RCVTIMEO, 0);
    pthread_t sender = spawn(late_sender, &fd[1]);
    receive(fd[0], "late");
    say("no timeout any more: waited");
    join(sender);
    timeout_ms(fd[0], SO_RCVTIMEO, LONG);
    sender = spawn(late_sender, &fd[1]);
    receive(fd[0], "late");
    say("a long timeout: came in time");
    join(sender);
    close_pair(fd);
}

int main(void)
{
    in_thread(every_call);
    in_thread(accepting);
    in_thread(whole_message);
    in_thread(set_elsewhere);
    in_thread(taken_back);
    return 0;
}
