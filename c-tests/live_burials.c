/* The program's own allocator has one mutex, and writes to a pipe that is full while it holds it. Meanwhile a detached thread on a stack of
 * the program's ends, kernel threads that stood in calls of their own come free, a pool of ended threads is let go: whoever gives
 * their memory back waits for the allocator. Nobody else does: more threads than processors spin, and main sleeps and reads the pipe.
 * covers: pthread_mutex_lock write read pthread_detach
 * proof: green_threads>=139 parks>=60 hand_overs>=10
 * processors: 4
 * cflags: -fno-builtin
 * stress: no
 */
#include "futex.h"
#include "inline.h"

enum { SPINNERS = 4, STUCK = 24, POOLED = 100, PIPE = 65536 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char arena[64 << 20] __attribute__((aligned(16)));
static size_t used;
static int log_pipe[2];
static atomic_int logging, held, freed_meanwhile;
static __thread int logs;

void *malloc(size_t size)
{
    static char line[4096];
    pthread_mutex_lock(&mutex);
    char *block = arena + used + 16;
    used += (size + 31) / 16 * 16;
    if (used > sizeof arena)
        abort();
    *(size_t *)(block - 16) = size;
    if (logs && logging) {
        held = 1;
        if (write(log_pipe[1], line, sizeof line) < 0)
            abort();
        held = 0;
    }
    pthread_mutex_unlock(&mutex);
    return block;
}

void free(void *block)
{
    if (block == NULL)
        return;
    if (held)
        freed_meanwhile++;
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
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

static _Atomic uint32_t word;
static atomic_int standing, passed, go, done, may_end, may_exit;

static void *holds(void *argument)
{
    logs = 1;
    void *volatile block = malloc(10);
    free(block);
    return argument;
}

static void *spins(void *argument)
{
    while (!go)
        usleep(1000);
    while (!done) {
    }
    return argument;
}

static void *ends(void *argument)
{
    while (!may_end)
        usleep(1000);
    return argument;
}

static void *gets_stuck(void *argument)
{
    standing++;
    while (word == 0)
        INLINE(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, 0);
    passed++;
    while (!may_exit)
        usleep(10000);
    return argument;
}

static void *is_one_of_many(void *argument)
{
    while (!may_exit)
        usleep(1000);
    return argument;
}

/* While the allocator's owner waits in its write: `provoke`, and somebody gives memory back (natively perhaps nobody). Then all spin. */
static void while_held(const char *what, void (*provoke)(void))
{
    pthread_t holder, spinners[SPINNERS];
    char bytes[4096];
    held = go = done = freed_meanwhile = 0;
    for (int i = 0; i < SPINNERS; i++)
        spinners[i] = spawn(spins, NULL);
    logging = 1;
    holder = spawn(holds, NULL);
    while (!held)
        usleep(1000);
    provoke();
    for (int i = 0; i < 250 && !freed_meanwhile; i++)
        usleep(10000);
    go = 1;
    for (int i = 0; i < 3; i++)
        usleep(20000);
    CHECK_IS(held, 1);
    for (int i = 0; i < 2; i++)
        CHECK_IS(read(log_pipe[0], bytes, sizeof bytes), sizeof bytes);
    join(holder);
    logging = 0;
    done = 1;
    for (int i = 0; i < SPINNERS; i++)
        join(spinners[i]);
    CHECK_IS(write(log_pipe[1], bytes, sizeof bytes), sizeof bytes);
    say("%s: done", what);
}

static void let_end(void)
{
    may_end = 1;
}

static void release(void)
{
    word = 1;
    futex_wake(&word, INT_MAX);
    while (passed < STUCK)
        usleep(1000);
}

static void nothing(void)
{
}

static void many(pthread_t *threads, int count, void *(*function)(void *))
{
    for (int i = 0; i < count; i++)
        threads[i] = spawn(function, NULL);
}

int main(void)
{
    static char stack[1 << 20] __attribute__((aligned(4096))), fill[PIPE];
    pthread_t detached, threads[STUCK + POOLED];
    pthread_attr_t attributes;
    CHECK_IS(pipe(log_pipe), 0);
    CHECK_IS(fcntl(log_pipe[1], F_SETPIPE_SZ, PIPE), PIPE);
    CHECK_IS(write(log_pipe[1], fill, PIPE), PIPE);
    CHECK_IS(pthread_attr_init(&attributes), 0);
    CHECK_IS(pthread_attr_setstack(&attributes, stack, sizeof stack), 0);
    CHECK_IS(pthread_create(&detached, &attributes, ends, NULL), 0);
    CHECK_IS(pthread_detach(detached), 0);
    while_held("a detached thread ends", let_end);
    many(threads, STUCK, gets_stuck);
    while (standing < STUCK)
        usleep(1000);
    usleep(50000);
    while_held("kernel threads come free", release);
    many(threads + STUCK, POOLED, is_one_of_many);
    may_exit = 1;
    for (int i = 0; i < STUCK + POOLED; i++)
        join(threads[i]);
    while_held("a pool is let go", nothing);
    return 0;
}
