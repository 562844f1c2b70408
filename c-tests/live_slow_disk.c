/* Threads whose disk does not answer keep nobody else from running: neither in what flushes a file, nor in what no hook sees.
 * covers: fsync fdatasync msync syncfs
 * proof: green_threads>=105 parks>=36 hooks.fsync>=20 hooks.fdatasync>=20 hooks.msync>=20 hooks.syncfs>=20 hand_overs>=5
 *   kernel_threads_peak<=56
 * processors: 4
 */
#include "ticker.h"
#include "supervisor.h"
#include <sys/mman.h>
#include <sys/statfs.h>

static char directory[PATH_MAX], path[PATH_MAX + 8];
static void *memory;
static int file, orders[2], done[2];

/* The disk, as a child plays it: it works or sleeps, as it was told last. */
static void be_disk(int reports)
{
    bool works = false;
    char order;
    for (;;) {
        struct pollfd ready[] = {{.fd = orders[0], .events = POLLIN}, {.fd = works ? reports : -1, .events = POLLIN}};
        struct seccomp_notif call;
        CHECK(poll(ready, 2, -1) > 0);
        if (ready[1].revents && next_call(reports, &call))
            let_call(reports, call.id);
        if (ready[0].revents) {
            if (read(orders[0], &order, 1) == 0)
                _exit(0);
            works = order == 'w';
            CHECK_IS(write(done[1], "", 1), 1);
        }
    }
}

static void start_disk(void)
{
    static const int slow[] = {SYS_fsync, SYS_fdatasync, SYS_msync, SYS_syncfs, SYS_fstatfs};
    CHECK_IS(pipe(orders), 0);
    CHECK_IS(pipe(done), 0);
    int reports = catch_calls(slow, sizeof slow / sizeof *slow);
    pid_t disk = fork();
    CHECK(disk >= 0);
    if (disk == 0) {
        alarm(CTEST_SECONDS);
        close(orders[1]);
        be_disk(reports);
    }
    close(reports);
    close(orders[0]);
}

static void tell_disk(char order)
{
    CHECK_IS(write(orders[1], &order, 1), 1);
    CHECK_IS(read(done[0], &order, 1), 1);
}

static void sleep_disk(void)
{
    tell_disk('s');
}

static void wake_disk(void)
{
    tell_disk('w');
}

static void get_fsync(void)
{
    CHECK_IS(fsync(file), 0);
}

static void get_fdatasync(void)
{
    CHECK_IS(fdatasync(file), 0);
}

static void get_msync(void)
{
    CHECK_IS(msync(memory, 4096, MS_SYNC), 0);
}

static void get_syncfs(void)
{
    CHECK_IS(syncfs(file), 0);
}

static void get_unseen(void)
{
    struct statfs about;
    CHECK_IS(fstatfs(file, &about), 0);
}

int main(void)
{
    static const struct way ways[] = {
        {"fsync", sleep_disk, get_fsync, wake_disk},
        {"fdatasync", sleep_disk, get_fdatasync, wake_disk},
        {"msync", sleep_disk, get_msync, wake_disk},
        {"syncfs", sleep_disk, get_syncfs, wake_disk},
        {"fstatfs, without a hook", sleep_disk, get_unseen, wake_disk},
    };
    start_disk();
    make_directory(directory);
    snprintf(path, sizeof path, "%s/file", directory);
    file = open(path, O_RDWR | O_CREAT, 0600);
    CHECK(file >= 0);
    CHECK_IS(ftruncate(file, 4096), 0);
    memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(memory != MAP_FAILED);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        tick_while_stuck(&ways[i]);
    unlink(path);
    rmdir(directory);
    return 0;
}
