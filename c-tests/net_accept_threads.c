/* Many threads in accept on one listener: each connection goes to exactly one; accept4 sets the flags it is told; the address is told.
 * covers: accept accept4 shutdown
 * proof: green_threads>=16 parks>=1 hooks.accept>=64 hooks.accept4>=2
 */
#include "sockets.h"

enum { SERVERS = 8, CLIENTS = 8, ROUNDS = 8 };
static int listener;
static struct sockaddr_in address;

static void *server(void *unused)
{
    for (;;) {
        struct sockaddr_in peer = {0};
        socklen_t size = sizeof peer;
        int fd = accept(listener, (struct sockaddr *)&peer, &size);
        if (fd < 0) {
            CHECK(errno == EINVAL);
            return unused;
        }
        CHECK(size == sizeof peer && peer.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
        CHECK_IS(send(fd, &peer.sin_port, sizeof peer.sin_port, 0), sizeof peer.sin_port);
        close(fd);
    }
}

static void *client(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct sockaddr_in own;
        in_port_t port;
        int fd = tcp_connect(&address);
        CHECK_IS(getsockname(fd, (struct sockaddr *)&own, &(socklen_t){sizeof own}), 0);
        CHECK_IS(recv(fd, &port, sizeof port, MSG_WAITALL), sizeof port);
        CHECK(port == own.sin_port);
        CHECK_IS(recv(fd, &port, 1, 0), 0);
        close(fd);
    }
    return unused;
}

static void flags(void)
{
    static const int asked[] = {0, SOCK_NONBLOCK, SOCK_CLOEXEC, SOCK_NONBLOCK | SOCK_CLOEXEC};
    for (int i = 0; i < 4; i++) {
        int fd = tcp_connect(&address), end = accept4(listener, NULL, NULL, asked[i]);
        CHECK(end >= 0);
        say("accept4: %s%s", fcntl(end, F_GETFL) & O_NONBLOCK ? "non-blocking " : "",
            fcntl(end, F_GETFD) & FD_CLOEXEC ? "close-on-exec" : "");
        close(fd), close(end);
    }
    CHECK_FAILS(accept4(listener, NULL, NULL, 1), EINVAL);
    CHECK_FAILS(accept(-1, NULL, NULL), EBADF);
    int file = open("/dev/null", O_RDWR);
    CHECK_FAILS(accept(file, NULL, NULL), ENOTSOCK);
    close(file);
}

int main(void)
{
    pthread_t servers[SERVERS], clients[CLIENTS];
    listener = tcp_listen(&address, CLIENTS);
    in_thread(flags);
    for (int i = 0; i < SERVERS; i++)
        servers[i] = spawn(server, NULL);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = spawn(client, NULL);
    for (int i = 0; i < CLIENTS; i++)
        join(clients[i]);
    say("%d connections served once each", CLIENTS * ROUNDS);
    CHECK_IS(shutdown(listener, SHUT_RDWR), 0);
    for (int i = 0; i < SERVERS; i++)
        join(servers[i]);
    say("shutdown of the listener: EINVAL in each server");
    return 0;
}
