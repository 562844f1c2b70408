/* Of a small address space the program has most for itself: after its first threads, and while some of them stand in calls of their own, it
 * may allocate more than half of what there is. (glibc takes 128 MiB for a moment, and keeps 64, where another kernel thread than the
 * program's threads' makes a thread.) What many threads had is given back some time after they have ended.
 * covers: pthread_create setrlimit
 * needs: proc
 * proof: green_threads>=107 parks>=90 hand_overs>=1
 * processors: 4
 */
#include "inline.h"
#include <sys/mman.h>
#include <sys/resource.h>

/* What stays: 40 MiB of stacks, as in glibc's own cache. (The heaps that glibc reserves for whoever frees the rest cannot be written.) */
enum { MEBIBYTE = 1 << 20, SMALL = 300, STANDERS = 6, THREADS = 100, STACK = 8 * MEBIBYTE, KEPT = 40 + 16, PATIENCE = 200 };

static pthread_barrier_t all;

static void *nothing(void *argument)
{
    return argument;
}

static atomic_int standing, may_go;

static void *stands(void *argument)
{
    struct timespec time = {.tv_nsec = 10000000};
    standing++;
    while (!may_go)
        INLINE(SYS_nanosleep, &time, NULL);
    return argument;
}

static pthread_t spawn_small(void *(*function)(void *))
{
    pthread_t thread;
    pthread_attr_t attributes;
    CHECK_IS(pthread_attr_init(&attributes), 0);
    CHECK_IS(pthread_attr_setstacksize(&attributes, MEBIBYTE), 0);
    CHECK_IS(pthread_create(&thread, &attributes, function, NULL), 0);
    return thread;
}

static void *meets(void *argument)
{
    pthread_barrier_wait(&all);
    return argument;
}

/* Of what may be written. */
static long address_space(void)
{
    unsigned long begin, end, bytes = 0;
    char line[PATH_MAX + 100], rights[5];
    FILE *file = fopen("/proc/self/maps", "r");
    CHECK(file);
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "%lx-%lx %4s", &begin, &end, rights) == 3 && rights[1] == 'w')
            bytes += end - begin;
    fclose(file);
    return bytes / MEBIBYTE;
}

static void many_come_and_go(void)
{
    pthread_t threads[THREADS];
    pthread_attr_t attributes;
    CHECK_IS(pthread_attr_init(&attributes), 0);
    CHECK_IS(pthread_attr_setstacksize(&attributes, STACK), 0);
    CHECK_IS(pthread_barrier_init(&all, NULL, THREADS + 1), 0);
    long before = address_space();
    for (int i = 0; i < THREADS; i++)
        CHECK_IS(pthread_create(&threads[i], &attributes, meets, NULL), 0);
    pthread_barrier_wait(&all);
    CHECK(address_space() >= before + THREADS / 2 * STACK / MEBIBYTE);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    int looks = 0;
    while (address_space() > before + KEPT && looks++ < PATIENCE)
        usleep(50000);
    say("after %d threads: %s", THREADS, looks < PATIENCE ? "given back" : "kept");
}

static void *block(void)
{
    return mmap(NULL, MEBIBYTE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void limited(void)
{
    static void *blocks[SMALL];
    pthread_t standers[STANDERS];
    struct rlimit before, limit;
    int count = 0;
    CHECK_IS(getrlimit(RLIMIT_AS, &before), 0);
    limit = (struct rlimit){SMALL * MEBIBYTE, before.rlim_max};
    if (setrlimit(RLIMIT_AS, &limit))
        skip("the address space may not be limited");
    join(spawn(nothing, NULL));
    for (int i = 0; i < STANDERS; i++)
        standers[i] = spawn_small(stands);
    while (standing < STANDERS)
        usleep(1000);
    while (count < SMALL && (blocks[count] = block()) != MAP_FAILED)
        count++;
    for (int i = 0; i < count; i++)
        CHECK_IS(munmap(blocks[i], MEBIBYTE), 0);
    may_go = 1;
    for (int i = 0; i < STANDERS; i++)
        join(standers[i]);
    CHECK_IS(setrlimit(RLIMIT_AS, &before), 0);
    say("of %d MiB: %s", SMALL, count > SMALL / 2 ? "more than half" : "less than half");
}

int main(void)
{
    limited();
    many_come_and_go();
    return 0;
}
