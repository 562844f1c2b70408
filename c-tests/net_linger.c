/* SO_LINGER: close waits until the peer has taken what was sent, while the thread that reads it goes on.
 * covers: close setsockopt send recv
 * proof: green_threads>=3 parks>=1 hooks.close>=1 hooks.setsockopt>=1
 */
#include "sockets.h"

static int fd[2];
static atomic_bool reading;

static void *closer(void *unused)
{
    CHECK_IS(close(fd[0]), 0);
    CHECK(atomic_load(&reading));
    return unused;
}

static void *reader(void *length)
{
    static char buffer[1 << 16];
    size_t total = 0;
    ssize_t got;
    nap(5);
    atomic_store(&reading, true);
    while ((got = recv(fd[1], buffer, sizeof buffer, 0)) > 0)
        total += got;
    CHECK_IS(got, 0);
    CHECK_IS(total, *(size_t *)length);
    return NULL;
}

static void all(void)
{
    tcp_pair(fd);
    small_buffers(fd);
    CHECK_IS(setsockopt(fd[0], SOL_SOCKET, SO_LINGER, &(struct linger){1, 60}, sizeof(struct linger)), 0);
    size_t sent = fill(fd[0]);
    pthread_t closing = spawn(closer, NULL), other = spawn(reader, &sent);
    join(closing);
    join(other);
    say("close waited for the reader, who has it all");
    close(fd[1]);
}

int main(void)
{
    in_thread(all);
    return 0;
}
