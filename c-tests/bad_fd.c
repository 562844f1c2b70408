/* Calls on descriptors and paths given bad ones, bad commands, options and memory answer as libc does.
 * covers: close __close close_range closefrom dup2 __dup2 dup3 setsockopt fcntl fcntl64 __fcntl ioctl open open64 __open __open64
 * covers: __open_2 __open64_2 openat openat64 __openat_2 __openat64_2 creat creat64 tcdrain freopen freopen64 fclose
 * proof: green_threads>=4
 * no_park: only main waits, for threads that may have ended before it asks
 * passes: __dup2: one number twice is for libc to check
 * passes: freopen freopen64: the library gives up the stream's descriptor, and libc opens the file
 */
#include "bad.h"
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

extern int __close(int fd), __dup2(int from, int to), __fcntl(int fd, int command, ...), fcntl64(int fd, int command, ...);
extern int __open(const char *path, int flags, ...), __open64(const char *path, int flags, ...);
extern int __open_2(const char *path, int flags), __open64_2(const char *path, int flags);
extern int __openat_2(int fd, const char *path, int flags), __openat64_2(int fd, const char *path, int flags);
extern int open64(const char *path, int flags, ...), openat64(int fd, const char *path, int flags, ...);
extern int creat64(const char *path, mode_t mode);
extern FILE *freopen64(const char *path, const char *mode, FILE *stream);

static void closing(void)
{
    TRY(close(closed()));
    TRY(close(none));
    TRY(close(INT_MAX));
    TRY(__close(none));
    TRY(close_range(10, 9, 0));
    TRY(close_range(3000, 4000, 1 << 30));
    TRY(close_range(3000, 4000, 0));
    closefrom(3000);
    TRY(dup2(closed(), 1));
    TRY(dup2(none, 20));
    TRY(dup2(1, none));
    TRY(dup2(1, INT_MAX));
    TRY(dup2(1, 1));
    TRY(__dup2(none, none));
    TRY(dup3(1, 1, 0));
    TRY(dup3(1, 20, 1));
    TRY(dup3(none, 20, 0));
}

static void commands(void)
{
    int fd = open("/dev/null", O_RDWR), path = open("/dev/null", O_PATH);
    TRY(fcntl(closed(), F_GETFL));
    TRY(fcntl(none, F_GETFD));
    TRY(fcntl64(none, F_DUPFD, 0));
    TRY(__fcntl(none, F_SETFL, O_NONBLOCK));
    TRY(fcntl(fd, 9999));
    TRY(fcntl(fd, F_DUPFD, -1));
    TRY(fcntl(fd, F_DUPFD, INT_MAX));
    TRY(fcntl(fd, F_SETLKW, null));
    TRY(fcntl(fd, F_GETLK, unmapped()));
    TRY(fcntl(path, F_SETFL, O_NONBLOCK));
    TRY(fcntl64(fd, F_SETPIPE_SZ, 4096));
    TRY(ioctl(closed(), FIONBIO, null));
    TRY(ioctl(none, FIONREAD, null));
    TRY(ioctl(fd, FIONBIO, null));
    TRY(ioctl(fd, FIONBIO, unmapped()));
    TRY(ioctl(fd, TCGETS, mapped()));
    TRY(ioctl(fd, 0x12345678, null));
    TRY(tcdrain(none));
    TRY(tcdrain(fd));
    TRY(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, mapped(), 16));
    TRY(setsockopt(none, SOL_SOCKET, SO_RCVTIMEO, mapped(), 16));
    close(fd);
    close(path);
}

static void socket_options(void)
{
    static const struct { const char *name; struct timeval time; } times[] = {
        {"negative seconds", {-1, 0}}, {"negative microseconds", {0, -1}}, {"a million microseconds", {0, 1000000}}, {"fine", {1, 1}},
    };
    int ends[2];
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        struct timeval told;
        socklen_t size = sizeof told;
        say("%s:", times[i].name);
        TRY(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &times[i].time, sizeof(struct timeval)));
        TRY(setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &times[i].time, sizeof(struct timeval)));
        CHECK_IS(getsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &told, &size), 0);
        TRY(told.tv_sec);
    }
    TRY(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, null, sizeof(struct timeval)));
    TRY(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, unmapped(), sizeof(struct timeval)));
    TRY(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, mapped(), 4));
    TRY(setsockopt(ends[0], SOL_SOCKET, 9999, mapped(), 16));
    TRY(setsockopt(ends[0], 9999, SO_RCVTIMEO, mapped(), 16));
    close(ends[0]);
    close(ends[1]);
}

static void paths(void)
{
    const char *nowhere = null, *nothing = "", *missing = "/nonexistent/file", *bad = unmapped();
    char *long_name = memset(mapped(), 'x', 4095);
    long_name[4095] = 0;
    TRY(open(nowhere, O_RDONLY));
    TRY(open64(bad, O_RDONLY));
    TRY(__open(nothing, O_RDONLY));
    TRY(__open64(missing, O_RDONLY));
    TRY(open(long_name, O_RDONLY));
    TRY(open("/dev/null/below", O_RDONLY));
    TRY(open("/", O_WRONLY));
    TRY(open("/", O_CREAT | O_EXCL, 0600));
    TRY(open("/dev/null", O_DIRECTORY));
    TRY(open("/dev/null", O_TMPFILE | O_RDWR, 0600));
    TRY(__open_2(missing, O_RDONLY));
    TRY(__open64_2(nowhere, O_RDONLY));
    TRY(openat(none, "file", O_RDONLY));
    TRY(openat64(1, "file", O_RDONLY));
    TRY(openat(none, missing, O_RDONLY));
    TRY(openat(AT_FDCWD, nowhere, O_RDONLY));
    TRY(__openat_2(none, "file", O_RDONLY));
    TRY(__openat64_2(AT_FDCWD, bad, O_RDONLY));
    TRY(creat(missing, 0600));
    TRY(creat64(nowhere, 0600));
    FILE *stream = fopen("/dev/null", "r");
    CHECK(stream != NULL);
    CHECK(freopen(missing, "r", stream) == NULL);
    say("freopen: %s", error_name(errno));
    stream = fopen("/dev/null", "r");
    CHECK(freopen64(missing, "r", stream) == NULL);
    say("freopen64: %s", error_name(errno));
    stream = fopen("/dev/null", "r");
    close(fileno(stream));
    TRY(fclose(stream));
}

int main(void)
{
    in_thread(closing);
    in_thread(commands);
    in_thread(socket_options);
    in_thread(paths);
    return 0;
}
