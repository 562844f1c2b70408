/* The program's own allocator has one mutex and fork handlers, registered in its first call, which may be before anybody's: threads
 * allocate while others fork by fork and _Fork. Its handlers wait parked, and nothing that others need is held meanwhile.
 * covers: fork _Fork waitpid
 * proof: green_threads>=14 parks>=50 hooks.fork>=60 hooks._Fork>=60
 * cflags: -fno-builtin -Wl,--no-as-needed -ldl
 */
#include "ctest.h"
#include <dlfcn.h>
#include <sched.h>

enum { ALLOCATE = 8, FORK = 6, ROUNDS = 20 };

extern void *__libc_malloc(size_t);
extern void __libc_free(void *);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_int stop, begun;
static __thread int depth;

static void lock(void)
{
    if (depth++ == 0)
        pthread_mutex_lock(&mutex);
}

static void unlock(void)
{
    if (--depth == 0)
        pthread_mutex_unlock(&mutex);
}

void *malloc(size_t size)
{
    if (!begun++)
        pthread_atfork(lock, unlock, unlock);
    lock();
    void *block = __libc_malloc(size);
    if (size > 8000)
        sched_yield();
    unlock();
    return block;
}

void free(void *block)
{
    lock();
    __libc_free(block);
    unlock();
}

static void *allocate(void *argument)
{
    void *blocks[200];
    while (!stop) {
        for (int i = 0; i < 200; i++)
            blocks[i] = malloc(64 + i * 37 % 9000);
        for (int i = 0; i < 200; i++)
            free(blocks[i]);
        usleep(1);
    }
    return argument;
}

static void *forks(void *number)
{
    for (int i = 0; i < ROUNDS; i++) {
        int status;
        pid_t child = (i + (intptr_t)number) % 2 ? _Fork() : fork();
        if (child == 0)
            _exit(0);
        CHECK(child > 0);
        CHECK_IS(waitpid(child, &status, 0), child);
        CHECK_IS(status, 0);
    }
    return NULL;
}

int main(void)
{
    pthread_t allocators[ALLOCATE], forkers[FORK];
    free(malloc(1));
    for (int i = 0; i < ALLOCATE; i++)
        allocators[i] = spawn(allocate, NULL);
    for (intptr_t i = 0; i < FORK; i++)
        forkers[i] = spawn(forks, (void *)i);
    for (int i = 0; i < FORK; i++)
        join(forkers[i]);
    stop = 1;
    for (int i = 0; i < ALLOCATE; i++)
        join(allocators[i]);
    say("done");
    return 0;
}
