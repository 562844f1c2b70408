/* Pipes: an empty one blocks its reader, a full one its writer until all is written; a read takes what is there; the end is 0.
 * covers: read __read write __write __read_chk readv writev
 * cflags: -O2 -D_FORTIFY_SOURCE=2
 * proof: green_threads>=3 parks>=2 hooks.read>=2 hooks.__read>=2 hooks.__read_chk>=1 hooks.write>=1 hooks.__write>=2
 * needs: fortify
 */
#include "ctest.h"
#include <sys/uio.h>

extern ssize_t __read(int, void *, size_t);
extern ssize_t __write(int, const void *, size_t);

enum { SIZE = 1 << 19 };
static int end[2];
static char block[SIZE], copy[SIZE];
static volatile size_t count;
static atomic_bool taken;

static void *late_writer(void *unused)
{
    nap(2);
    CHECK_IS(__write(end[1], "hello", 5), 5);
    while (!taken)
        nap(1);
    nap(2);
    CHECK_IS(writev(end[1], (struct iovec[]){{"wor", 3}, {NULL, 0}, {"ld", 2}}, 3), 5);
    nap(2);
    close(end[1]);
    return unused;
}

static void reading(void)
{
    char text[16] = "", rest[16] = "";
    CHECK_IS(pipe(end), 0);
    pthread_t thread = spawn(late_writer, NULL);
    count = 3;
    CHECK_IS(read(end[0], text, count), 3);
    CHECK_IS(__read(end[0], text + 3, 10), 2);
    say("the first piece, in parts: %s", text);
    taken = true;
    CHECK_IS(readv(end[0], (struct iovec[]){{text, 1}, {rest, 15}}, 2), 5);
    say("readv: %.1s|%s", text, rest);
    CHECK_IS(read(end[0], text, sizeof text), 0);
    CHECK_IS(__read(end[0], text, sizeof text), 0);
    say("the end");
    join(thread);
    close(end[0]);
}

static void *slow_reader(void *unused)
{
    for (size_t total = 0; total < SIZE;) {
        ssize_t got = read(end[0], copy + total, total % 7777 + 1);
        CHECK(got > 0);
        total += got;
    }
    CHECK(memcmp(block, copy, SIZE) == 0);
    return unused;
}

#define WHOLE(call)                               \
    do {                                          \
        pthread_t reader = spawn(slow_reader, NULL); \
        CHECK_IS(call, SIZE);                     \
        join(reader);                             \
        say("%s: the whole", #call);              \
    } while (0)

static void writing(void)
{
    CHECK_IS(pipe(end), 0);
    WHOLE(write(end[1], block, SIZE));
    WHOLE(__write(end[1], block, SIZE));
    WHOLE(writev(end[1], (struct iovec[]){{block, 10}, {block + 10, SIZE - 10}}, 2));
    close(end[0]), close(end[1]);
}

static void overflow(void)
{
    char text[8];
    close(STDERR_FILENO);
    count = 9;
    CHECK(read(0, text, count) == 0);
}

int main(void)
{
    for (size_t i = 0; i < SIZE; i++)
        block[i] = i * 3 + i / 127;
    in_thread(reading);
    in_thread(writing);
    int status = in_child(overflow);
    CHECK(WIFSIGNALED(status));
    say("read of 9 bytes into 8: SIG%s", sigabbrev_np(WTERMSIG(status)));
    return 0;
}
