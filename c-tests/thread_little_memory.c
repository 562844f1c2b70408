/* Little address space: threads with large stacks come one after another, as many as fit; without memory a thread is refused, politely.
 * covers: pthread_create
 * proof: green_threads>=1
 * no_park: only main waits, for threads that may have ended before it asks
 */
#include "ctest.h"
#include <sys/mman.h>
#include <sys/resource.h>

enum { THREADS = 40 };

static atomic_int ran;

static void *runs(void *argument)
{
    ran++;
    return argument;
}

/* Leaves so much beyond what is mapped now. */
static void limit(long bytes)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%ld", &pages) == 1);
    fclose(file);
    struct rlimit most = {pages * sysconf(_SC_PAGESIZE) + bytes, RLIM_INFINITY};
    CHECK_IS(setrlimit(RLIMIT_AS, &most), 0);
}

static void large_stacks(void)
{
    pthread_attr_t attributes;
    limit(400L << 20);
    pthread_attr_init(&attributes);
    CHECK_IS(pthread_attr_setstacksize(&attributes, 16 << 20), 0);
    CHECK_IS(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED), 0);
    for (int made = 0; made < THREADS;) {
        pthread_t thread;
        int result = pthread_create(&thread, &attributes, runs, NULL);
        CHECK(result == 0 || result == EAGAIN);
        made += result == 0;
        if (result != 0)
            sched_yield();
    }
    while (ran < THREADS)
        sched_yield();
}

static void no_memory(void)
{
    pthread_t thread;
    limit(1 << 20);
    CHECK_IS(pthread_create(&thread, NULL, runs, NULL), EAGAIN);
}

static void not_a_page(void)
{
    pthread_t thread;
    limit(0);
    while (mmap(NULL, sysconf(_SC_PAGESIZE), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        ;
    CHECK_IS(pthread_create(&thread, NULL, runs, NULL), EAGAIN);
}

int main(void)
{
    CHECK_IS(in_child(large_stacks), 0);
    say("%d large stacks in 400 MiB, one after another", THREADS);
    CHECK_IS(in_child(no_memory), 0);
    CHECK_IS(in_child(not_a_page), 0);
    say("no memory, no thread");
    join(spawn(runs, NULL));
    return 0;
}
