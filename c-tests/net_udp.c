/* UDP: datagrams keep their bounds and their sender's address, a refusal wakes the blocked receiver, several receivers share one socket.
 * covers: recvfrom sendto recv send recvmsg
 * proof: green_threads>=7 parks>=2 hooks.recvfrom>=4 hooks.sendto>=4
 */
#include "sockets.h"

static int server;
static struct sockaddr_in address;

/* Answers each datagram by its length, to its sender, until the empty one. */
static void *answer(void *unused)
{
    char text[64];
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    ssize_t got;
    while ((got = recvfrom(server, text, sizeof text, 0, (struct sockaddr *)&peer, &size)) > 0) {
        CHECK(size == sizeof peer && peer.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
        CHECK_IS(sendto(server, &got, sizeof got, 0, (struct sockaddr *)&peer, size), sizeof got);
    }
    CHECK_IS(got, 0);
    return unused;
}

static void bounds(void)
{
    ssize_t length;
    struct sockaddr_in from = {0};
    struct iovec part = {&length, sizeof length};
    struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1};
    pthread_t thread = spawn(answer, NULL);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    for (int i = 1; i <= 10; i++) {
        CHECK_IS(sendto(fd, "0123456789", i, 0, (struct sockaddr *)&address, sizeof address), i);
        CHECK_IS(recvmsg(fd, &message, 0), sizeof length);
        CHECK_IS(length, i);
        CHECK(from.sin_port == address.sin_port);
    }
    CHECK_IS(sendto(fd, NULL, 0, 0, (struct sockaddr *)&address, sizeof address), 0);
    join(thread);
    say("10 datagrams answered by their length");
    close(fd);
}

static void *refused(void *fd)
{
    CHECK_FAILS(recv(*(int *)fd, &(char){0}, 1, 0), ECONNREFUSED);
    return NULL;
}

static void refusal(void)
{
    struct sockaddr_in gone;
    int fd = inet_bound(SOCK_DGRAM, &gone), error = 0;
    close(fd);
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_IS(connect(fd, (struct sockaddr *)&gone, sizeof gone), 0);
    pthread_t thread = spawn(refused, &fd);
    nap(2);
    CHECK_IS(send(fd, "x", 1, 0), 1);
    join(thread);
    CHECK_IS(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error}), 0);
    CHECK_IS(error, 0);
    say("nobody there: the blocked receiver has ECONNREFUSED");
    close(fd);
}

static atomic_int received;

static void *share(void *unused)
{
    char text[8];
    while (recv(server, text, sizeof text, 0) > 0)
        atomic_fetch_add(&received, 1);
    return unused;
}

static void shared(void)
{
    enum { RECEIVERS = 4, COUNT = 100 };
    pthread_t thread[RECEIVERS];
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_IS(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    for (int i = 0; i < RECEIVERS; i++)
        thread[i] = spawn(share, NULL);
    for (int i = 0; i < COUNT; i++) {
        CHECK_IS(send(fd, "x", 1, 0), 1);
        while (atomic_load(&received) < i - 20)
            nap(1);
    }
    while (atomic_load(&received) < COUNT)
        nap(1);
    for (int i = 0; i < RECEIVERS; i++)
        CHECK_IS(send(fd, NULL, 0, 0), 0);
    for (int i = 0; i < RECEIVERS; i++)
        join(thread[i]);
    say("%d receivers: %d datagrams, each once", RECEIVERS, atomic_load(&received));
    close(fd);
}

int main(void)
{
    server = inet_bound(SOCK_DGRAM, &address);
    in_thread(bounds);
    in_thread(refusal);
    in_thread(shared);
    close(server);
    return 0;
}
