/* Many writers on one small pipe: a record of at most PIPE_BUF bytes is written whole or not at all, even when the pipe is nearly full.
 * covers: write read fcntl
 * proof: green_threads>=20 parks>=1 hooks.write>=200
 * passes: fcntl: the size of a pipe is the kernel's
 */
#include "ctest.h"

enum { WRITERS = 20, RECORDS = 20, LARGEST = PIPE_BUF };
static int end[2];

/* A record is its length, then so many bytes of its writer's letter. */
static void *writer(void *number)
{
    static char record[WRITERS][LARGEST];
    char *own = record[(intptr_t)number];
    memset(own, 'a' + (intptr_t)number, LARGEST);
    for (int i = 0; i < RECORDS; i++) {
        uint32_t length = i % 3 == 0 ? LARGEST : 100 + 37 * i;
        memcpy(own, &length, sizeof length);
        CHECK_IS(write(end[1], own, length), length);
    }
    return NULL;
}

static void read_all(void *buffer, size_t size)
{
    for (size_t total = 0; total < size;) {
        ssize_t got = read(end[0], (char *)buffer + total, size - total);
        CHECK(got > 0);
        total += got;
    }
}

int main(void)
{
    pthread_t thread[WRITERS];
    int count[WRITERS] = {0};
    CHECK_IS(pipe(end), 0);
    for (int i = 0; i < WRITERS; i++)
        thread[i] = spawn(writer, (void *)(intptr_t)i);
    CHECK_IS(fcntl(end[1], F_SETPIPE_SZ, 2 * PIPE_BUF) >= 2 * PIPE_BUF || errno == EBUSY, true);
    for (int i = 0; i < WRITERS * RECORDS; i++) {
        char text[LARGEST];
        uint32_t length;
        read_all(&length, sizeof length);
        CHECK(length >= 100 && length <= LARGEST);
        read_all(text, length - sizeof length);
        for (size_t j = 0; j < length - sizeof length; j++)
            CHECK(text[j] == text[0]);
        count[text[0] - 'a']++;
    }
    for (int i = 0; i < WRITERS; i++) {
        join(thread[i]);
        CHECK_IS(count[i], RECORDS);
    }
    say("%d writers: %d records each, none torn", WRITERS, RECORDS);
    return 0;
}
