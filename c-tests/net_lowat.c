/* SO_RCVLOWAT: a blocked receive waits until so many bytes are there, though fewer could be had without waiting.
 * covers: setsockopt recv read
 * proof: green_threads>=4 parks>=1 hooks.recv>=2 hooks.setsockopt>=2
 */
#include "sockets.h"

static int fd[2];

static void *pieces(void *unused)
{
    for (int i = 0; i < 4; i++) {
        nap(2);
        transmit(fd[1], "x");
    }
    return unused;
}

static void subject(const char *kind)
{
    char text[16];
    CHECK_IS(setsockopt(fd[0], SOL_SOCKET, SO_RCVLOWAT, &(int){4}, sizeof(int)), 0);
    pthread_t thread = spawn(pieces, NULL);
    CHECK_IS(recv(fd[0], text, sizeof text, 0), 4);
    join(thread);
    thread = spawn(pieces, NULL);
    CHECK_IS(read(fd[0], text, sizeof text), 4);
    join(thread);
    transmit(fd[1], "ab");
    while (recv(fd[0], text, sizeof text, MSG_DONTWAIT | MSG_PEEK) != 2)
        nap(1);
    CHECK_IS(recv(fd[0], text, sizeof text, MSG_DONTWAIT), 2);
    transmit(fd[1], "c");
    shutdown(fd[1], SHUT_WR);
    CHECK_IS(recv(fd[0], text, sizeof text, 0), 1);
    CHECK_IS(recv(fd[0], text, sizeof text, 0), 0);
    say("%s: 4 at least, fewer with MSG_DONTWAIT and before the end", kind);
    close_pair(fd);
}

static void all(void)
{
    tcp_pair(fd);
    subject("TCP");
    unix_pair(SOCK_STREAM, fd);
    subject("unix");
}

int main(void)
{
    in_thread(all);
    return 0;
}
