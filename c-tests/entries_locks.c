/* Locks inside libc whose holder is parked: forty threads print to one FILE whose socket is full, and lock it, while one reads slowly. Each
 * line arrives whole, and nobody who waits for the FILE's lock keeps a kernel thread.
 * covers: write read
 * proof: green_threads>=40 parks>=20 entries>=40 hooks.write>=5 kernel_threads_peak<=20
 * processors: 4
 */
#include "ctest.h"
#include <sys/socket.h>

enum { WRITERS = 40, LINES = 3, BYTES = 4000 };
static FILE *out;
static atomic_int locked;

static void *prints(void *number)
{
    char line[BYTES];
    memset(line, 'a' + (intptr_t)number % 26, BYTES - 1);
    line[BYTES - 1] = '\n';
    for (int i = 0; i < LINES; i++) {
        flockfile(out);
        CHECK_IS(atomic_fetch_add(&locked, 1), 0);
        CHECK_IS(fwrite(line, 1, BYTES / 2, out), BYTES / 2);
        CHECK_IS(fflush(out), 0);
        atomic_fetch_sub(&locked, 1);
        CHECK_IS(fwrite(line + BYTES / 2, 1, BYTES / 2, out), BYTES / 2);
        funlockfile(out);
        CHECK_IS(fflush(out), 0);
    }
    return NULL;
}

int main(void)
{
    int ends[2], small = 1;
    static char line[BYTES + 1];
    pthread_t writer[WRITERS];
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_IS(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    CHECK((out = fdopen(ends[0], "w")) != NULL);
    FILE *in = fdopen(ends[1], "r");
    for (int i = 0; i < WRITERS; i++)
        writer[i] = spawn(prints, (void *)(intptr_t)i);
    for (int i = 0; i < WRITERS * LINES; i++) {
        if (i % 16 == 0)
            nap(1);
        CHECK(fgets(line, sizeof line, in));
        CHECK_IS(strlen(line), BYTES);
        for (int at = 0; at < BYTES - 1; at++)
            CHECK(line[at] == line[0]);
    }
    for (int i = 0; i < WRITERS; i++)
        join(writer[i]);
    say("%d lines, each of one writer", WRITERS * LINES);
    return 0;
}
