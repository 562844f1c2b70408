/* What sends a file to its disk answers as natively, and finds wrong what is wrong.
 * covers: fsync fdatasync msync sync_file_range syncfs
 * proof: green_threads>=1 hooks.fsync>=3 hooks.fdatasync>=2 hooks.msync>=3 hooks.sync_file_range>=2 hooks.syncfs>=2
 * no_park: only main waits, for threads that may have ended before it asks
 */
#include "ctest.h"
#include <sys/mman.h>

static char directory[PATH_MAX], path[PATH_MAX + 8];

static void regular(void)
{
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0);
    CHECK_IS(write(fd, "hello", 5), 5);
    CHECK_IS(fsync(fd), 0);
    CHECK_IS(fdatasync(fd), 0);
    CHECK_IS(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE), 0);
    CHECK_FAILS(sync_file_range(fd, -1, 0, 0), EINVAL);
    CHECK_IS(syncfs(fd), 0);
    char *memory = mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(memory != MAP_FAILED);
    memory[0] = 'j';
    CHECK_IS(msync(memory, 5, MS_SYNC), 0);
    CHECK_FAILS(msync(memory + 1, 5, MS_SYNC), EINVAL);
    char text[5];
    CHECK_IS(pread(fd, text, 5, 0), 5);
    CHECK(memcmp(text, "jello", 5) == 0);
    CHECK_IS(munmap(memory, 5), 0);
    CHECK_FAILS(msync(memory, 5, MS_SYNC), ENOMEM);
    close(fd);
    say("a file: written");
}

static void wrong(void)
{
    int ends[2];
    CHECK_IS(pipe(ends), 0);
    CHECK_FAILS(fsync(ends[1]), EINVAL);
    CHECK_FAILS(fsync(-1), EBADF);
    CHECK_FAILS(fdatasync(-1), EBADF);
    CHECK_FAILS(syncfs(-1), EBADF);
    close(ends[0]);
    close(ends[1]);
    say("a pipe, and nothing: refused");
}

int main(void)
{
    /* In memory where that is possible: how long a disk takes is not what this shows. */
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    make_directory(directory);
    snprintf(path, sizeof path, "%s/file", directory);
    in_thread(regular);
    in_thread(wrong);
    unlink(path);
    rmdir(directory);
    return 0;
}
