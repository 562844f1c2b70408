/* Sockets with both ends in this process, and what can be seen of the other end: for the c-tests that need a peer. */
#ifndef CTEST_SOCKETS_H
#define CTEST_SOCKETS_H

#include "ctest.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

/* A socket of this type bound to a port of the loopback interface that the kernel chose. */
static inline int inet_bound(int type, struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, type, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(fd >= 0);
    CHECK_IS(bind(fd, (struct sockaddr *)address, size), 0);
    CHECK_IS(getsockname(fd, (struct sockaddr *)address, &size), 0);
    return fd;
}

static inline int tcp_listen(struct sockaddr_in *address, int backlog)
{
    int fd = inet_bound(SOCK_STREAM, address);
    CHECK_IS(listen(fd, backlog), 0);
    return fd;
}

static inline int tcp_connect(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    CHECK_IS(connect(fd, (const struct sockaddr *)address, sizeof *address), 0);
    return fd;
}

static inline void tcp_pair(int ends[2])
{
    struct sockaddr_in address;
    int listener = tcp_listen(&address, 1);
    ends[0] = tcp_connect(&address);
    ends[1] = accept(listener, NULL, NULL);
    CHECK(ends[1] >= 0);
    close(listener);
}

static inline void unix_pair(int type, int ends[2])
{
    CHECK_IS(socketpair(AF_UNIX, type, 0, ends), 0);
}

/* A name in the abstract namespace that the kernel chose: nothing to unlink. */
static inline int unix_bound(int type, struct sockaddr_un *address, socklen_t *size)
{
    int fd = socket(AF_UNIX, type, 0);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    *size = sizeof *address;
    CHECK(fd >= 0);
    CHECK_IS(bind(fd, (struct sockaddr *)address, sizeof(sa_family_t)), 0);
    CHECK_IS(getsockname(fd, (struct sockaddr *)address, size), 0);
    return fd;
}

static inline void close_pair(int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

static inline void timeout_ms(int fd, int option, int milliseconds)
{
    struct timeval time = {milliseconds / 1000, milliseconds % 1000 * 1000};
    CHECK_IS(setsockopt(fd, SOL_SOCKET, option, &time, sizeof time), 0);
}

/* Keeps the kernel from buffering megabytes on the way from the first end to the second. */
static inline void small_buffers(int ends[2])
{
    CHECK_IS(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &(int){1 << 16}, sizeof(int)), 0);
    CHECK_IS(setsockopt(ends[1], SOL_SOCKET, SO_RCVBUF, &(int){1 << 16}, sizeof(int)), 0);
}

/* Sends until nothing more fits; gives the number of bytes. */
static inline size_t fill(int fd)
{
    static char block[4096];
    size_t total = 0;
    for (size_t size = sizeof block; size > 0; size = size == 1 ? 0 : 1) {
        ssize_t sent;
        while ((sent = send(fd, block, size, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
            total += sent;
        CHECK(errno == EAGAIN);
    }
    return total;
}

/* Waits until the reader of this socket has taken all that was sent: with MSG_WAITALL it is then inside its call, wanting more. */
static inline void wait_taken(int fd)
{
    int left = 1;
    while (CHECK(ioctl(fd, FIONREAD, &left) == 0), left > 0)
        nap(1);
}

/* Receives exactly this text. */
static inline void receive(int fd, const char *text)
{
    char buffer[256] = "";
    CHECK_IS(recv(fd, buffer, strlen(text), MSG_WAITALL), strlen(text));
    CHECK(strcmp(buffer, text) == 0);
}

static inline void transmit(int fd, const char *text)
{
    CHECK_IS(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

#endif
