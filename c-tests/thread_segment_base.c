/* The base of the GS segment is a thread's own, however it is set: kept while others run, inherited by the threads and the processes
 * that it makes.
 * covers: arch_prctl sched_yield
 * proof: green_threads>=5 hooks.arch_prctl>=4 parks>=1
 */
#include "ctest.h"
#include <asm/prctl.h>
#include <sys/syscall.h>

extern int arch_prctl(int code, unsigned long address);

enum { ROUNDS = 200 };

static long blocks[4][8];

static unsigned long base(void)
{
    unsigned long base;
    CHECK_IS(syscall(SYS_arch_prctl, ARCH_GET_GS, &base), 0);
    return base;
}

static void *inherits(void *of_creator)
{
    CHECK_IS(base(), of_creator);
    nap(1);
    CHECK_IS(base(), of_creator);
    return NULL;
}

static unsigned long wanted;

static void forked(void)
{
    CHECK_IS(base(), wanted);
}

static void *keeps(void *own)
{
    long number = (long *)own - blocks[0];
    if (number % 16)
        CHECK_IS(arch_prctl(ARCH_SET_GS, (unsigned long)own), 0);
    else
        CHECK_IS(syscall(SYS_arch_prctl, ARCH_SET_GS, own), 0);
    *(long *)own = number;
    for (int round = 0; round < ROUNDS; round++) {
        long seen;
        sched_yield();
        __asm__ volatile("mov %%gs:0, %0" : "=r"(seen));
        CHECK_IS(seen, number);
    }
    nap(1);
    CHECK_IS(base(), own);
    join(spawn(inherits, own));
    return NULL;
}

static void *never_set(void *argument)
{
    for (int round = 0; round < ROUNDS; round++) {
        sched_yield();
        CHECK_IS(base(), 0);
    }
    return argument;
}

static void *forks(void *own)
{
    wanted = (unsigned long)own;
    CHECK_IS(arch_prctl(ARCH_SET_GS, wanted), 0);
    CHECK_IS(in_child(forked), 0);
    return NULL;
}

int main(void)
{
    pthread_t threads[4], never = spawn(never_set, NULL);
    unsigned long nothing;
    for (int i = 0; i < 4; i++)
        threads[i] = spawn(keeps, blocks[i]);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    join(never);
    join(spawn(forks, blocks[0]));
    CHECK_IS(base(), 0);
    CHECK_FAILS(arch_prctl(0, 0), EINVAL);
    CHECK_FAILS(arch_prctl(ARCH_SET_GS, -1), EPERM);
    CHECK_IS(arch_prctl(ARCH_GET_GS, (unsigned long)&nothing), 0);
    CHECK_IS(nothing, 0);
    say("each thread's base is its own");
    return 0;
}
