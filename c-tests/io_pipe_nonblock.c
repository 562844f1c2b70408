/* O_NONBLOCK on pipes, one end at a time: EAGAIN, what fits, and the other end goes on blocking; switched while a reader is blocked.
 * covers: read write fcntl readv writev
 * proof: green_threads>=2 parks>=1 hooks.read>=3 hooks.write>=3
 */
#include "ctest.h"
#include <sys/uio.h>

static int end[2];
static char block[1 << 20];

static void *drain(void *unused)
{
    static char buffer[1 << 16];
    ssize_t got;
    while ((got = read(end[0], buffer, sizeof buffer)) > 0)
        continue;
    CHECK_IS(got, 0);
    return unused;
}

static void ends(void)
{
    struct iovec part = {block, sizeof block};
    CHECK_IS(pipe2(end, O_NONBLOCK), 0);
    CHECK_FAILS(read(end[0], block, 1), EAGAIN);
    CHECK_FAILS(readv(end[0], &part, 1), EAGAIN);
    ssize_t some = write(end[1], block, sizeof block);
    CHECK(some > 0 && some < (ssize_t)sizeof block);
    CHECK_FAILS(write(end[1], block, 1), EAGAIN);
    CHECK_FAILS(writev(end[1], &part, 1), EAGAIN);
    say("both ends: EAGAIN, what fits, EAGAIN");
    CHECK_IS(fcntl(end[0], F_SETFL, 0), 0);
    CHECK_IS(fcntl(end[1], F_GETFL), O_WRONLY | O_NONBLOCK);
    pthread_t thread = spawn(drain, NULL);
    for (size_t total = 0; total < sizeof block;) {
        ssize_t written = write(end[1], block + total, sizeof block - total);
        CHECK(written > 0 || errno == EAGAIN);
        if (written > 0)
            total += written;
        else
            CHECK_IS(poll(&(struct pollfd){end[1], POLLOUT, 0}, 1, -1), 1);
    }
    say("a non-blocking writer and a blocking reader");
    CHECK_IS(fcntl(end[0], F_SETFL, O_NONBLOCK), 0);
    CHECK_IS(fcntl(end[0], F_SETFL, 0), 0);
    CHECK_IS(fcntl(end[1], F_SETFL, 0), 0);
    CHECK_IS(write(end[1], block, sizeof block), sizeof block);
    close(end[1]);
    join(thread);
    say("a blocking writer: the whole");
    CHECK_IS(fcntl(end[0], F_GETFL), O_RDONLY);
    close(end[0]);
}

int main(void)
{
    in_thread(ends);
    return 0;
}
