/* pthread_exit deep inside calls ends the thread there: its value reaches join, its cleanup handlers run innermost first.
 * covers: pthread_exit
 * proof: green_threads>=2 hooks.pthread_exit>=2
 * no_park: only main waits, for threads that may have ended before it asks
 */
#include "ctest.h"

static void cleanup(void *name)
{
    say("cleanup %s", (const char *)name);
}

__attribute__((noinline)) static int dive(volatile int depth)
{
    volatile char frame[256];
    frame[depth] = 1;
    if (depth == 0)
        pthread_exit("from the depth");
    return (depth > 0 ? dive(depth - 1) : 0) + frame[depth];
}

static void *diver(void *argument)
{
    (void)argument;
    pthread_cleanup_push(cleanup, "outer");
    pthread_cleanup_push(cleanup, "inner");
    pthread_cleanup_push(cleanup, "popped unrun");
    pthread_cleanup_pop(0);
    pthread_cleanup_push(cleanup, "popped and run");
    pthread_cleanup_pop(1);
    dive(100);
    say("FAIL: came back");
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return "returned";
}

int main(void)
{
    say("first: %s", (char *)join(spawn(diver, NULL)));
    say("second: %s", (char *)join(spawn(diver, NULL)));
    return 0;
}
