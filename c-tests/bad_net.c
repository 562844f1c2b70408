/* Socket calls given bad descriptors, bad memory, bad lengths and bad flags answer as libc does.
 * covers: recv recvfrom recvmsg recvmmsg send __send sendto sendmsg sendmmsg connect __connect accept accept4 shutdown
 * covers: __recv_chk __recvfrom_chk setsockopt
 * proof: green_threads>=1
 * no_park: only main waits, for threads that may have ended before it asks
 */
#include "bad.h"
#include "sockets.h"

extern ssize_t __send(int fd, const void *memory, size_t count, int flags);
extern int __connect(int fd, const struct sockaddr *address, socklen_t length);
extern ssize_t __recv_chk(int fd, void *memory, size_t count, size_t size, int flags);
extern ssize_t __recvfrom_chk(int fd, void *memory, size_t count, size_t size, int flags, struct sockaddr *address, socklen_t *length);

/* A new descriptor's number says nothing: it is closed, and counts as 0. */
static ssize_t accepted(int fd)
{
    return fd < 0 ? -1 : close(fd);
}

/* Each call on a descriptor, some memory, a length and flags. */
#define PART (&(struct iovec){memory, length})
#define MESSAGE {.msg_iov = PART, .msg_iovlen = 1}
#define CALLS(X)                                                                              \
    X(recv, recv(fd, memory, length, flags))                                                  \
    X(__recv_chk, __recv_chk(fd, memory, length, SIZE_MAX, flags))                            \
    X(recvfrom, recvfrom(fd, memory, length, flags, NULL, NULL))                              \
    X(__recvfrom_chk, __recvfrom_chk(fd, memory, length, SIZE_MAX, flags, NULL, NULL))        \
    X(recvmsg, recvmsg(fd, &(struct msghdr)MESSAGE, flags))                                   \
    X(recvmmsg, recvmmsg(fd, &(struct mmsghdr){MESSAGE, 0}, 1, flags, NULL))                  \
    X(recvfrom_address, recvfrom(fd, &(char){0}, 1, flags, memory, &(socklen_t){length}))     \
    X(recvmsg_header, recvmsg(fd, memory, flags))                                             \
    X(recvmmsg_headers, recvmmsg(fd, memory, 1, flags, NULL))                                 \
    X(send, send(fd, memory, length, flags))                                                  \
    X(__send, __send(fd, memory, length, flags))                                              \
    X(sendto, sendto(fd, memory, length, flags, NULL, 0))                                     \
    X(sendmsg, sendmsg(fd, &(struct msghdr)MESSAGE, flags))                                   \
    X(sendmmsg, sendmmsg(fd, &(struct mmsghdr){MESSAGE, 0}, 1, flags))                        \
    X(sendto_address, sendto(fd, "x", 1, flags, memory, length))                              \
    X(sendmsg_header, sendmsg(fd, memory, flags))                                             \
    X(sendmmsg_headers, sendmmsg(fd, memory, 1, flags))                                       \
    X(connect, connect(fd, memory, length))                                                   \
    X(__connect, __connect(fd, memory, length))                                               \
    X(accept, accepted(accept(fd, memory, NULL)))                                             \
    X(accept_length, accepted(accept(fd, (void *)mapped(), memory)))                          \
    X(accept4, accepted(accept4(fd, NULL, NULL, flags)))                                      \
    X(shutdown, shutdown(fd, flags))                                                          \
    X(setsockopt, setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, memory, length))                    \
    X(setsockopt_other, setsockopt(fd, SOL_SOCKET, 9999, memory, length))

#define FUNCTION(name, expression)                                                    \
    static ssize_t call_##name(int fd, void *memory, size_t length, int flags)        \
    {                                                                                 \
        (void)memory, (void)length, (void)flags;                                      \
        return expression;                                                            \
    }
CALLS(FUNCTION)

#define ROW(name, expression) {#name, call_##name},
static const struct { const char *name; ssize_t (*call)(int fd, void *memory, size_t length, int flags); } calls[] = {CALLS(ROW)};

static int other_end; /* of the pair that the row made, or -1 */

static int negative(void) { return none; }
static int device(void) { return open("/dev/null", O_RDWR); }
static int path_only(void) { return open("/dev/null", O_PATH); }

static int pipe_end(void)
{
    int ends[2];
    CHECK_IS(pipe(ends), 0);
    other_end = ends[1];
    return ends[0];
}

static int unconnected_unix(void) { return socket(AF_UNIX, SOCK_STREAM, 0); }
static int unconnected_tcp(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static int unconnected_udp(void) { return socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0); }

static int with_data(int type)
{
    int ends[2];
    unix_pair(type, ends);
    transmit(ends[1], "contents");
    other_end = ends[1];
    return ends[0];
}

static int stream(void) { return with_data(SOCK_STREAM); }
static int datagrams(void) { return with_data(SOCK_DGRAM); }

