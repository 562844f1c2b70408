/* Reading and writing calls given bad descriptors, bad memory and bad counts answer as libc does.
 * covers: read __read readv write __write writev pread pread64 __pread64 pwrite pwrite64 preadv preadv64 preadv2 preadv64v2
 * covers: pwritev pwritev64 pwritev2 pwritev64v2 sendfile sendfile64 splice tee vmsplice copy_file_range eventfd_read eventfd_write
 * covers: __read_chk __pread_chk __pread64_chk
 * proof: green_threads>=1 parks>=2
 */
#include "bad.h"
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

extern ssize_t __read(int fd, void *memory, size_t count);
extern ssize_t __write(int fd, const void *memory, size_t count);
extern ssize_t __pread64(int fd, void *memory, size_t count, off_t offset);
extern ssize_t __read_chk(int fd, void *memory, size_t count, size_t size);
extern ssize_t __pread_chk(int fd, void *memory, size_t count, off_t offset, size_t size);
extern ssize_t __pread64_chk(int fd, void *memory, size_t count, off_t offset, size_t size);

static int file, out; /* a file of eight bytes; a pipe with room */

/* Each call on a descriptor, some memory and a count. */
#define PART (&(struct iovec){memory, count})
#define CALLS(X)                                                    \
    X(read, read(fd, memory, count))                                \
    X(__read, __read(fd, memory, count))                            \
    X(__read_chk, __read_chk(fd, memory, count, SIZE_MAX))          \
    X(readv, readv(fd, PART, 1))                                    \
    X(pread, pread(fd, memory, count, 0))                           \
    X(pread64, pread64(fd, memory, count, 0))                       \
    X(__pread64, __pread64(fd, memory, count, 0))                   \
    X(__pread_chk, __pread_chk(fd, memory, count, 0, SIZE_MAX))     \
    X(__pread64_chk, __pread64_chk(fd, memory, count, 0, SIZE_MAX)) \
    X(preadv, preadv(fd, PART, 1, 0))                               \
    X(preadv64, preadv64(fd, PART, 1, 0))                           \
    X(preadv2, preadv2(fd, PART, 1, -1, 0))                         \
    X(preadv64v2, preadv64v2(fd, PART, 1, 0, 0))                    \
    X(write, write(fd, memory, count))                              \
    X(__write, __write(fd, memory, count))                          \
    X(writev, writev(fd, PART, 1))                                  \
    X(pwrite, pwrite(fd, memory, count, 0))                         \
    X(pwrite64, pwrite64(fd, memory, count, 0))                     \
    X(pwritev, pwritev(fd, PART, 1, 0))                             \
    X(pwritev64, pwritev64(fd, PART, 1, 0))                         \
    X(pwritev2, pwritev2(fd, PART, 1, -1, 0))                       \
    X(pwritev64v2, pwritev64v2(fd, PART, 1, 0, 0))                  \
    X(sendfile, sendfile(fd, file, memory, count))                  \
    X(sendfile64, sendfile64(fd, file, memory, count))              \
    X(splice, splice(fd, memory, out, NULL, count, 0))              \
    X(tee, tee(fd, out, count, 0))                                  \
    X(vmsplice, vmsplice(fd, PART, 1, 0))                           \
    X(copy_file_range, copy_file_range(fd, memory, file, NULL, count, 0)) \
    X(eventfd_read, eventfd_read(fd, memory))                       \
    X(eventfd_write, eventfd_write(fd, count))

#define FUNCTION(name, expression)                                            \
    static ssize_t call_##name(int fd, void *memory, size_t count)            \
    {                                                                         \
        (void)fd, (void)memory, (void)count;                                  \
        return expression;                                                    \
    }
CALLS(FUNCTION)

#define ROW(name, expression) {#name, call_##name},
static const struct { const char *name; ssize_t (*call)(int fd, void *memory, size_t count); } calls[] = {CALLS(ROW)};

static int other_end; /* of the pair that the row made, or -1 */

