/* calls [sliced]: the waits that a program makes by the interface itself: in contexts, in the loop, in another thread, and before there is
 * a runtime.
 */
#define _GNU_SOURCE
#include "loop.h"
#include <poll.h>
#include <pthread.h>

static int ends[2];
static bool has_run;
static long turns;

static void waits(long unused)
{
    (void)unused;
    char byte;
    errno = 1000;
    CHECK(gp_wait_fd(ends[0], POLLIN, 1000000) == 0 && errno == 1000);
    while (!has_run)
        gp_yield();
    CHECK(errno == 1000 && gp_wait_fd(ends[0], POLLIN, -1) == POLLIN && read(ends[0], &byte, 1) == 1);
    CHECK(gp_wait_fd(ends[1], POLLOUT, -1) == POLLOUT && gp_wait_fd(1000, POLLIN, -1) == POLLNVAL);
    turns++;
}

static void runs(long unused)
{
    (void)unused;
    double began = now();
    CHECK(gp_sleep(5000000) == 0 && now() - began >= 0.005);
    has_run = true;
    gp_yield();
    CHECK(write(ends[1], "x", 1) == 1);
    turns++;
}

static void *asks(void *unused)
{
    char byte;
    CHECK(write(ends[1], "x", 1) == 1 && gp_wait_fd(ends[0], POLLIN, -1) == POLLIN && read(ends[0], &byte, 1) == 1);
    CHECK(gp_wait_fd(ends[0], POLLIN, 1000000) == 0 && gp_sleep(1000000) == 0);
    gp_yield();
    turns++;
    return unused;
}

int main(int count, char **words)
{
    (void)words;
    is_sliced = count > 1;
    CHECK(pipe(ends) == 0);
    asks(NULL);
    lend();
    spawn(waits, 0), spawn(runs, 0);
    run();
    CHECK(lent() >= 4);
    pthread_t other;
    CHECK(pthread_create(&other, NULL, asks, NULL) == 0 && pthread_join(other, NULL) == 0);
    asks(NULL);
    printf("%ld turns\n", turns);
    return 0;
}
