/* The fortified receiving calls and the aliases of send: as the plain ones, and a buffer smaller than the count ends the process.
 * covers: __recv_chk __recvfrom_chk __send
 * cflags: -O2 -D_FORTIFY_SOURCE=2
 * proof: green_threads>=2 parks>=1 hooks.__recv_chk>=1 hooks.__recvfrom_chk>=1 hooks.__send>=2
 * needs: fortify
 */
#include "sockets.h"

extern ssize_t __send(int, const void *, size_t, int);

static int fd[2];
static volatile size_t count;

static void *sender(void *unused)
{
    nap(2);
    CHECK_IS(__send(fd[1], "hello", 5, 0), 5);
    wait_taken(fd[0]);
    CHECK_IS(__send(fd[1], "world", 5, MSG_NOSIGNAL), 5);
    return unused;
}

static void fits(void)
{
    char text[8] = "";
    pthread_t thread = spawn(sender, NULL);
    count = 5;
    CHECK_IS(recv(fd[0], text, count, 0), 5);
    say("recv: %s", text);
    CHECK_IS(recvfrom(fd[0], text, count, MSG_WAITALL, NULL, NULL), 5);
    say("recvfrom: %s", text);
    CHECK_FAILS(recv(fd[0], text, count, MSG_DONTWAIT), EAGAIN);
    CHECK_FAILS(recvfrom(-1, text, count, 0, NULL, NULL), EBADF);
    join(thread);
}

static void recv_overflow(void)
{
    char text[8];
    close(STDERR_FILENO);
    count = 9;
    recv(fd[0], text, count, MSG_DONTWAIT);
}

static void recvfrom_overflow(void)
{
    char text[8];
    close(STDERR_FILENO);
    count = 9;
    recvfrom(fd[0], text, count, MSG_DONTWAIT, NULL, NULL);
}

static void overflow(void (*function)(void), const char *what)
{
    int status = in_child(function);
    CHECK(WIFSIGNALED(status));
    say("%s, 9 bytes into 8: SIG%s", what, sigabbrev_np(WTERMSIG(status)));
}

int main(void)
{
    tcp_pair(fd);
    in_thread(fits);
    overflow(recv_overflow, "recv");
    overflow(recvfrom_overflow, "recvfrom");
    return 0;
}
