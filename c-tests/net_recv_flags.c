/* MSG_WAITALL waits for all, MSG_PEEK leaves what it saw, MSG_DONTWAIT never waits, MSG_TRUNC tells or drops.
 * covers: recv recvfrom recvmsg read
 * proof: green_threads>=2 parks>=3 hooks.recv>=4 hooks.recvmsg>=1 hooks.recvfrom>=1
 */
#include "sockets.h"

static int fd[2];

/* Sends the pieces one by one, each only when the one before was taken (or, for the peeking reader, after a while). */
static void *pieces(void *peeking)
{
    static const char *const piece[] = {"one ", "two ", "three"};
    for (int i = 0; i < 3; i++) {
        transmit(fd[1], piece[i]);
        if (peeking)
            nap(2);
        else
            wait_taken(fd[0]);
    }
    return NULL;
}

static void *one_piece(void *piece)
{
    nap(2);
    transmit(fd[1], piece);
    return NULL;
}

static void waitall(void)
{
    char text[16] = "", left[6] = "", right[9] = "";
    struct iovec parts[] = {{left, 5}, {right, 8}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    pthread_t sender = spawn(pieces, NULL);
    CHECK_IS(recv(fd[0], text, 13, MSG_WAITALL), 13);
    say("recv: %s", text);
    join(sender);
    sender = spawn(pieces, NULL);
    memset(text, 0, sizeof text);
    CHECK_IS(recvfrom(fd[0], text, 13, MSG_WAITALL, NULL, NULL), 13);
    say("recvfrom: %s", text);
    join(sender);
    sender = spawn(pieces, NULL);
    CHECK_IS(recvmsg(fd[0], &message, MSG_WAITALL), 13);
    say("recvmsg: %s|%s", left, right);
    join(sender);
    sender = spawn(one_piece, "one "); /* (The kernel takes a piece that comes just when it has taken the one before.) */
    memset(text, 0, sizeof text);
    CHECK_IS(recv(fd[0], text, 15, 0), 4);
    say("without: %s", text);
    join(sender);
    sender = spawn(one_piece, "two three");
    CHECK_IS(recv(fd[0], text, 9, MSG_WAITALL), 9);
    join(sender);
}

static void peek(void)
{
    char text[16] = "";
    pthread_t sender = spawn(pieces, fd);
    CHECK_IS(recv(fd[0], text, 2, MSG_PEEK), 2);
    CHECK_IS(recv(fd[0], text, 4, MSG_PEEK | MSG_DONTWAIT), 4);
    say("peeked: %s", text);
    CHECK_IS(recv(fd[0], text, 13, MSG_PEEK | MSG_WAITALL), 13);
    say("peeked with MSG_WAITALL: %s", text);
    memset(text, 0, sizeof text);
    CHECK_IS(read(fd[0], text, sizeof text), 13);
    say("still there: %s", text);
    join(sender);
}

static void never_wait(void)
{
    char text[8];
    struct iovec part = {text, sizeof text};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    CHECK_FAILS(recv(fd[0], text, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_FAILS(recv(fd[0], text, 1, MSG_DONTWAIT | MSG_WAITALL), EAGAIN);
    CHECK_FAILS(recvfrom(fd[0], text, 1, MSG_DONTWAIT | MSG_PEEK, NULL, NULL), EAGAIN);
    CHECK_FAILS(recvmsg(fd[0], &message, MSG_DONTWAIT), EAGAIN);
    transmit(fd[1], "ab");
    CHECK_IS(poll(&(struct pollfd){fd[0], POLLIN, 0}, 1, -1), 1);
    CHECK_IS(recv(fd[0], text, 8, MSG_DONTWAIT | MSG_WAITALL), 2);
    say("MSG_DONTWAIT: EAGAIN, then what is there");
}

static void *send_and_end(void *unused)
{
    transmit(fd[1], "the rest");
    wait_taken(fd[0]);
    shutdown(fd[1], SHUT_WR);
    return unused;
}

static void end_of_file(void)
{
    char text[16] = "";
    pthread_t sender = spawn(send_and_end, NULL);
    CHECK_IS(recv(fd[0], text, 16, MSG_WAITALL), 8);
    CHECK_IS(recv(fd[0], text + 8, 1, MSG_WAITALL), 0);
    say("at the end: %s", text);
    join(sender);
}

static void truncated(void)
{
    char text[8] = "";
    int pair[2];
    struct iovec part = {text, 4};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    unix_pair(SOCK_DGRAM, pair);
    transmit(pair[1], "datagram");
    transmit(pair[1], "datagram");
    transmit(pair[1], "datagram");
    CHECK_IS(recv(pair[0], text, 4, MSG_WAITALL), 4);
    CHECK_IS(recv(pair[0], text, 4, MSG_TRUNC), 8);
    CHECK_IS(recvmsg(pair[0], &message, 0), 4);
    CHECK(message.msg_flags & MSG_TRUNC);
    say("a datagram of 8 in a buffer of 4: %s", text);
    close_pair(pair);
}

static void stream(void)
{
    waitall();
    peek();
    never_wait();
    end_of_file();
    close_pair(fd);
}

int main(void)
{
    tcp_pair(fd);
    in_thread(stream);
    unix_pair(SOCK_STREAM, fd);
    in_thread(waitall);
    in_thread(end_of_file);
    in_thread(truncated);
    return 0;
}
