/* A library with a libc of its own inside, as far as that makes system calls, is loaded by dlopen when threads run already: its
 * waits park.
 * covers: pthread_create
 * library: yes
 * options: inline=1
 * proof: inline==1 inline_calls>=40 green_threads>=40 green_threads_peak>=20 parks>=40 kernel_threads_peak<=14
 * processors: 4
 */
#include "inline.h"
#include <dlfcn.h>
#include <linux/futex.h>

#ifdef LIBRARY
static long own_syscall(long number, long a, long b, long c, long d)
{
    return INLINE(number, a, b, c, d);
}

/* A lock as such a libc has it: 0 free, 1 taken, 2 taken and waited for. */
void own_lock(_Atomic uint32_t *word)
{
    uint32_t now = 0;
    if (atomic_compare_exchange_strong(word, &now, 1))
        return;
    while (atomic_exchange(word, 2) != 0)
        own_syscall(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, 2, 0);
}

void own_unlock(_Atomic uint32_t *word)
{
    if (atomic_exchange(word, 0) == 2)
        own_syscall(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, 1, 0);
}

long own_read(int fd, void *bytes, unsigned long count)
{
    return own_syscall(SYS_read, fd, (long)bytes, count, 0);
}
#else
enum { THREADS = 20, TURNS = 5 };

static void (*own_lock)(_Atomic uint32_t *), (*own_unlock)(_Atomic uint32_t *);
static long (*own_read)(int, void *, unsigned long);
static _Atomic uint32_t lock;
static int counter, ends[2];

static void load(void)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 4);
    CHECK(length > 0);
    strcpy(path + length, ".so");
    void *library = dlopen(path, RTLD_NOW);
    CHECK(library);
    *(void **)&own_lock = dlsym(library, "own_lock");
    *(void **)&own_unlock = dlsym(library, "own_unlock");
    *(void **)&own_read = dlsym(library, "own_read");
    CHECK(own_lock && own_unlock && own_read);
}

static void *counts(void *argument)
{
    for (int turn = 0; turn < TURNS; turn++) {
        own_lock(&lock);
        int before = counter;
        if (turn == 0)
            nap(1); /* with the lock held: the others wait for it */
        counter = before + 1;
        own_unlock(&lock);
    }
    return argument;
}

static void *reads(void *argument)
{
    char byte = 0;
    CHECK_IS(own_read(ends[0], &byte, 1), 1);
    CHECK_IS(byte, 'x');
    return argument;
}

static void together(void *(*function)(void *), void (*meanwhile)(void))
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = spawn(function, NULL);
    meanwhile();
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
}

static void nothing(void)
{
}

static void write_all(void)
{
    char bytes[THREADS];
    nap(5);
    memset(bytes, 'x', sizeof bytes);
    CHECK_IS(write(ends[1], bytes, sizeof bytes), THREADS);
}

int main(void)
{
    in_thread(nothing);
    load();
    together(counts, nothing);
    say("counted under its lock: %d", counter);
    CHECK_IS(pipe(ends), 0);
    together(reads, write_all);
    say("each of %d threads read its byte", THREADS);
    return 0;
}
#endif
