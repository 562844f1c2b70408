/* A thread runs on the stack its program brought; after the join the program may unmap that stack or use it again.
 * covers: pthread_create pthread_join pthread_getattr_np
 * proof: green_threads>=17
 * no_park: only main waits, for threads that may have ended before it asks
 */
#include "ctest.h"
#include <sys/mman.h>

enum { BYTES = 256 << 10 };

static __thread int number = 42;

static void *on_own_stack(void *argument)
{
    char *low = argument, local;
    CHECK(&local >= low && &local < low + BYTES);
    CHECK((char *)&number >= low && (char *)&number < low + BYTES); /* glibc puts TLS on top of it */
    CHECK_IS(number, 42);
    number = 1;

    pthread_attr_t attributes;
    void *told;
    size_t bytes;
    CHECK_IS(pthread_getattr_np(pthread_self(), &attributes), 0);
    CHECK_IS(pthread_attr_getstack(&attributes, &told, &bytes), 0);
    CHECK(told == low);
    CHECK_IS(bytes, BYTES);
    CHECK_IS(pthread_attr_destroy(&attributes), 0);
    nap(0);
    return argument;
}

static void run_on(char *stack)
{
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK_IS(pthread_attr_init(&attributes), 0);
    CHECK_IS(pthread_attr_setstack(&attributes, stack, BYTES), 0);
    CHECK_IS(pthread_create(&thread, &attributes, on_own_stack, stack), 0);
    CHECK(join(thread) == stack);
    CHECK_IS(pthread_attr_destroy(&attributes), 0);
}

static char *map_stack(void)
{
    char *stack = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED);
    return stack;
}

static atomic_int runs_as;

static void *detached(void *argument)
{
    runs_as = gettid();
    nap(0);
    return argument;
}

/* Nobody joins a detached thread: its stack is free when its tid is nobody's. */
static void run_detached_on(char *stack)
{
    pthread_attr_t attributes;
    pthread_t thread;
    runs_as = 0;
    CHECK_IS(pthread_attr_init(&attributes), 0);
    CHECK_IS(pthread_attr_setstack(&attributes, stack, BYTES), 0);
    CHECK_IS(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED), 0);
    CHECK_IS(pthread_create(&thread, &attributes, detached, stack), 0);
    CHECK_IS(pthread_attr_destroy(&attributes), 0);
    while (!runs_as || tgkill(getpid(), runs_as, 0) == 0)
        sched_yield();
}

int main(void)
{
    char *stack = map_stack();
    for (int i = 0; i < 4; i++)
        run_on(stack);
    say("one stack, four threads one after another");

    for (int i = 0; i < 4; i++) {
        memset(stack, 0xa5, BYTES); /* nothing may be left running on it */
        run_on(stack);
    }
    say("wiped in between");

    for (int i = 0; i < 4; i++)
        run_detached_on(stack);
    run_on(stack);
    say("after detached threads");

    CHECK_IS(munmap(stack, BYTES), 0);
    for (int i = 0; i < 4; i++) {
        stack = map_stack();
        run_on(stack);
        CHECK_IS(munmap(stack, BYTES), 0);
    }
    say("unmapped right after each join");
    return 0;
}
