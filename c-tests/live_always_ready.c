/* Threads whose input is always ready, so that they never wait, do not starve the others: a ticker ticks, another pair makes its rounds.
 * covers: send recv read write
 * proof: green_threads>=4 parks>=5
 */
#include "ctest.h"
#include <sys/socket.h>

static atomic_int ticks, rounds;

static bool go_on(void)
{
    return ticks < 5 || rounds < 20;
}

/* One end of a socket pair alone: what it sends it could always receive at once. */
static void *never_waits(void *argument)
{
    int own[2];
    char text[16] = "always ready";
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, own), 0);
    while (go_on()) {
        CHECK_IS(argument ? send(own[0], text, sizeof text, 0) : write(own[0], text, sizeof text), sizeof text);
        CHECK_IS(argument ? recv(own[1], text, sizeof text, 0) : read(own[1], text, sizeof text), sizeof text);
    }
    return NULL;
}

static void *ticker(void *argument)
{
    while (go_on()) {
        nap(1);
        ticks++;
    }
    return argument;
}

static void *answers(void *fd)
{
    char byte;
    while (recv((intptr_t)fd, &byte, 1, 0) == 1)
        CHECK_IS(send((intptr_t)fd, &byte, 1, 0), 1);
    return NULL;
}

int main(void)
{
    int pair[2];
    char byte = 'x';
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    pthread_t threads[4] = {spawn(never_waits, NULL), spawn(never_waits, pair), spawn(ticker, NULL),
                            spawn(answers, (void *)(intptr_t)pair[1])};
    for (int i = 0; i < 20; i++) {
        CHECK_IS(send(pair[0], &byte, 1, 0), 1);
        CHECK_IS(recv(pair[0], &byte, 1, 0), 1);
        rounds++;
    }
    close(pair[0]);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    say("ticks and rounds beside two threads that never wait");
    return 0;
}
