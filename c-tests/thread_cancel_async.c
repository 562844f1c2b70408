/* Asynchronous cancellation ends a thread that computes and calls nothing, one that does nothing but yield, and one that is blocked.
 * covers: pthread_setcanceltype pthread_cancel
 * proof: green_threads>=3 parks>=2 hooks.pthread_cancel>=3
 */
#include "ctest.h"

static atomic_bool running, cleaned;
static int quiet_pipe[2];

static void cleanup(void *argument)
{
    (void)argument;
    cleaned = true;
}

static void *computes(void *argument)
{
    volatile unsigned long count = 0;
    pthread_cleanup_push(cleanup, NULL);
    CHECK_IS(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL), 0);
    running = true;
    do
        count = count + 1;
    while (count);
    pthread_cleanup_pop(0);
    return argument;
}

static void *yields(void *argument)
{
    pthread_cleanup_push(cleanup, NULL);
    CHECK_IS(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL), 0);
    running = true;
    for (;;)
        sched_yield();
    pthread_cleanup_pop(0);
    return argument;
}

static void *reads(void *argument)
{
    char byte;
    pthread_cleanup_push(cleanup, NULL);
    CHECK_IS(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL), 0);
    running = true;
    if (read(quiet_pipe[0], &byte, 1) < 0)
        say("FAIL: read came back");
    pthread_cleanup_pop(0);
    return argument;
}

static void end(const char *what, void *(*function)(void *))
{
    running = cleaned = false;
    pthread_t thread = spawn(function, NULL);
    while (!running)
        sched_yield();
    CHECK_IS(pthread_cancel(thread), 0);
    CHECK(join(thread) == PTHREAD_CANCELED);
    CHECK(cleaned);
    say("%s: cancelled", what);
}

int main(void)
{
    CHECK_IS(pipe(quiet_pipe), 0);
    end("a thread that computes", computes);
    end("a thread that yields", yields);
    end("a thread that reads", reads);
    return 0;
}
