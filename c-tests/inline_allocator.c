/* The program's allocator has a lock of its own, by futex instructions. It is taken within pthread_create too, and by kernel threads that
 * are no thread of the program's: a thread that parks for it must get the wake from there.
 * covers: pthread_create flock
 * options: inline=1
 * proof: inline==1 inline_calls>=1 green_threads>=13 parks>=1
 */
#include "inline.h"
#include <linux/futex.h>
#include <sched.h>
#include <sys/file.h>

enum { ARENA = 32 << 20, HEADER = 16, LIVING = 4, STUCK = 8, LIMIT_S = 20 };

static _Alignas(16) char arena[ARENA];
static size_t used;
/* 0: free; 1: held; 2: held, and perhaps waited for. */
static _Atomic uint32_t lock;
/* The next thread that takes the lock within pthread_create, or on a kernel thread that the program does not know, keeps it until
 * another one waits for it. */
static atomic_bool keeps, kept, ended;
static atomic_int got;
static _Thread_local bool creates, known;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void take(void)
{
    uint32_t free = 0;
    if (!atomic_compare_exchange_strong(&lock, &free, 1))
        while (atomic_exchange(&lock, 2) != 0)
            INLINE(SYS_futex, &lock, FUTEX_WAIT_PRIVATE, 2, 0);
    bool once = true;
    if ((creates || !known) && atomic_compare_exchange_strong(&keeps, &once, false)) {
        kept = true;
        for (double since = now(); lock != 2 && now() < since + LIMIT_S;)
            ;
        /* The other one has said that it waits: it sleeps soon. */
        for (double since = now(); now() < since + 0.05;)
            ;
    }
}

static void give(void)
{
    if (atomic_exchange(&lock, 0) == 2)
        INLINE(SYS_futex, &lock, FUTEX_WAKE_PRIVATE, 1);
}

void *malloc(size_t bytes)
{
    take();
    size_t size = (bytes + HEADER + 15) & ~(size_t)15;
    char *block = used + size <= ARENA ? arena + used + HEADER : NULL;
    if (block) {
        used += size;
        *(size_t *)(block - HEADER) = bytes;
    }
    give();
    return block;
}

void free(void *block)
{
    (void)block;
}

void *calloc(size_t count, size_t bytes)
{
    return malloc(count * bytes); /* The arena is zero, and nothing is given out twice. */
}

void *realloc(void *block, size_t bytes)
{
    void *other = malloc(bytes);
    size_t before = block ? *(size_t *)((char *)block - HEADER) : 0;
    return other ? memcpy(other, block, before < bytes ? before : bytes) : NULL;
}

/* Wants the lock whenever it is kept. */
static void *wants(void *argument)
{
    known = true;
    while (!ended) {
        if (atomic_exchange(&kept, false)) {
            CHECK(malloc(1));
            got++;
        }
        sched_yield();
    }
    return argument;
}

static void *stands(void *name)
{
    known = true;
    int fd = open(name, O_RDWR);
    CHECK(fd >= 0);
    CHECK_IS(flock(fd, LOCK_EX), 0);
    close(fd);
    return NULL;
}

/* Lives on, so that the next thread gets no stack of an ended one's, which needs no allocation. */
static void *lives(void *argument)
{
    known = true;
    while (!ended)
        nap(1);
    return argument;
}

int main(void)
{
    known = true;
    pthread_t wanting = spawn(wants, NULL), living[LIVING], standing[STUCK];
    char name[] = "/tmp/inline_allocator.XXXXXX";
    int file = mkstemp(name);
    CHECK(file >= 0);
    CHECK_IS(flock(file, LOCK_EX), 0);

    /* Within pthread_create. */
    for (int i = 0; i < LIVING; i++) {
        int before = got;
        keeps = creates = true;
        living[i] = spawn(lives, NULL);
        creates = false;
        CHECK(!keeps);
        for (double since = now(); got == before && now() < since + LIMIT_S;)
            nap(1);
        CHECK_IS(got, before + 1);
    }
    /* Threads that stand in the kernel use kernel threads up, and new ones are made elsewhere. */
    keeps = true;
    for (int i = 0; i < STUCK; i++)
        standing[i] = spawn(stands, name);
    nap(200);
    CHECK_IS(flock(file, LOCK_UN), 0);
    for (int i = 0; i < STUCK; i++)
        join(standing[i]);
    keeps = false;
    if (getenv("SAY_KEPT"))
        fprintf(stderr, "wanted %d times\n", got);
    ended = true;
    join(wanting);
    for (int i = 0; i < LIVING; i++)
        join(living[i]);
    CHECK_IS(unlink(name), 0);
    say("done");
    return 0;
}
