/* flock and lockf: shared and exclusive, tried and waited for, converted, interrupted, and refused as natively.
 * covers: flock lockf lockf64
 * proof: green_threads>=4 parks>=6 hooks.flock>=12 hooks.lockf>=3 hooks.lockf64>=1 kernel_threads_peak<=12
 * processors: 4
 * came: lockf>=4: a section that is tested is the kernel's
 * came: lockf64>=2: a section that is given back is the kernel's
 */
#include "signals.h"
#include <sys/file.h>

static char directory[PATH_MAX], path[PATH_MAX + 8];
static atomic_bool waits, done;

static int open_file(void)
{
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    return fd;
}

static void modes(void)
{
    int first = open_file(), second = open_file();
    CHECK_IS(flock(first, LOCK_SH), 0);
    CHECK_IS(flock(second, LOCK_SH), 0);
    CHECK_FAILS(flock(second, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    CHECK_IS(flock(second, LOCK_UN), 0);
    CHECK_IS(flock(first, LOCK_EX), 0);
    CHECK_FAILS(flock(second, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    CHECK_IS(flock(first, LOCK_UN), 0);
    CHECK_FAILS(flock(first, 0), EINVAL);
    CHECK_FAILS(flock(-1, LOCK_EX), EBADF);
    close(first);
    close(second);
    say("flock: shared, exclusive, refused");
}

static void *wants_it(void *exclusive)
{
    int fd = open_file();
    waits = true;
    CHECK_IS(flock(fd, exclusive ? LOCK_EX : LOCK_SH), 0);
    CHECK(done);
    close(fd);
    return NULL;
}

static void waited_for(void)
{
    int fd = open_file();
    for (int exclusive = 0; exclusive < 2; exclusive++) {
        waits = done = false;
        CHECK_IS(flock(fd, LOCK_EX), 0);
        pthread_t thread = spawn(wants_it, exclusive ? &done : NULL);
        while (!waits)
            sched_yield();
        nap(1);
        done = true;
        CHECK_IS(flock(fd, LOCK_UN), 0);
        join(thread);
    }
    close(fd);
    say("flock: waited for");
}

static void *until_interrupted(void *unused)
{
    int fd = open_file();
    CHECK_FAILS(flock(fd, LOCK_EX), EINTR);
    done = true;
    close(fd);
    return unused;
}

static void interrupted(void)
{
    int fd = open_file();
    done = false;
    CHECK_IS(flock(fd, LOCK_EX), 0);
    catch_signal(SIGUSR1, 0);
    pthread_t thread = spawn(until_interrupted, NULL);
    signal_until(thread, SIGUSR1, &done);
    join(thread);
    catch_signal(SIGUSR1, SA_RESTART);
    waits = done = false;
    thread = spawn(wants_it, &done);
    while (!waits)
        sched_yield();
    signal_times(thread, SIGUSR1, 3);
    done = true;
    close(fd);
    join(thread);
    say("flock: interrupted, and begun again");
}

static void sections(void)
{
    int fd = open_file();
    CHECK_IS(lockf(fd, F_LOCK, 10), 0);
    CHECK_IS(lockf(fd, F_TEST, 10), 0);
    CHECK_IS(lockf64(fd, F_LOCK, 20), 0);
    CHECK_IS(lockf64(fd, F_ULOCK, 20), 0);
    CHECK_FAILS(lockf(fd, 99, 0), EINVAL);
    CHECK_FAILS(lockf(-1, F_LOCK, 0), EBADF);
    int reader = open(path, O_RDONLY);
    CHECK_FAILS(lockf(reader, F_LOCK, 0), EBADF);
    close(reader);
    close(fd);
    say("lockf: sections");
}

int main(void)
{
    make_directory(directory);
    snprintf(path, sizeof path, "%s/file", directory);
    CHECK_IS(close(open(path, O_RDWR | O_CREAT, 0600)), 0);
    in_thread(modes);
    in_thread(waited_for);
    in_thread(interrupted);
    in_thread(sections);
    unlink(path);
    rmdir(directory);
    return 0;
}
