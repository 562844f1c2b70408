/* A SIGPIPE that its thread blocks stays that thread's: pending there, over waits, and no other thread dies of it.
 * covers: write send sigpending sigtimedwait pthread_sigmask
 * proof: green_threads>=4 parks>=4
 */
#include "ctest.h"
#include <sys/socket.h>

static atomic_bool stop;
static sigset_t pipe_only;

static void *open_to_it(void *argument)
{
    while (!stop) {
        nap(1);
        sched_yield();
    }
    return argument;
}

static bool pending(void)
{
    sigset_t set;
    CHECK_IS(sigpending(&set), 0);
    return sigismember(&set, SIGPIPE);
}

static void breaks(bool by_send, bool by_stdio)
{
    int ends[2];
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    close(ends[0]);
    if (by_stdio) {
        FILE *stream = fdopen(ends[1], "w");
        CHECK(stream != NULL);
        CHECK_IS(fputs("x", stream), 1);
        CHECK_FAILS(fflush(stream), EPIPE);
        fclose(stream);
        return;
    }
    if (by_send)
        CHECK_FAILS(send(ends[1], "x", 1, 0), EPIPE);
    else
        CHECK_FAILS(write(ends[1], "x", 1), EPIPE);
    close(ends[1]);
}

static void *blocks_it(void *argument)
{
    siginfo_t info;
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &pipe_only, NULL), 0);
    for (int i = 0; i < 2; i++) {
        breaks(i == 1, false);
        nap(2); /* others run here meanwhile */
        CHECK(pending());
        CHECK_IS(sigtimedwait(&pipe_only, &info, &(struct timespec){0, 0}), SIGPIPE);
        CHECK(!pending());
    }
    breaks(false, true);
    nap(2);
    breaks(false, false); /* left pending at the end */
    return argument;
}

int main(void)
{
    pthread_t others[3];
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    for (int i = 0; i < 3; i++)
        others[i] = spawn(open_to_it, NULL);
    for (int i = 0; i < 3; i++)
        join(spawn(blocks_it, NULL));
    say("SIGPIPE, blocked: pending for the thread that wrote");
    stop = true;
    for (int i = 0; i < 3; i++)
        join(others[i]);
    say("the others live");
    return 0;
}
