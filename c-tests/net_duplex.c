/* Several threads on one socket: a reader and a writer at each end at once, megabytes both ways; many readers, each byte to one of them.
 * covers: read write recv send
 * proof: green_threads>=14 parks>=1 hooks.read>=10 hooks.write>=2
 */
#include "sockets.h"

enum { SIZE = 1 << 20, READERS = 10, BYTES = 200 };
static int fd[2];
static unsigned char block[SIZE];

static void *write_all(void *end)
{
    CHECK_IS(write(*(int *)end, block, SIZE), SIZE);
    return NULL;
}

static void *read_all(void *end)
{
    unsigned char buffer[1 << 15];
    for (size_t total = 0; total < SIZE;) {
        ssize_t got = read(*(int *)end, buffer, sizeof buffer);
        CHECK(got > 0);
        CHECK(memcmp(buffer, block + total, got) == 0);
        total += got;
    }
    return NULL;
}

static void both_ways(const char *kind)
{
    pthread_t thread[4];
    small_buffers(fd);
    for (int i = 0; i < 4; i++)
        thread[i] = spawn(i < 2 ? write_all : read_all, &fd[i % 2]);
    for (int i = 0; i < 4; i++)
        join(thread[i]);
    say("%s: a megabyte each way at once", kind);
    close_pair(fd);
}

static atomic_int seen[256];

static void *reader(void *unused)
{
    unsigned char byte;
    while (recv(fd[0], &byte, 1, 0) == 1)
        atomic_fetch_add(&seen[byte], 1);
    return unused;
}

static void many_readers(void)
{
    pthread_t thread[READERS];
    unix_pair(SOCK_STREAM, fd);
    for (int i = 0; i < READERS; i++)
        thread[i] = spawn(reader, NULL);
    for (int i = 0; i < BYTES; i++) {
        unsigned char byte = i;
        CHECK_IS(send(fd[1], &byte, 1, 0), 1);
        if (i % 10 == 0)
            sched_yield();
    }
    close(fd[1]);
    for (int i = 0; i < READERS; i++)
        join(thread[i]);
    for (int i = 0; i < 256; i++)
        CHECK_IS(seen[i], i < BYTES);
    say("%d readers: %d bytes once each, and the end to all", READERS, BYTES);
    close(fd[0]);
}

int main(void)
{
    for (size_t i = 0; i < SIZE; i++)
        block[i] = i * 13 + i / 509;
    tcp_pair(fd);
    both_ways("TCP");
    unix_pair(SOCK_STREAM, fd);
    both_ways("unix");
    many_readers();
    return 0;
}
