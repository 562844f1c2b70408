/* fclose and freopen of a stream on whose socket a thread is blocked: the blocked call keeps the socket, the stream has the new file on the
 * same number; freopen also opens a FIFO, waiting for its writer.
 * covers: fclose freopen freopen64
 * proof: green_threads>=4 parks>=5 hooks.fclose>=1
 * passes: freopen freopen64: the library gives up the stream's descriptor, and libc opens the file
 * came: freopen>=2: they pass, as said
 * came: freopen64>=1: they pass, as said
 */
#include "sockets.h"
#include <sys/stat.h>

static char directory[PATH_MAX], file[PATH_MAX + 8], fifo[PATH_MAX + 8];
static int fd[2];

static void *blocked_recv(void *unused)
{
    receive(fd[0], "before, after");
    return unused;
}

static FILE *reopen(FILE *stream) { return freopen(file, "r", stream); }
static FILE *reopen64(FILE *stream) { return freopen64(file, "r", stream); }

static FILE *close_and_open(FILE *stream)
{
    CHECK_IS(fclose(stream), 0);
    return fopen(file, "r");
}

static void replaced(FILE *(*replace)(FILE *), const char *name)
{
    char line[32] = "";
    unix_pair(SOCK_STREAM, fd);
    FILE *stream = fdopen(fd[0], "r+");
    pthread_t thread = spawn(blocked_recv, NULL);
    transmit(fd[1], "before");
    wait_taken(fd[0]);
    stream = replace(stream);
    CHECK(stream);
    CHECK_IS(fileno(stream), fd[0]);
    CHECK(fgets(line, sizeof line, stream));
    transmit(fd[1], ", after");
    join(thread);
    CHECK_IS(recv(fd[1], line, 0, 0), 0);
    say("%s: the reader has its data, the stream %s", name, line);
    fclose(stream);
    close(fd[1]);
}

static void *fifo_writer(void *unused)
{
    nap(2);
    FILE *out = fopen(fifo, "w");
    CHECK(out && fputs("through the fifo", out) >= 0);
    fclose(out);
    return unused;
}

static void fifos(void)
{
    char line[32] = "";
    FILE *stream = fopen(file, "r");
    pthread_t thread = spawn(fifo_writer, NULL);
    stream = freopen(fifo, "r", stream);
    CHECK(stream && fgets(line, sizeof line, stream));
    say("freopen of a FIFO: %s", line);
    join(thread);
    CHECK(freopen("/nonexistent/file", "r", stream) == NULL && errno == ENOENT);
    say("freopen of nothing: ENOENT");
}

static void all(void)
{
    replaced(reopen, "freopen");
    replaced(reopen64, "freopen64");
    replaced(close_and_open, "fclose");
    fifos();
}

int main(void)
{
    make_directory(directory);
    snprintf(file, sizeof file, "%s/file", directory);
    snprintf(fifo, sizeof fifo, "%s/fifo", directory);
    CHECK_IS(mkfifo(fifo, 0600), 0);
    FILE *out = fopen(file, "w");
    CHECK(out && fputs("the file's line", out) >= 0 && fclose(out) == 0);
    in_thread(all);
    unlink(file);
    unlink(fifo);
    rmdir(directory);
    return 0;
}
