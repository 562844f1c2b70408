/* Opening a FIFO waits for the other end, whichever open it is; many wait at once; O_NONBLOCK and O_RDWR do not wait; a signal interrupts.
 * covers: open open64 __open __open64 openat openat64 creat creat64 __open_2 __open64_2 __openat_2 __openat64_2 read write
 * proof: green_threads>=20 parks>=6 hooks.open>=3 hooks.openat>=1 hooks.creat>=1 kernel_threads_peak<=32
 * processors: 4
 */
#include "signals.h"
#include <sys/stat.h>

extern int __open(const char *, int, ...), __open64(const char *, int, ...);
extern int __open_2(const char *, int), __open64_2(const char *, int);
extern int __openat_2(int, const char *, int), __openat64_2(int, const char *, int);

enum { KINDS = 12 };
static char directory[PATH_MAX], path[KINDS][PATH_MAX + 8];
static atomic_bool done;

static int open_as(int kind, int flags)
{
    const char *name = path[kind];
    switch (kind) {
    case 0: return open(name, flags);
    case 1: return open64(name, flags);
    case 2: return __open(name, flags);
    case 3: return __open64(name, flags);
    case 4: return openat(AT_FDCWD, name, flags);
    case 5: return openat64(AT_FDCWD, name, flags);
    case 6: return __open_2(name, flags);
    case 7: return __open64_2(name, flags);
    case 8: return __openat_2(AT_FDCWD, name, flags);
    case 9: return __openat64_2(AT_FDCWD, name, flags);
    case 10: return flags == O_WRONLY ? creat(name, 0600) : open(name, flags);
    default: return flags == O_WRONLY ? creat64(name, 0600) : open(name, flags);
    }
}

static void *reader(void *kind)
{
    char text[8] = "";
    int fd = open_as((intptr_t)kind, O_RDONLY);
    CHECK(fd >= 0);
    CHECK_IS(read(fd, text, sizeof text), 5);
    CHECK_IS(read(fd, text, sizeof text), 0);
    close(fd);
    return NULL;
}

static void *writer(void *kind)
{
    int fd = open_as((intptr_t)kind, O_WRONLY);
    CHECK(fd >= 0);
    CHECK_IS(write(fd, "hello", 5), 5);
    close(fd);
    return NULL;
}

/* All of the first end, then all of the second: each of the first must be able to wait without keeping any other from running. */
static void both_ends(void *(*first)(void *), void *(*second)(void *), const char *who)
{
    pthread_t thread[2][KINDS];
    for (intptr_t i = 0; i < KINDS; i++)
        thread[0][i] = spawn(first, (void *)i);
    nap(2);
    for (intptr_t i = 0; i < KINDS; i++)
        thread[1][i] = spawn(second, (void *)i);
    for (int i = 0; i < 2 * KINDS; i++)
        join(thread[i / KINDS][i % KINDS]);
    say("%d %s waited for the other end", KINDS, who);
}

static void without_waiting(void)
{
    CHECK_FAILS(open(path[0], O_WRONLY | O_NONBLOCK), ENXIO);
    int in = open(path[0], O_RDONLY | O_NONBLOCK), both = open(path[1], O_RDWR);
    CHECK(in >= 0 && both >= 0);
    CHECK_IS(read(in, &(char){0}, 1), 0);
    int out = open(path[0], O_WRONLY);
    CHECK(out >= 0);
    CHECK_FAILS(read(in, &(char){0}, 1), EAGAIN);
    say("O_NONBLOCK: ENXIO to write, at once to read; O_RDWR: at once");
    close(in), close(out), close(both);
}

static void *until_interrupted(void *unused)
{
    CHECK_FAILS(open(path[0], O_RDONLY), EINTR);
    atomic_store(&done, true);
    return unused;
}

static void interrupted(void)
{
    catch_signal(SIGUSR1, 0);
    pthread_t thread = spawn(until_interrupted, NULL);
    signal_until(thread, SIGUSR1, &done);
    join(thread);
    say("interrupted: EINTR");
    catch_signal(SIGUSR1, SA_RESTART);
    thread = spawn(reader, (void *)0);
    signal_times(thread, SIGUSR1, 3);
    writer((void *)0);
    join(thread);
    say("with SA_RESTART: goes on");
}

int main(void)
{
    make_directory(directory);
    for (int i = 0; i < KINDS; i++) {
        snprintf(path[i], sizeof path[i], "%s/%d", directory, i);
        CHECK_IS(mkfifo(path[i], 0600), 0);
    }
    both_ends(reader, writer, "readers");
    both_ends(writer, reader, "writers");
    in_thread(without_waiting);
    interrupted();
    for (int i = 0; i < KINDS; i++)
        unlink(path[i]);
    rmdir(directory);
    return 0;
}
