/* sendfile: a blocking one sends as much as natively to a slow reader, moves its offset or the file's, and obeys O_NONBLOCK and timeouts.
 * covers: sendfile sendfile64 read
 * proof: green_threads>=2 parks>=1 hooks.sendfile>=2 hooks.sendfile64>=2
 */
#include "sockets.h"
#include <sys/sendfile.h>

enum { SIZE = 1 << 20 };
static int fd[2], file;
static char block[SIZE];

static void *slow_reader(void *unused)
{
    static char buffer[1 << 15];
    for (size_t total = 0; total < SIZE;) {
        ssize_t got = read(fd[1], buffer, sizeof buffer);
        CHECK(got > 0);
        CHECK(memcmp(buffer, block + total, got) == 0);
        total += got;
        sched_yield();
    }
    return unused;
}

static void whole(const char *kind)
{
    pthread_t thread = spawn(slow_reader, NULL);
    off_t offset = 0;
    while (offset < SIZE)
        CHECK(sendfile(fd[0], file, &offset, SIZE - offset) > 0);
    CHECK_IS(offset, SIZE);
    CHECK_IS(sendfile(fd[0], file, &offset, SIZE), 0);
    CHECK_IS(lseek(file, 0, SEEK_CUR), 0);
    join(thread);
    thread = spawn(slow_reader, NULL);
    for (ssize_t total = 0, sent; total < SIZE; total += sent)
        CHECK((sent = sendfile64(fd[0], file, NULL, SIZE)) > 0);
    CHECK_IS(lseek(file, 0, SEEK_SET), 0);
    join(thread);
    say("to a %s: a megabyte, by offset and by position", kind);
    close_pair(fd);
}

static void limited(void)
{
    off_t offset = 0;
    ssize_t sent;
    unix_pair(SOCK_STREAM, fd);
    timeout_ms(fd[0], SO_SNDTIMEO, 5);
    while ((sent = sendfile(fd[0], file, &offset, SIZE - offset)) > 0)
        continue;
    CHECK(sent == -1 && errno == EAGAIN && offset > 0 && offset < SIZE);
    timeout_ms(fd[0], SO_SNDTIMEO, 0);
    CHECK_IS(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
    CHECK_FAILS(sendfile(fd[0], file, &offset, SIZE - offset), EAGAIN);
    say("SO_SNDTIMEO and O_NONBLOCK: EAGAIN, the offset tells what went");
    CHECK_FAILS(sendfile(fd[0], fd[1], NULL, 1), EINVAL);
    CHECK_FAILS(sendfile(-1, file, NULL, 1), EBADF);
    CHECK_IS(sendfile(fd[0], file, NULL, 0), 0);
    close_pair(fd);
}

static void all(void)
{
    unix_pair(SOCK_STREAM, fd);
    whole("unix socket");
    tcp_pair(fd);
    small_buffers(fd);
    whole("TCP socket");
    CHECK_IS(pipe(fd), 0);
    int swap = fd[0];
    fd[0] = fd[1], fd[1] = swap;
    whole("pipe");
    limited();
}

int main(void)
{
    FILE *temporary = memory_file();
    CHECK(temporary);
    file = fileno(temporary);
    for (size_t i = 0; i < SIZE; i++)
        block[i] = i * 11 + i / 257;
    CHECK_IS(pwrite(file, block, SIZE, 0), SIZE);
    in_thread(all);
    fclose(temporary);
    return 0;
}
