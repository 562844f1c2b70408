/* SIGKILL, which nothing can wait for, ends a program with many blocked threads: as natively, and its statistics are those that were kept
 * while it waited.
 * covers: read kill
 * uncounted: kill
 * proof: green_threads>=20 parks>=20 hooks.read>=20
 * exit: signal 9
 */
#include "ctest.h"

enum { THREADS = 20 };
static int ends[2];

static void *reads(void *unused)
{
    char byte;
    CHECK_IS(read(ends[0], &byte, 1), 1);
    return unused;
}

int main(void)
{
    CHECK_IS(pipe(ends), 0);
    for (int i = 0; i < THREADS; i++)
        spawn(reads, NULL);
    say("%d threads wait, and the process is idle", THREADS);
    nap(300);
    kill(getpid(), SIGKILL);
    say("the process goes on");
    return 1;
}
