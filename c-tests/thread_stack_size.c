/* Stacks are as deep as asked for: recursion uses most of a small, a default and a large one, twice each.
 * covers: pthread_create
 * proof: green_threads>=6
 * no_park: only main waits, for threads that may have ended before it asks
 */
#include "ctest.h"

enum { FRAME_BYTES = 4096 };

__attribute__((noinline)) static long dive(long frames)
{
    volatile char frame[FRAME_BYTES - 128];
    frame[0] = frames % 100;
    long deeper = frames > 1 ? dive(frames - 1) : 0;
    return deeper + frame[0];
}

static void *use_most(void *bytes)
{
    return (void *)dive((intptr_t)bytes / FRAME_BYTES);
}

static void use_stack(const char *what, size_t stack_bytes, size_t used_bytes)
{
    pthread_attr_t attributes;
    size_t told = 0;
    CHECK_IS(pthread_attr_init(&attributes), 0);
    if (stack_bytes) {
        CHECK_IS(pthread_attr_setstacksize(&attributes, stack_bytes), 0);
        CHECK_IS(pthread_attr_getstacksize(&attributes, &told), 0);
        CHECK_IS(told, stack_bytes);
    }
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        CHECK_IS(pthread_create(&thread, &attributes, use_most, (void *)used_bytes), 0);
        CHECK(join(thread) != NULL);
    }
    CHECK_IS(pthread_attr_destroy(&attributes), 0);
    say("%s stack: recursion through %zu KiB of it", what, used_bytes >> 10);
}

int main(void)
{
    use_stack("a small", 128 << 10, 96 << 10);
    use_stack("the default", 0, 4 << 20);
    use_stack("a large", 64 << 20, 12 << 20);
    return 0;
}
