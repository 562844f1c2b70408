/* Opening files by every name that open has: modes and flags arrive, errors are libc's.
 * covers: open open64 __open __open64 openat openat64 creat creat64 __open_2 __open64_2 __openat_2 __openat64_2
 * proof: green_threads>=1 hooks.open>=2 hooks.open64>=1 hooks.openat>=1 hooks.creat>=1
 * no_park: only main waits, for threads that may have ended before it asks
 */
#include "ctest.h"
#include <sys/stat.h>

extern int __open(const char *, int, ...), __open64(const char *, int, ...);
extern int __open_2(const char *, int), __open64_2(const char *, int);
extern int __openat_2(int, const char *, int), __openat64_2(int, const char *, int);

static char directory[PATH_MAX], path[PATH_MAX + 8];
static int place;

/* Sees that the descriptor is what was asked for, then closes it and removes the file. */
static void made(int fd, mode_t mode, int flags, const char *name)
{
    struct stat status;
    CHECK(fd >= 0);
    CHECK_IS(fstat(fd, &status), 0);
    CHECK_IS(status.st_mode & 0777, mode);
    CHECK_IS(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND), flags & (O_ACCMODE | O_APPEND));
    CHECK_IS(fcntl(fd, F_GETFD), flags & O_CLOEXEC ? FD_CLOEXEC : 0);
    close(fd);
    CHECK_IS(unlink(path), 0);
    say("%s: mode %o", name, mode);
}

static void creating(void)
{
    made(open(path, O_RDWR | O_CREAT | O_EXCL, 0640), 0640, O_RDWR, "open");
    made(open64(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), 0600, O_WRONLY | O_CLOEXEC, "open64");
    made(__open(path, O_RDWR | O_CREAT | O_APPEND, 0700), 0700, O_RDWR | O_APPEND, "__open");
    made(__open64(path, O_RDONLY | O_CREAT, 0444), 0444, O_RDONLY, "__open64");
    made(openat(place, "file", O_RDWR | O_CREAT, 0604), 0604, O_RDWR, "openat");
    made(openat64(AT_FDCWD, path, O_RDWR | O_CREAT, 0740), 0740, O_RDWR, "openat64");
    made(creat(path, 0400), 0400, O_WRONLY, "creat");
    made(creat64(path, 0200), 0200, O_WRONLY, "creat64");
    umask(077);
    made(open(path, O_RDWR | O_CREAT, 0666), 0600, O_RDWR, "open with a umask");
    int fd = open(directory, O_TMPFILE | O_RDWR, 0641);
    struct stat status;
    if (fd >= 0) {
        CHECK_IS(fstat(fd, &status), 0);
        CHECK_IS(status.st_mode & 0777, 0600);
        close(fd);
    }
    umask(0);
}

static void existing(void)
{
    int fd[4];
    close(open(path, O_RDWR | O_CREAT, 0600));
    fd[0] = __open_2(path, O_RDONLY);
    fd[1] = __open64_2(path, O_WRONLY);
    fd[2] = __openat_2(place, "file", O_RDWR);
    fd[3] = __openat64_2(place, "file", O_RDONLY | O_NONBLOCK);
    for (int i = 0; i < 4; i++)
        CHECK(fd[i] >= 0);
    CHECK_IS(fcntl(fd[1], F_GETFL) & O_ACCMODE, O_WRONLY);
    CHECK_IS(fcntl(fd[2], F_GETFL) & O_ACCMODE, O_RDWR);
    CHECK(fcntl(fd[3], F_GETFL) & O_NONBLOCK);
    CHECK_IS(write(fd[2], "content", 7), 7);
    char text[8] = "";
    CHECK_IS(read(fd[0], text, 7), 7);
    say("the fortified ones: %s", text);
    for (int i = 0; i < 4; i++)
        close(fd[i]);
    fd[0] = open(path, O_RDONLY | O_PATH);
    CHECK_FAILS(read(fd[0], text, 1), EBADF);
    close(fd[0]);
    fd[0] = open(path, O_WRONLY | O_TRUNC);
    CHECK_IS(lseek(fd[0], 0, SEEK_END), 0);
    close(fd[0]);
}

static void refused(void)
{
    CHECK_FAILS(open(path, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    CHECK_FAILS(open(directory, O_WRONLY), EISDIR);
    CHECK_FAILS(open(path, O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_FAILS(openat(-1, "file", O_RDONLY), EBADF);
    CHECK_FAILS(__open64_2("/nonexistent/file", O_RDONLY), ENOENT);
    CHECK_FAILS(creat64("", 0600), ENOENT);
    unlink(path);
    CHECK_FAILS(open64(path, O_RDONLY), ENOENT);
    say("refused: EEXIST, EISDIR, ENOTDIR, EBADF, ENOENT");
}

/* The fortified forms have no mode to give: asking for a new file ends the process. */
static void without_mode(void)
{
    close(STDERR_FILENO);
    __open_2(path, O_RDWR | O_CREAT);
}

static void all(void)
{
    creating();
    existing();
    refused();
}

int main(void)
{
    make_directory(directory);
    snprintf(path, sizeof path, "%s/file", directory);
    umask(0);
    place = open(directory, O_RDONLY | O_DIRECTORY);
    in_thread(all);
    int status = in_child(without_mode);
    CHECK(WIFSIGNALED(status));
    say("__open_2 with O_CREAT: SIG%s", sigabbrev_np(WTERMSIG(status)));
    rmdir(directory);
    return 0;
}
