/* Files at a position: every pread and pwrite under each of its names; they leave the offset alone, except the forms with offset -1.
 * covers: pread pread64 __pread64 pwrite pwrite64 __pwrite64 preadv preadv64 preadv2 preadv64v2 pwritev pwritev64 pwritev2 pwritev64v2
 *   __pread_chk __pread64_chk
 * cflags: -O2 -D_FORTIFY_SOURCE=2
 * proof: green_threads>=1 parks>=2 hooks.pread>=1 hooks.pwrite>=1 hooks.preadv2>=1 hooks.pwritev64v2>=1
 * needs: fortify
 */
#include "ctest.h"
#include <sys/uio.h>

extern ssize_t __pread64(int, void *, size_t, off_t);
extern ssize_t __pwrite64(int, const void *, size_t, off_t);

static int fd;
static volatile size_t count = 4;
static volatile int negative = -1;

static void expect(const char *text)
{
    char content[64] = "";
    CHECK(pread(fd, content, sizeof content - 1, 0) >= 0);
    CHECK(strcmp(content, text) == 0);
}

static void writing(void)
{
    struct iovec parts[] = {{"<", 1}, {">", 1}};
    CHECK_IS(pwrite(fd, "0123456789", 10, 0), 10);
    CHECK_IS(pwrite64(fd, "ab", 2, 1), 2);
    CHECK_IS(__pwrite64(fd, "cd", 2, 3), 2);
    expect("0abcd56789");
    CHECK_IS(pwritev(fd, parts, 2, 0), 2);
    CHECK_IS(pwritev64(fd, parts, 2, 2), 2);
    CHECK_IS(pwritev2(fd, parts, 2, 4, 0), 2);
    CHECK_IS(pwritev64v2(fd, parts, 2, 6, RWF_DSYNC), 2);
    expect("<><><><>89");
    CHECK_IS(lseek(fd, 0, SEEK_CUR), 0);
    CHECK_IS(pwritev2(fd, parts, 2, -1, 0), 2);
    CHECK_IS(pwritev64v2(fd, parts, 2, -1, 0), 2);
    CHECK_IS(lseek(fd, 0, SEEK_CUR), 4);
    CHECK_IS(pwritev2(fd, parts, 1, 0, RWF_APPEND), 1);
    expect("<><><><>89<");
    say("the writing ones");
}

#define READS(call, text)                         \
    do {                                          \
        memset(buffer, 0, sizeof buffer);         \
        CHECK_IS(call, strlen(text));             \
        CHECK(strcmp(buffer, text) == 0);         \
    } while (0)

static void reading(void)
{
    char buffer[16];
    struct iovec parts[] = {{buffer, 1}, {buffer + 1, 3}};
    CHECK_IS(pwrite(fd, "0123456789ABCDEF", 16, 0), 16);
    CHECK_IS(lseek(fd, 8, SEEK_SET), 8);
    READS(pread(fd, buffer, 4, 1), "1234");
    READS(pread64(fd, buffer, 4, 2), "2345");
    READS(__pread64(fd, buffer, 4, 3), "3456");
    READS(pread(fd, buffer, count, 4), "4567");
    READS(pread64(fd, buffer, count, 5), "5678");
    READS(preadv(fd, parts, 2, 6), "6789");
    READS(preadv64(fd, parts, 2, 7), "789A");
    READS(preadv2(fd, parts, 2, 8, 0), "89AB");
    READS(preadv64v2(fd, parts, 2, 9, 0), "9ABC");
    READS(pread(fd, buffer, 4, 14), "EF");
    READS(pread(fd, buffer, 4, 16), "");
    READS(pread(fd, buffer, 4, 1 << 30), "");
    CHECK_IS(lseek(fd, 0, SEEK_CUR), 8);
    READS(preadv2(fd, parts, 2, -1, 0), "89AB");
    READS(preadv64v2(fd, parts, 2, -1, 0), "CDEF");
    CHECK_IS(lseek(fd, 0, SEEK_CUR), 16);
    say("the reading ones");
}

static void refused(void)
{
    char buffer[16];
    struct iovec part = {buffer, 4};
    int end[2];
    CHECK_FAILS(pread(fd, buffer, 4, -1), EINVAL);
    CHECK_FAILS(pwrite(fd, buffer, 4, -1), EINVAL);
    CHECK_FAILS(preadv(fd, &part, 1, -1), EINVAL);
    CHECK_FAILS(pwritev(fd, &part, 1, -1), EINVAL);
    CHECK_FAILS(preadv2(fd, &part, 1, 0, 0x40000000), EOPNOTSUPP);
    CHECK_FAILS(preadv(fd, &part, negative, 0), EINVAL);
    CHECK_FAILS(pread(-1, buffer, 4, 0), EBADF);
    CHECK_IS(pipe(end), 0);
    CHECK_FAILS(pread(end[0], buffer, 4, 0), ESPIPE);
    CHECK_FAILS(pwrite64(end[1], buffer, 4, 0), ESPIPE);
    CHECK_FAILS(preadv(end[0], &part, 1, 0), ESPIPE);
    CHECK_FAILS(pwritev2(end[1], &part, 1, 0, 0), ESPIPE);
    CHECK_FAILS(preadv2(end[0], &part, 1, -1, RWF_NOWAIT), EAGAIN);
    CHECK_IS(pwritev2(end[1], &part, 1, -1, RWF_NOWAIT), 4);
    CHECK_IS(preadv2(end[0], &part, 1, -1, 0), 4);
    say("refused: EINVAL, EOPNOTSUPP, EBADF, ESPIPE, EAGAIN");
    close(end[0]), close(end[1]);
}

/* A pipe read and written with offset -1 waits like any. */
static int line[2];

static void *late_writer(void *unused)
{
    nap(2);
    CHECK_IS(pwritev2(line[1], &(struct iovec){"late", 4}, 1, -1, 0), 4);
    return unused;
}

static void streams(void)
{
    char buffer[16] = "";
    CHECK_IS(pipe(line), 0);
    pthread_t thread = spawn(late_writer, NULL);
    CHECK_IS(preadv2(line[0], &(struct iovec){buffer, 15}, 1, -1, 0), 4);
    say("preadv2 of a pipe: %s", buffer);
    join(thread);
    close(line[0]), close(line[1]);
}

int main(void)
{
    FILE *file = memory_file();
    CHECK(file);
    fd = fileno(file);
    in_thread(writing);
    in_thread(reading);
    in_thread(refused);
    in_thread(streams);
    fclose(file);
    return 0;
}
