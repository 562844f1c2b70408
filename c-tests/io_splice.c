/* splice, tee and vmsplice wait for the data or the room of a pipe or a socket; with SPLICE_F_NONBLOCK they do not.
 * covers: splice tee vmsplice
 * proof: green_threads>=4 parks>=2 hooks.splice>=2 hooks.tee>=1 hooks.vmsplice>=1
 */
#include "sockets.h"

static int in[2], out[2], line[2];

static void *late_writer(void *fd)
{
    nap(2);
    CHECK_IS(write(*(int *)fd, "late data", 9), 9);
    return NULL;
}

static void expect(int fd, const char *text)
{
    char buffer[32] = "";
    CHECK_IS(read(fd, buffer, sizeof buffer - 1), strlen(text));
    CHECK(strcmp(buffer, text) == 0);
}

static void waits_for_data(void)
{
    pthread_t thread = spawn(late_writer, &in[1]);
    CHECK_IS(tee(in[0], out[1], 100, 0), 9);
    expect(out[0], "late data");
    CHECK_IS(splice(in[0], NULL, out[1], NULL, 100, 0), 9);
    expect(out[0], "late data");
    join(thread);
    say("tee and splice between pipes: waited");
    thread = spawn(late_writer, &line[1]);
    CHECK_IS(splice(line[0], NULL, out[1], NULL, 100, 0), 9);
    expect(out[0], "late data");
    join(thread);
    say("splice from a socket: waited");
    thread = spawn(late_writer, &in[1]);
    CHECK_IS(splice(in[0], NULL, line[0], NULL, 100, 0), 9);
    expect(line[1], "late data");
    join(thread);
    say("splice to a socket: waited");
    CHECK_FAILS(splice(in[0], NULL, out[1], NULL, 100, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_FAILS(tee(in[0], out[1], 100, SPLICE_F_NONBLOCK), EAGAIN);
    say("SPLICE_F_NONBLOCK: EAGAIN");
}

enum { SIZE = 1 << 18 };
static char block[SIZE];

static void *slow_reader(void *unused)
{
    static char buffer[1 << 14];
    for (size_t total = 0; total < SIZE;) {
        ssize_t got = read(out[0], buffer, sizeof buffer);
        CHECK(got > 0);
        CHECK(memcmp(buffer, block + total, got) == 0);
        total += got;
    }
    return unused;
}

static void waits_for_room(void)
{
    pthread_t thread = spawn(slow_reader, NULL);
    for (size_t total = 0; total < SIZE;) {
        struct iovec part = {block + total, SIZE - total};
        ssize_t moved = vmsplice(out[1], &part, 1, 0);
        CHECK(moved > 0);
        total += moved;
    }
    join(thread);
    say("vmsplice to a slow reader: all");
    thread = spawn(slow_reader, NULL);
    FILE *file = memory_file();
    loff_t offset = 0;
    CHECK_IS(pwrite(fileno(file), block, SIZE, 0), SIZE);
    while (offset < SIZE)
        CHECK(splice(fileno(file), &offset, out[1], NULL, SIZE - offset, 0) > 0);
    join(thread);
    say("splice of a file to a slow reader: all");
    fclose(file);
    while (write(in[1], block, PIPE_BUF) == PIPE_BUF && poll(&(struct pollfd){in[1], POLLOUT, 0}, 1, 0) == 1)
        continue;
    CHECK_FAILS(vmsplice(in[1], &(struct iovec){block, PIPE_BUF}, 1, SPLICE_F_NONBLOCK), EAGAIN);
    say("vmsplice with SPLICE_F_NONBLOCK: EAGAIN");
}

static void refused(void)
{
    CHECK_FAILS(splice(-1, NULL, out[1], NULL, 1, 0), EBADF);
    CHECK_FAILS(splice(line[0], NULL, line[1], NULL, 1, 0), EINVAL);
    CHECK_FAILS(splice(in[0], &(loff_t){0}, out[1], NULL, 1, 0), ESPIPE);
    CHECK_FAILS(tee(line[0], out[1], 1, 0), EINVAL);
    CHECK_IS(splice(in[0], NULL, out[1], NULL, 0, 0), 0);
    close(in[1]);
    CHECK_IS(splice(in[0], NULL, out[1], NULL, 1, 0), 0);
    CHECK_IS(tee(in[0], out[1], 1, 0), 0);
    say("refused: EBADF, EINVAL, ESPIPE; the end is 0");
}

static void all(void)
{
    CHECK_IS(pipe(in), 0);
    CHECK_IS(pipe(out), 0);
    unix_pair(SOCK_STREAM, line);
    refused();
    close(in[0]);
    CHECK_IS(pipe(in), 0);
    waits_for_data();
    waits_for_room();
}

int main(void)
{
    for (size_t i = 0; i < SIZE; i++)
        block[i] = i * 5 + i / 131;
    in_thread(all);
    return 0;
}
