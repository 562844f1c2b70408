/* Files that never wait: a read or write of megabytes is whole, the end is 0, appended records stay whole, devices and /proc answer, and
 * O_NONBLOCK changes nothing.
 * covers: read write readv writev
 * proof: green_threads>=9 parks>=1 hooks.read>=5 hooks.write>=5
 */
#include "ctest.h"
#include <sys/uio.h>

enum { SIZE = 1 << 22, WRITERS = 8, RECORDS = 50, RECORD = 500 };
static char block[SIZE], copy[SIZE];
static int fd;

static void whole(void)
{
    struct iovec halves[] = {{copy, SIZE / 2}, {copy + SIZE / 2, SIZE / 2}};
    CHECK_IS(write(fd, block, SIZE), SIZE);
    CHECK_IS(read(fd, copy, 1), 0);
    CHECK_IS(lseek(fd, 0, SEEK_SET), 0);
    CHECK_IS(read(fd, copy, SIZE), SIZE);
    CHECK(memcmp(block, copy, SIZE) == 0);
    CHECK_IS(lseek(fd, 0, SEEK_SET), 0);
    CHECK_IS(writev(fd, (struct iovec[]){{block + SIZE / 2, SIZE / 2}, {block, SIZE / 2}}, 2), SIZE);
    CHECK_IS(lseek(fd, 0, SEEK_SET), 0);
    CHECK_IS(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    CHECK_IS(readv(fd, halves, 2), SIZE);
    CHECK(memcmp(block, copy + SIZE / 2, SIZE / 2) == 0);
    CHECK_IS(readv(fd, halves, 2), 0);
    say("a file: megabytes in one call, then the end");
}

static void *append(void *number)
{
    char record[RECORD];
    memset(record, 'a' + (intptr_t)number, sizeof record);
    for (int i = 0; i < RECORDS; i++)
        CHECK_IS(write(fd, record, sizeof record), sizeof record);
    return NULL;
}

static void appended(void)
{
    pthread_t thread[WRITERS];
    char record[RECORD];
    int count = 0;
    CHECK_IS(ftruncate(fd, 0), 0);
    CHECK_IS(fcntl(fd, F_SETFL, O_APPEND), 0);
    for (int i = 0; i < WRITERS; i++)
        thread[i] = spawn(append, (void *)(intptr_t)i);
    for (int i = 0; i < WRITERS; i++)
        join(thread[i]);
    CHECK_IS(lseek(fd, 0, SEEK_SET), 0);
    for (; read(fd, record, RECORD) == RECORD; count++)
        for (int i = 1; i < RECORD; i++)
            CHECK(record[i] == record[0]);
    CHECK_IS(count, WRITERS * RECORDS);
    say("%d writers appended %d whole records", WRITERS, count);
}

static void devices(void)
{
    int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR), chance = open("/dev/urandom", O_RDONLY | O_NONBLOCK);
    int process = open("/proc/self/maps", O_RDONLY), directory = open("/", O_RDONLY), full = open("/dev/full", O_WRONLY);
    CHECK_IS(read(null, copy, 10), 0);
    CHECK_IS(write(null, block, SIZE), SIZE);
    CHECK_IS(read(zero, copy, SIZE), SIZE);
    CHECK(copy[0] == 0 && copy[SIZE - 1] == 0);
    CHECK_IS(read(chance, copy, 100), 100);
    CHECK_IS(read(process, copy, 10), 10);
    CHECK_FAILS(read(directory, copy, 10), EISDIR);
    CHECK_FAILS(write(full, block, 10), ENOSPC);
    CHECK_FAILS(write(directory, block, 10), EBADF);
    CHECK_FAILS(read(full, copy, 10), EBADF);
    CHECK_FAILS(read(-1, copy, 10), EBADF);
    say("devices, /proc and a directory: as they are");
    close(null), close(zero), close(chance), close(process), close(directory), close(full);
}

static void all(void)
{
    whole();
    appended();
    devices();
}

int main(void)
{
    FILE *file = memory_file();
    CHECK(file);
    fd = fileno(file);
    for (size_t i = 0; i < SIZE; i++)
        block[i] = i * 3 + i / 1021;
    in_thread(all);
    fclose(file);
    return 0;
}