static int some_file(void)
{
    int fd = memfd_create("contents", MFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_IS(pwrite(fd, "contents", 8, 0), 8);
    return fd;
}

static int pipe_end(int which)
{
    int ends[2];
    CHECK_IS(pipe(ends), 0);
    CHECK_IS(write(ends[1], "contents", 8), 8);
    other_end = ends[!which];
    return ends[which];
}

static int negative(void) { return none; }
static int largest(void) { return INT_MAX; }
static int reading_end(void) { return pipe_end(0); }
static int writing_end(void) { return pipe_end(1); }
static int folder(void) { return open("/", O_RDONLY | O_DIRECTORY); }
static int path_only(void) { return open("/dev/null", O_PATH); }
static int unconnected(void) { return socket(AF_UNIX, SOCK_STREAM, 0); }
static int connected(void)
{
    int ends[2];
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_IS(send(ends[1], "contents", 8, 0), 8);
    other_end = ends[1];
    return ends[0];
}
static int hung_up(void)
{
    int fd = connected();
    close(other_end);
    other_end = -1;
    return fd;
}
static int counter(void) { return eventfd(5, EFD_NONBLOCK); }

enum memory { GOOD, NOTHING, FORBIDDEN, EDGE };

static const struct row { const char *name; int (*make)(void); enum memory memory; size_t count; } rows[] = {
    {"a closed descriptor", closed, GOOD, 8},
    {"a negative descriptor", negative, GOOD, 8},
    {"the largest descriptor", largest, GOOD, 8},
    {"a path only", path_only, GOOD, 8},
    {"a folder", folder, GOOD, 8},
    {"an unconnected socket", unconnected, GOOD, 8},
    {"a hung-up socket", hung_up, GOOD, 8},
    {"an event counter, too little", counter, GOOD, 7},
    {"a pipe's reading end", reading_end, GOOD, 8},
    {"a pipe's reading end, nothing", reading_end, GOOD, 0},
    {"a pipe's reading end, nothing at NULL", reading_end, NOTHING, 0},
    {"a pipe's reading end, NULL", reading_end, NOTHING, 8},
    {"a pipe's reading end, unmapped", reading_end, FORBIDDEN, 8},
    {"a pipe's reading end, half mapped", reading_end, EDGE, 8},
    {"a pipe's reading end, more than there is", reading_end, GOOD, 1 << 20},
    {"a pipe's reading end, huge", reading_end, GOOD, SSIZE_MAX},
    {"a pipe's reading end, beyond all", reading_end, GOOD, SIZE_MAX},
    {"a pipe's writing end", writing_end, GOOD, 8},
    {"a pipe's writing end, nothing at NULL", writing_end, NOTHING, 0},
    {"a pipe's writing end, NULL", writing_end, NOTHING, 8},
    {"a pipe's writing end, unmapped", writing_end, FORBIDDEN, 8},
    {"a pipe's writing end, half mapped", writing_end, EDGE, 8},
    {"a pipe's writing end, more than is mapped", writing_end, GOOD, 1 << 20},
    {"a pipe's writing end, beyond all", writing_end, GOOD, SIZE_MAX},
    {"a socket, NULL", connected, NOTHING, 8},
    {"a socket, unmapped", connected, FORBIDDEN, 8},
    {"a socket, half mapped", connected, EDGE, 8},
    {"a socket, huge", connected, GOOD, SSIZE_MAX},
    {"a file, NULL", some_file, NOTHING, 8},
    {"a file, unmapped", some_file, FORBIDDEN, 8},
    {"a file, half mapped", some_file, EDGE, 8},
    {"a file, beyond all", some_file, GOOD, SIZE_MAX},
};

/* Each call on descriptors and memory made for it alone. */
static void answer(const struct row *row, size_t call)
{
    int ends[2];
    CHECK_IS(pipe2(ends, O_NONBLOCK), 0);
    out = ends[1];
    file = some_file();
    other_end = -1;
    int fd = row->make();
    char *memory = row->memory == GOOD ? mapped() : row->memory == NOTHING ? null : unmapped() - (row->memory == EDGE ? 4 : 0);
    memset(mapped(), 0, 8);
    errno = 0;
    ssize_t value = calls[call].call(fd, memory, row->count);
    answers_add(calls[call].name, value, errno);
    close(ends[0]);
    close(ends[1]);
    close(file);
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
    say("bad lists of parts, offsets and flags:");
    int fd = some_file();
    struct iovec parts[2] = {{mapped(), SSIZE_MAX}, {mapped(), SSIZE_MAX}}, *list = null;
    volatile int count = -1;
    TRY(readv(fd, list, 1));
    TRY(writev(fd, list, 1));
    TRY(readv(fd, parts, count));
    TRY(writev(fd, parts, count));
    count = IOV_MAX + 1;
    TRY(readv(fd, parts, count));
    TRY(writev(fd, parts, count));
    TRY(readv(fd, parts, 2));
    TRY(writev(fd, parts, 2));
    TRY(readv(fd, parts, 0));
    TRY(writev(fd, list, 0));
    TRY(pread(fd, mapped(), 8, -1));
    TRY(pwrite(fd, mapped(), 8, -1));
    TRY(preadv2(fd, parts, 1, -1, 1 << 30));
    TRY(pwritev2(fd, parts, 1, -1, 1 << 30));
    TRY(preadv2(fd, parts, 1, -2, 0));
    TRY(splice(fd, NULL, fd, NULL, 8, 0));
    TRY(tee(fd, fd, 8, 0));
    TRY(copy_file_range(fd, NULL, fd, NULL, 8, 1));
    TRY(vmsplice(fd, parts, 1, -1));
    close(fd);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    in_thread(body);
    return 0;
}
