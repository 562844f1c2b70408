/* exit while other threads create, join and end threads without pause: the program ends, with its status, and its handlers ran.
 * covers: exit pthread_create
 * proof: green_threads>=160 parks>=70
 * exit: 7
 */
#include "ctest.h"

/* The first threads are made with a pause after each, in which their maker parks; all others without. */
enum { PAUSED = 80, IN_ALL = 160 };
static atomic_int created;

static void *ends(void *argument)
{
    return argument;
}

static void *creates(void *argument)
{
    for (int i = 0;; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, ends, NULL) != 0)
            continue;
        if (created++ < PAUSED)
            usleep(1);
        if (i % 2)
            pthread_join(thread, NULL);
        else
            pthread_detach(thread);
    }
    return argument;
}

static void handler(void)
{
    say("the handler ran");
}

int main(void)
{
    atexit(handler);
    for (int i = 0; i < 4; i++)
        spawn(creates, NULL);
    while (created < IN_ALL)
        nap(1);
    exit(7);
}
