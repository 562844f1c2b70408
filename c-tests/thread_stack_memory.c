/* Ten thousand threads, one after another on one stack of the program's: nothing of them is kept.
 * covers: pthread_create pthread_join
 * proof: green_threads>=11000 parks>=1000
 */
#include "ctest.h"
#include <sys/mman.h>

enum { BYTES = 128 << 10, FIRST = 1000, MANY = 10000, SLACK_KB = 2 << 10 };

static void *brief(void *argument)
{
    return argument;
}

static void run(char *stack, int threads)
{
    pthread_attr_t attributes;
    CHECK_IS(pthread_attr_init(&attributes), 0);
    CHECK_IS(pthread_attr_setstack(&attributes, stack, BYTES), 0);
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        CHECK_IS(pthread_create(&thread, &attributes, brief, stack), 0);
        CHECK(join(thread) == stack);
        if (i % 10 == 0)
            usleep(1); /* parks, where the join may find the thread ended */
    }
    CHECK_IS(pthread_attr_destroy(&attributes), 0);
}

static long resident_kb(void)
{
    long pages;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) >> 10);
}

int main(void)
{
    char *stack = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED);
    run(stack, FIRST);
    long before = resident_kb();
    run(stack, MANY);
    CHECK(resident_kb() <= before + SLACK_KB);
    say("as much memory after %d threads as after %d", FIRST + MANY, FIRST);
    return 0;
}
