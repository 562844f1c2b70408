/* Many threads at once make threads on stacks of their own and join them: births and deaths, in libc too, wait for one another without end.
 * covers: pthread_create pthread_join
 * proof: green_threads>=3600 parks>=900 kernel_threads_peak<=60
 * processors: 4
 */
#include "ctest.h"
#include <sys/mman.h>

enum { BYTES = 128 << 10, MAKERS = 12, ROUNDS = 100, AT_ONCE = 3 };

static void *brief(void *argument)
{
    sched_yield();
    return argument;
}

static void *makes(void *argument)
{
    pthread_t threads[AT_ONCE];
    char *stacks = mmap(NULL, AT_ONCE * BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stacks != MAP_FAILED);
    pthread_attr_t attributes;
    CHECK_IS(pthread_attr_init(&attributes), 0);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < AT_ONCE; i++) {
            CHECK_IS(pthread_attr_setstack(&attributes, stacks + i * BYTES, BYTES), 0);
            CHECK_IS(pthread_create(&threads[i], &attributes, brief, argument), 0);
        }
        for (int i = 0; i < AT_ONCE; i++)
            join(threads[i]);
    }
    CHECK_IS(pthread_attr_destroy(&attributes), 0);
    CHECK_IS(munmap(stacks, AT_ONCE * BYTES), 0);
    return argument;
}

int main(void)
{
    pthread_t makers[MAKERS];
    for (int i = 0; i < MAKERS; i++)
        makers[i] = spawn(makes, NULL);
    for (int i = 0; i < MAKERS; i++)
        join(makers[i]);
    say("%d threads on stacks of the program's", MAKERS * ROUNDS * AT_ONCE);
    return 0;
}
