/* exit called by a thread while main is blocked in join: handlers run on that thread, before its own storage goes.
 * covers: exit pthread_join
 * proof: green_threads>=2 parks>=1
 * exit: 4
 */
#include "ctest.h"

static __thread int number = 42;
static pthread_t exiting;
static pthread_key_t key;

static void handler(void)
{
    CHECK(pthread_equal(pthread_self(), exiting));
    CHECK_IS(number, 7);
    say("the handler runs on the thread that called exit");
}

static void key_destructor(void *argument)
{
    say("FAIL: the thread did not end by itself (%d)", argument != NULL);
}

static void *blocked(void *argument)
{
    for (;;)
        pause();
    return argument;
}

static void *exits(void *argument)
{
    exiting = pthread_self();
    number = 7;
    CHECK_IS(pthread_setspecific(key, &number), 0);
    nap(1);
    exit(4);
    return argument;
}

int main(void)
{
    CHECK_IS(pthread_key_create(&key, key_destructor), 0);
    atexit(handler);
    pthread_t first = spawn(blocked, NULL);
    spawn(exits, NULL);
    join(first);
    return 1;
}
