/* A thread that overflows its stack ends the program by SIGSEGV, as natively; what was said before is not lost.
 * covers: pthread_create
 * proof: green_threads>=1 parks>=1 kernel_threads_peak<=10
 * processors: 4
 * stderr: the library says which stack is used up
 * exit: signal 11
 */
#include "ctest.h"
#include <sys/resource.h>

__attribute__((noinline)) static int dive(volatile int depth)
{
    volatile char frame[1024];
    frame[depth & 1023] = 1;
    return (depth >= 0 ? dive(depth + 1) : 0) + frame[depth & 1023];
}

static void *overflows(void *argument)
{
    nap(1);
    say("a thread dives until its stack ends");
    return (void *)(intptr_t)dive((intptr_t)argument);
}

int main(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    join(spawn(overflows, NULL));
    say("FAIL: the stack had no end");
    return 1;
}
