/* The program's own allocator has one mutex, and writes to a pipe while it holds it; more threads than processors spin until the allocating
 * one has got on, and a reader empties the pipe. A kernel thread that is made meanwhile must not need the allocator.
 * covers: pthread_mutex_lock write read
 * proof: green_threads>=6 parks>=90 hand_overs>=1
 * processors: 4
 * cflags: -fno-builtin
 */
#include "ctest.h"

enum { SPINNERS = 4 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char arena[64 << 20] __attribute__((aligned(16)));
static size_t used;
static int log_pipe[2];
static atomic_int logging, done, spinning;
static __thread int depth;

void *malloc(size_t size)
{
    static char line[4096];
    pthread_mutex_lock(&mutex);
    char *block = arena + used + 16;
    used += (size + 31) / 16 * 16;
    if (used > sizeof arena)
        abort();
    *(size_t *)(block - 16) = size;
    if (logging && depth == 0) {
        depth++;
        if (write(log_pipe[1], line, sizeof line) < 0)
            abort();
        depth--;
    }
    pthread_mutex_unlock(&mutex);
    return block;
}

void free(void *block)
{
    (void)block;
}

void *calloc(size_t count, size_t size)
{
    return memset(malloc(count * size), 0, count * size);
}

void *realloc(void *old, size_t size)
{
    void *block = malloc(size);
    size_t had = old ? *(size_t *)((char *)old - 16) : 0;
    return memcpy(block, old ? old : block, had < size ? had : size);
}

void *memalign(size_t alignment, size_t size)
{
    size_t block = (size_t)malloc(size + alignment + 16);
    block = (block + 16 + alignment - 1) / alignment * alignment;
    *(size_t *)(block - 16) = size;
    return (void *)block;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size)
{
    *result = memalign(alignment, size);
    return 0;
}

static void *allocate(void *argument)
{
    while (spinning < SPINNERS)
        usleep(100);
    logging = 1;
    for (int i = 0; i < 100; i++) {
        void *volatile block = malloc(10);
        free(block);
    }
    logging = 0;
    done = 1;
    close(log_pipe[1]);
    return argument;
}

static void *spin(void *argument)
{
    usleep(2000);
    spinning++;
    while (!done) {
    }
    return argument;
}

static void *drain(void *argument)
{
    char bytes[4096];
    while (read(log_pipe[0], bytes, sizeof bytes) > 0)
        usleep(100);
    return argument;
}

int main(void)
{
    pthread_t threads[SPINNERS + 2];
    CHECK_IS(pipe(log_pipe), 0);
    threads[0] = spawn(allocate, NULL);
    threads[1] = spawn(drain, NULL);
    for (int i = 0; i < SPINNERS; i++)
        threads[2 + i] = spawn(spin, NULL);
    for (int i = 0; i < SPINNERS + 2; i++)
        join(threads[i]);
    say("done");
    return 0;
}
