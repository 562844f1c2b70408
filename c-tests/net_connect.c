/* connect: done, refused, repeated, dissolved, on TCP, UDP and unix sockets; the flags are left as they were and no error stays behind.
 * covers: connect __connect accept socket
 * proof: green_threads>=20 parks>=14 hooks.connect>=20 hooks.__connect>=1
 */
#include "sockets.h"

extern int __connect(int, const struct sockaddr *, socklen_t);

static struct sockaddr_in closed, open_address;

static int pending_error(int fd)
{
    int error = -1;
    CHECK_IS(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error}), 0);
    return error;
}

static void tcp(void)
{
    const struct sockaddr *there = (struct sockaddr *)&open_address, *nowhere = (struct sockaddr *)&closed;
    socklen_t size = sizeof closed;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_FAILS(connect(fd, nowhere, size), ECONNREFUSED);
    CHECK_IS(pending_error(fd), 0);
    CHECK_IS(fcntl(fd, F_GETFL), O_RDWR);
    say("refused: ECONNREFUSED, nothing left in SO_ERROR, still a blocking socket");
    CHECK_IS(connect(fd, there, size), 0);
    CHECK_IS(fcntl(fd, F_GETFL), O_RDWR);
    CHECK_FAILS(connect(fd, there, size), EISCONN);
    say("connected, then EISCONN");
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_FAILS(__connect(fd, nowhere, size), ECONNREFUSED);
    CHECK_IS(__connect(fd, there, size), 0);
    say("__connect: the same");
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_FAILS(connect(fd, there, 3), EINVAL);
    CHECK_FAILS(connect(fd, &(struct sockaddr){.sa_family = AF_UNIX}, size), EAFNOSUPPORT);
    int file = open("/dev/null", O_RDWR);
    CHECK_FAILS(connect(file, there, size), ENOTSOCK);
    CHECK_FAILS(connect(-1, there, size), EBADF);
    CHECK_FAILS(connect(fd, NULL, size), EFAULT);
    CHECK_IS(fcntl(fd, F_GETFL), O_RDWR);
    say("bad arguments: refused at once");
    close(file), close(fd);
}

static void udp(void)
{
    struct sockaddr_in address, name;
    int server = inet_bound(SOCK_DGRAM, &address), client = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_IS(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    transmit(client, "datagram");
    receive(server, "datagram");
    CHECK_IS(connect(client, &(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof name), 0);
    CHECK_FAILS(getpeername(client, (struct sockaddr *)&name, &(socklen_t){sizeof name}), ENOTCONN);
    say("UDP: connected and dissolved");
    close(client), close(server);
}

static void local(void)
{
    struct sockaddr_un name;
    socklen_t size;
    int listener = unix_bound(SOCK_STREAM, &name, &size), client = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un missing = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};
    CHECK_FAILS(connect(client, (struct sockaddr *)&missing, sizeof missing), ENOENT);
    CHECK_FAILS(connect(client, (struct sockaddr *)&name, size), ECONNREFUSED);
    CHECK_IS(listen(listener, 4), 0);
    CHECK_IS(connect(client, (struct sockaddr *)&name, size), 0);
    say("unix: ENOENT, ECONNREFUSED, connected");
    close(client), close(listener);
}

static void *one_client(void *address)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int result = connect(fd, address, sizeof closed);
    CHECK(result == 0 || errno == ECONNREFUSED);
    if (result == 0)
        receive(fd, "welcome");
    close(fd);
    return (void *)(intptr_t)(result == 0);
}

static void many(void)
{
    enum { CLIENTS = 40 };
    struct sockaddr_in address;
    int listener = tcp_listen(&address, CLIENTS), connected = 0;
    pthread_t client[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        client[i] = spawn(one_client, i % 2 ? &address : &closed);
    for (int i = 0; i < CLIENTS / 2; i++) {
        int fd = accept(listener, NULL, NULL);
        transmit(fd, "welcome");
        close(fd);
    }
    for (int i = 0; i < CLIENTS; i++)
        connected += (intptr_t)join(client[i]);
    say("%d clients: %d connected, %d refused", CLIENTS, connected, CLIENTS - connected);
    close(listener);
}

int main(void)
{
    int reserved = inet_bound(SOCK_STREAM, &closed), listener = tcp_listen(&open_address, 8);
    in_thread(tcp);
    in_thread(udp);
    in_thread(local);
    in_thread(many);
    close(reserved), close(listener);
    return 0;
}
