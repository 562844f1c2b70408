/* Fifty threads in fgets and getline on slow sockets and pipes, and one that prints: what stdio reads and writes inside libc parks a
 * green thread and keeps no kernel thread, while main sleeps and sends.
 * covers: read write fclose nanosleep
 * proof: green_threads>=50 parks>=60 entries>=40 hooks.read>=100 kernel_threads_peak<=25
 * processors: 4
 */
#include "ctest.h"
#include <sys/socket.h>

enum { READERS = 50, LINES = 4 };
static int ends[READERS][2];

static void *reads_lines(void *number)
{
    int i = (intptr_t)number;
    FILE *stream = fdopen(ends[i][0], "r");
    char text[32], *line = NULL;
    size_t room = 0;
    intptr_t count = 0;
    CHECK(stream);
    while (i % 2 ? fgets(text, sizeof text, stream) != NULL : getline(&line, &room, stream) > 0)
        CHECK_IS(atoi(i % 2 ? text : line), i * LINES + count++);
    CHECK(feof(stream) && !ferror(stream));
    free(line);
    CHECK_IS(fclose(stream), 0);
    return (void *)count;
}

int main(void)
{
    pthread_t readers[READERS];
    for (int i = 0; i < READERS; i++) {
        CHECK_IS(i % 4 < 2 ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]) : pipe(ends[i]), 0);
        readers[i] = spawn(reads_lines, (void *)(intptr_t)i);
    }
    for (int line = 0; line < LINES; line++) {
        nap(2);
        for (int i = 0; i < READERS; i++)
            CHECK(dprintf(ends[i][1], "%d\n", i * LINES + line) > 0);
    }
    for (int i = 0; i < READERS; i++) {
        CHECK_IS(close(ends[i][1]), 0);
        CHECK_IS(join(readers[i]), LINES);
    }
    say("%d readers: %d lines each", READERS, LINES);
    return 0;
}
