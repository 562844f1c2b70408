/* fcntl's locks: waiting for one that another open file (or process) holds keeps nobody else from running, and a signal interrupts it.
 * covers: fcntl fcntl64 __fcntl
 * proof: green_threads>=4 parks>=5 hooks.fcntl>=3 hooks.fcntl64>=1 hooks.__fcntl>=1 kernel_threads_peak<=12
 * processors: 4
 * came: fcntl64>=2: a lock that is tried is the kernel's: only waiting for one is served
 */
#include "signals.h"

extern int __fcntl(int, int, ...);

static char directory[PATH_MAX], path[PATH_MAX + 8];
static atomic_bool done, locked;
static atomic_int order;

static int open_file(void)
{
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    return fd;
}

static struct flock whole(int type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET};
}

static void *wants_it(void *unused)
{
    int fd = open_file();
    struct flock lock = whole(F_WRLCK);
    CHECK_FAILS(fcntl64(fd, F_OFD_SETLK, &lock), EAGAIN);
    atomic_store(&locked, true);
    CHECK_IS(fcntl(fd, F_OFD_SETLKW, &lock), 0);
    CHECK_IS(atomic_fetch_add(&order, 1), 1);
    close(fd);
    return unused;
}

static void between_threads(void)
{
    int fd = open_file();
    struct flock lock = whole(F_WRLCK);
    CHECK_IS(__fcntl(fd, F_OFD_SETLKW, &lock), 0);
    pthread_t thread = spawn(wants_it, NULL);
    while (!atomic_load(&locked))
        nap(1);
    nap(2);
    CHECK_IS(atomic_fetch_add(&order, 1), 0);
    lock = whole(F_UNLCK);
    CHECK_IS(fcntl64(fd, F_OFD_SETLKW, &lock), 0);
    join(thread);
    close(fd);
    say("between threads: waited until it was free");
}

static int told[2];

static void child(void)
{
    int fd = open_file();
    struct flock lock = whole(F_WRLCK);
    CHECK_IS(fcntl(fd, F_SETLK, &lock), 0);
    CHECK_IS(write(told[1], "x", 1), 1);
    nap(10);
}

static void *holds_it(void *unused)
{
    CHECK_IS(in_child(child), 0);
    return unused;
}

static void between_processes(void)
{
    int fd = open_file();
    struct flock lock = whole(F_RDLCK);
    CHECK_IS(pipe(told), 0);
    pthread_t thread = spawn(holds_it, NULL);
    CHECK_IS(read(told[0], &(char){0}, 1), 1);
    CHECK(fcntl(fd, F_SETLK, &lock) == 0 || errno == EAGAIN);
    CHECK_IS(fcntl(fd, F_SETLKW, &lock), 0);
    join(thread);
    close(fd);
    say("between processes: waited for the child's end");
}

static void *until_interrupted(void *unused)
{
    int fd = open_file();
    struct flock lock = whole(F_WRLCK);
    CHECK_FAILS(fcntl(fd, F_OFD_SETLKW, &lock), EINTR);
    atomic_store(&done, true);
    close(fd);
    return unused;
}

static void interrupted(void)
{
    int fd = open_file();
    struct flock lock = whole(F_WRLCK);
    CHECK_IS(fcntl(fd, F_OFD_SETLK, &lock), 0);
    catch_signal(SIGUSR1, 0);
    pthread_t thread = spawn(until_interrupted, NULL);
    signal_until(thread, SIGUSR1, &done);
    join(thread);
    close(fd);
    say("interrupted: EINTR");
}

int main(void)
{
    make_directory(directory);
    snprintf(path, sizeof path, "%s/file", directory);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0);
    in_thread(between_threads);
    in_thread(between_processes);
    in_thread(interrupted);
    close(fd);
    unlink(path);
    rmdir(directory);
    return 0;
}
