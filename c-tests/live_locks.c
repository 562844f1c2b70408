/* Threads that wait for a lock on a file, or for the other end of a FIFO, keep nobody else from running.
 * covers: flock fcntl lockf open
 * proof: green_threads>=84 parks>=32 hooks.flock>=20 hooks.fcntl>=20 hooks.lockf>=20 hooks.open>=20 hand_overs>=1 kernel_threads_peak<=48
 * processors: 4
 */
#include "ticker.h"
#include <sys/file.h>
#include <sys/stat.h>

static char directory[PATH_MAX], file[PATH_MAX + 8], fifo[PATH_MAX + 8];
static int held, writer, told[2];
static pid_t child;

static int open_file(void)
{
    int fd = open(file, O_RDWR);
    CHECK(fd >= 0);
    return fd;
}

static struct flock whole(int type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET};
}

static void hold_flock(void)
{
    held = open_file();
    CHECK_IS(flock(held, LOCK_EX), 0);
}

static void get_flock(void)
{
    int fd = open_file();
    CHECK_IS(flock(fd, LOCK_SH), 0);
    close(fd);
}

static void hold_ofd(void)
{
    struct flock lock = whole(F_WRLCK);
    held = open_file();
    CHECK_IS(fcntl(held, F_OFD_SETLKW, &lock), 0);
}

static void get_ofd(void)
{
    struct flock lock = whole(F_RDLCK);
    int fd = open_file();
    CHECK_IS(fcntl(fd, F_OFD_SETLKW, &lock), 0);
    close(fd);
}

static void let_go(void)
{
    close(held);
}

/* A process's own locks never exclude its threads: a child holds it. */
static void hold_in_child(void)
{
    int ready[2];
    CHECK_IS(pipe(told), 0);
    CHECK_IS(pipe(ready), 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(CTEST_SECONDS);
        close(told[1]);
        held = open_file();
        CHECK_IS(lockf(held, F_LOCK, 0), 0);
        CHECK_IS(write(ready[1], "x", 1), 1);
        CHECK_IS(read(told[0], &(char){0}, 1), 0);
        _exit(0);
    }
    CHECK_IS(read(ready[0], &(char){0}, 1), 1);
    held = open_file();
    close(ready[0]);
    close(ready[1]);
    close(told[0]);
}

static void get_lockf(void)
{
    CHECK_IS(lockf(held, F_LOCK, 0), 0);
    CHECK_IS(lockf(held, F_ULOCK, 0), 0);
}

static void get_record(void)
{
    struct flock lock = whole(F_WRLCK);
    CHECK_IS(fcntl(held, F_SETLKW, &lock), 0);
    lock.l_type = F_UNLCK;
    CHECK_IS(fcntl(held, F_SETLKW, &lock), 0);
}

static void end_child(void)
{
    close(told[1]);
    CHECK_IS(waitpid(child, NULL, 0), child);
}

static void no_writer(void)
{
}

static void get_reader(void)
{
    int fd = open(fifo, O_RDONLY);
    CHECK(fd >= 0);
    close(fd);
}

static void open_writer(void)
{
    writer = open(fifo, O_WRONLY);
    CHECK(writer >= 0);
}

int main(void)
{
    static const struct way ways[] = {
        {"flock", hold_flock, get_flock, let_go},
        {"fcntl, of an open file", hold_ofd, get_ofd, let_go},
        {"fcntl, of a process", hold_in_child, get_record, end_child},
        {"lockf", hold_in_child, get_lockf, end_child},
        {"open of a FIFO", no_writer, get_reader, open_writer},
    };
    make_directory(directory);
    snprintf(file, sizeof file, "%s/file", directory);
    snprintf(fifo, sizeof fifo, "%s/fifo", directory);
    CHECK_IS(close(open(file, O_RDWR | O_CREAT, 0600)), 0);
    CHECK_IS(mkfifo(fifo, 0600), 0);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        tick_while_stuck(&ways[i]);
    unlink(file);
    unlink(fifo);
    rmdir(directory);
    return 0;
}
