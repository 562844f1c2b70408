/* A program that locks all its memory, what there is and what comes: its threads have their stacks locked, and not dozens more; those that
 * ended before are not locked with what there is.
 * covers: mlockall
 * proof: green_threads>=44 parks>=50
 * passes: mlockall: the library makes its stacks ready for it, and the kernel locks
 * came: mlockall>=2: they pass, as said
 * needs: root proc
 */
#include "ctest.h"
#include <sys/mman.h>

enum { STACK = 8 << 20, BEFORE = 40, MOST = 200 };

static pthread_barrier_t all;

static long locked(void)
{
    char line[200];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, "VmLck:", 6))
            kib = atol(line + 6);
    fclose(file);
    return kib >> 10;
}

static void *meets(void *argument)
{
    pthread_barrier_wait(&all);
    pthread_barrier_wait(&all);
    return argument;
}

static void run(int count, const char *what)
{
    pthread_t threads[BEFORE];
    pthread_attr_t attributes;
    CHECK_IS(pthread_attr_init(&attributes), 0);
    CHECK_IS(pthread_attr_setstacksize(&attributes, STACK), 0);
    CHECK_IS(pthread_barrier_init(&all, NULL, count + 1), 0);
    for (int i = 0; i < count; i++)
        CHECK_IS(pthread_create(&threads[i], &attributes, meets, NULL), 0);
    pthread_barrier_wait(&all);
    long now = locked();
    pthread_barrier_wait(&all);
    for (int i = 0; i < count; i++)
        join(threads[i]);
    say("%s: %s", what, now < MOST ? "few MiB" : "many MiB");
}

int main(void)
{
    run(2, "nothing is locked");
    if (mlockall(MCL_FUTURE))
        skip("memory may not be locked");
    run(2, "what comes is locked");
    CHECK_IS(munlockall(), 0);
    CHECK_IS(mlockall(MCL_CURRENT), 0);
    CHECK_IS(munlockall(), 0);
    run(BEFORE, "nothing is locked any more");
    return 0;
}
