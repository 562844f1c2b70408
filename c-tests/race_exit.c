/* exit while other threads create, join and end threads without pause: the program ends, with its status, and its handlers ran.
 * covers: exit pthread_create
 * proof: green_threads>=50 parks>=70
 * exit: 7
 */
#include "ctest.h"

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
        created++;
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
    while (created < 50)
        nap(1);
    exit(7);
}
