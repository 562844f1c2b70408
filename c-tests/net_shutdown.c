/* shutdown wakes whoever is blocked on the socket: the reader with 0, the writer with EPIPE, accept with EINVAL, poll with POLLHUP.
 * covers: shutdown recv read send accept poll
 * proof: green_threads>=5 parks>=3 hooks.shutdown>=4
 */
#include "sockets.h"

static int fd[2];

static void *blocked_recv(void *unused)
{
    char text[8] = "";
    CHECK_IS(recv(fd[0], text, sizeof text, MSG_WAITALL), 2);
    say("recv with MSG_WAITALL: what it had: %s", text);
    CHECK_IS(recv(fd[0], text, sizeof text, 0), 0);
    CHECK_IS(read(fd[0], text, sizeof text), 0);
    say("then 0");
    return unused;
}

static void *blocked_send(void *unused)
{
    static char block[1 << 22];
    ssize_t sent = send(fd[0], block, sizeof block, MSG_NOSIGNAL);
    CHECK(sent > 0 && sent < (ssize_t)sizeof block);
    CHECK_FAILS(send(fd[0], block, sizeof block, MSG_NOSIGNAL), EPIPE);
    say("send: what went, then EPIPE");
    return unused;
}

static void *blocked_poll(void *unused)
{
    struct pollfd entry = {fd[0], POLLIN | POLLRDHUP, 0};
    CHECK_IS(poll(&entry, 1, -1), 1);
    CHECK_IS(entry.revents, POLLIN | POLLRDHUP | POLLHUP);
    say("poll: POLLIN POLLRDHUP POLLHUP");
    return unused;
}

static void *blocked_accept(void *listener)
{
    CHECK_FAILS(accept(*(int *)listener, NULL, NULL), EINVAL);
    say("accept: EINVAL");
    return NULL;
}

static void reader(void)
{
    pthread_t thread = spawn(blocked_recv, NULL);
    transmit(fd[1], "ab");
    wait_taken(fd[0]);
    CHECK_IS(shutdown(fd[0], SHUT_RD), 0);
    join(thread);
    transmit(fd[0], "still writable");
    receive(fd[1], "still writable");
    close_pair(fd);
}

static void writer(void)
{
    small_buffers(fd);
    pthread_t thread = spawn(blocked_send, NULL);
    CHECK_IS(poll(&(struct pollfd){fd[1], POLLIN, 0}, 1, -1), 1);
    nap(5);
    CHECK_IS(shutdown(fd[0], SHUT_WR), 0);
    join(thread);
    close_pair(fd);
}

static void poller(void)
{
    unix_pair(SOCK_STREAM, fd);
    pthread_t thread = spawn(blocked_poll, NULL);
    nap(2);
    CHECK_IS(shutdown(fd[0], SHUT_RDWR), 0);
    join(thread);
    close_pair(fd);
}

static void listener(void)
{
    struct sockaddr_in address;
    int listening = tcp_listen(&address, 1);
    pthread_t thread = spawn(blocked_accept, &listening);
    nap(2);
    CHECK_IS(shutdown(listening, SHUT_RDWR), 0);
    join(thread);
    close(listening);
    CHECK_FAILS(shutdown(-1, SHUT_RD), EBADF);
    listening = open("/dev/null", O_RDWR);
    CHECK_FAILS(shutdown(listening, SHUT_RD), ENOTSOCK);
    close(listening);
    listening = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_FAILS(shutdown(listening, SHUT_RD), ENOTCONN);
    close(listening);
}

int main(void)
{
    tcp_pair(fd);
    reader();
    unix_pair(SOCK_STREAM, fd);
    reader();
    tcp_pair(fd);
    writer();
    unix_pair(SOCK_STREAM, fd);
    writer();
    poller();
    listener();
    return 0;
}