static int shut_down(void)
{
    int fd = stream();
    shutdown(fd, SHUT_RDWR);
    return fd;
}

static int listening(void)
{
    struct sockaddr_un address;
    socklen_t size;
    int fd = unix_bound(SOCK_STREAM, &address, &size);
    CHECK_IS(listen(fd, 1), 0);
    other_end = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_IS(connect(other_end, (struct sockaddr *)&address, size), 0);
    return fd;
}

enum memory { GOOD, NOTHING, FORBIDDEN, EDGE };

static const struct row { const char *name; int (*make)(void); enum memory memory; size_t length; int flags; } rows[] = {
    {"a closed descriptor", closed, GOOD, 8, 0},
    {"a negative descriptor", negative, GOOD, 8, 0},
    {"a path only", path_only, GOOD, 8, 0},
    {"a device", device, GOOD, 8, 0},
    {"a pipe", pipe_end, GOOD, 8, 0},
    {"a device, NULL", device, NOTHING, 8, 0},
    {"unconnected, unix", unconnected_unix, GOOD, 8, 0},
    {"unconnected, TCP", unconnected_tcp, GOOD, 8, 0},
    {"unconnected, TCP, NULL", unconnected_tcp, NOTHING, 16, 0},
    {"unconnected, UDP, NULL", unconnected_udp, NOTHING, 16, 0},
    {"a listening socket", listening, GOOD, 8, 0},
    {"a listening socket, unmapped", listening, FORBIDDEN, 8, 0},
    {"a stream", stream, GOOD, 8, 0},
    {"a stream, nothing at NULL", stream, NOTHING, 0, 0},
    {"a stream, NULL", stream, NOTHING, 8, 0},
    {"a stream, unmapped", stream, FORBIDDEN, 8, 0},
    {"a stream, half mapped", stream, EDGE, 8, 0},
    {"a stream, more than there is", stream, GOOD, 4096, 0},
    {"a stream, huge", stream, GOOD, SSIZE_MAX, 0},
    {"a stream, beyond all", stream, GOOD, SIZE_MAX, 0},
    {"a stream, urgent", stream, GOOD, 8, MSG_OOB},
    {"a stream, its error queue", stream, GOOD, 8, MSG_ERRQUEUE},
    {"a stream, unknown flags", stream, GOOD, 8, 1 << 28},
    {"a stream, all or nothing, half mapped", stream, EDGE, 8, MSG_WAITALL},
    {"datagrams", datagrams, GOOD, 4, 0},
    {"datagrams, unmapped", datagrams, FORBIDDEN, 8, 0},
    {"datagrams, their true length", datagrams, GOOD, 4, MSG_TRUNC},
    {"datagrams, huge", datagrams, GOOD, SSIZE_MAX, 0},
    {"a socket shut down", shut_down, GOOD, 8, 0},
};

/* Each call on descriptors and memory made for it alone. */
static void answer(const struct row *row, size_t call)
{
    other_end = -1;
    int fd = row->make();
    char *memory = row->memory == GOOD ? mapped() : row->memory == NOTHING ? null : unmapped() - (row->memory == EDGE ? 4 : 0);
    memset(mapped(), 0, 4096);
    errno = 0;
    ssize_t value = calls[call].call(fd, memory, row->length, row->flags);
    answers_add(calls[call].name, value, errno);
    close(other_end);
    if (row->make != closed)
        close(fd);
}

static void body(void)
{
    for (const struct row *row = rows; row < rows + sizeof rows / sizeof *rows; row++) {
        say("%s:", row->name);
        for (size_t call = 0; call < sizeof calls / sizeof *calls; call++)
            answer(row, call);
        answers_end();
    }
    say("bad lists, counts and times:");
    int fd = stream();
    volatile unsigned count = 0;
    struct timespec bad = {0, -1};
    struct mmsghdr message = {.msg_hdr = {.msg_iovlen = SIZE_MAX}};
    TRY(recvmmsg(fd, null, count, 0, NULL));
    TRY(sendmmsg(fd, null, count, 0));
    TRY(recvmsg(fd, &message.msg_hdr, 0));
    TRY(sendmsg(fd, &message.msg_hdr, 0));
    TRY(recvmmsg(fd, &message, 1, 0, &bad));
    TRY(sendmmsg(fd, &message, 1, 0));
    TRY(recvmsg(fd, &(struct msghdr){.msg_iovlen = 1}, 0));
    TRY(sendmsg(fd, &(struct msghdr){.msg_controllen = 1}, 0));
    TRY(shutdown(fd, 3));
    TRY(accept4(fd, NULL, NULL, 1));
    TRY(recvfrom(fd, mapped(), 8, 0, (void *)mapped(), null));
    close(fd);
    close(other_end);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    in_thread(body);
    return 0;
}
