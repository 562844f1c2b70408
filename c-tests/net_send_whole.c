/* A blocking send of megabytes to a slow reader returns when all is sent, whichever call it is.
 * covers: send sendto sendmsg write writev recv
 * proof: green_threads>=2 parks>=1 hooks.send>=2 hooks.write>=2 hooks.writev>=2 hooks.sendmsg>=2 hooks.sendto>=2
 */
#include "sockets.h"

enum { SIZE = 1 << 20, READ = 1 << 16 };
static char block[SIZE];

static void *slow_reader(void *fd)
{
    static char buffer[READ];
    for (size_t total = 0; total < SIZE;) {
        ssize_t got = recv(*(int *)fd, buffer, sizeof buffer, 0);
        CHECK(got > 0);
        CHECK(memcmp(buffer, block + total, got) == 0);
        total += got;
        sched_yield();
    }
    return NULL;
}

#define WHOLE(call)                                    \
    do {                                               \
        pthread_t reader = spawn(slow_reader, &fd[1]); \
        CHECK_IS(call, SIZE);                          \
        join(reader);                                  \
        say("%s: the whole", #call);                   \
    } while (0)

static void every_call(int fd[2])
{
    struct iovec parts[] = {{block, 1}, {block + 1, SIZE / 2}, {NULL, 0}, {block + 1 + SIZE / 2, SIZE / 2 - 1}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 4};
    small_buffers(fd);
    WHOLE(send(fd[0], block, SIZE, 0));
    WHOLE(sendto(fd[0], block, SIZE, 0, NULL, 0));
    WHOLE(sendmsg(fd[0], &message, 0));
    WHOLE(write(fd[0], block, SIZE));
    WHOLE(writev(fd[0], parts, 4));
    CHECK(parts[1].iov_base == block + 1 && parts[1].iov_len == SIZE / 2);
    ssize_t some = send(fd[0], block, SIZE, MSG_DONTWAIT);
    CHECK(some > 0 && some < SIZE);
    say("with MSG_DONTWAIT: some of it");
    close_pair(fd);
}

static void tcp(void)
{
    int fd[2];
    tcp_pair(fd);
    every_call(fd);
}

static void local(void)
{
    int fd[2];
    unix_pair(SOCK_STREAM, fd);
    every_call(fd);
}

int main(void)
{
    for (size_t i = 0; i < SIZE; i++)
        block[i] = i * 7 + i / 251;
    in_thread(tcp);
    in_thread(local);
    return 0;
}
