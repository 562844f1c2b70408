/* close races with a recv of the same descriptor: the recv gets the data of its own file or EBADF, never another file's data.
 * covers: recv close send socketpair
 * proof: green_threads>=60 parks>=60
 */
#include "ctest.h"
#include <sys/socket.h>

enum { ROUNDS = 60 };

static atomic_bool entering;

static void *receives(void *fd)
{
    char byte = 0;
    entering = true;
    ssize_t got = recv((intptr_t)fd, &byte, 1, 0);
    /* Closed before the call, taken by the new file before the call, or the old file's byte. */
    CHECK((got < 0 && errno == EBADF) || (got == 1 && (byte == 'o' || byte == 'n')));
    return (void *)(intptr_t)byte;
}

int main(void)
{
    int old[2], other[2], saw_old = 0;
    for (int round = 0; round < ROUNDS; round++) {
        CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, old), 0);
        CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, other), 0);
        entering = false;
        pthread_t thread = spawn(receives, (void *)(intptr_t)old[0]);
        while (!entering)
            sched_yield();
        if (round % 3 == 0)
            nap(1); /* long enough in the wait, nearly always */
        if (round % 2)
            close(old[0]);
        else
            CHECK_IS(dup2(other[0], old[0]), old[0]);
        CHECK_IS(send(old[1], "o", 1, MSG_NOSIGNAL) == 1 || errno == EPIPE, true);
        if (round % 2 == 0)
            CHECK_IS(send(other[1], "n", 1, 0), 1);
        saw_old += (intptr_t)join(thread) == 'o';
        close(old[1]);
        if (round % 2 == 0)
            close(old[0]);
        close(other[0]);
        close(other[1]);
    }
    CHECK(saw_old > 0);
    say("%d rounds: each recv ended, with its own file's byte or as a call made later", ROUNDS);
    return 0;
}
