/* A socket shared with a forked child: who reads first has the byte, closing or shutting one's copy, and the child's end, leave the
 * parent's blocked calls alone, and the child's own threads wait as well as the parent's.
 * covers: recv send close
 * proof: green_threads>=4 parks>=1 hooks.recv>=2
 */
#include "sockets.h"

static int fd[2], back[2];

static void *blocked_recv(void *unused)
{
    receive(fd[0], "before, after");
    return unused;
}

static void child_closes(void)
{
    close_pair(fd);
}

static void *child_thread(void *unused)
{
    receive(back[0], "to the child's thread");
    return unused;
}

static void child_talks(void)
{
    pthread_t thread = spawn(child_thread, NULL);
    transmit(fd[1], ", af");
    transmit(back[1], "to the child's thread");
    join(thread);
    transmit(fd[1], "ter");
}

static void parent_blocked(void)
{
    pthread_t thread = spawn(blocked_recv, NULL);
    transmit(fd[1], "before");
    wait_taken(fd[0]);
    CHECK_IS(in_child(child_closes), 0);
    CHECK_IS(in_child(child_talks), 0);
    join(thread);
    say("a child closed its copies and ended, another sent: the reader has all");
}

static void take_one(void)
{
    char text[8] = "";
    CHECK_IS(recv(fd[0], text, sizeof text, 0), 1);
    transmit(back[1], text);
}

static void *take_datagrams(void *unused)
{
    char text[8];
    intptr_t count = 0;
    while (recv(fd[0], text, sizeof text, 0) == 1)
        count++;
    (void)unused;
    return (void *)count;
}

static void *child_takes(void *unused)
{
    CHECK_IS(in_child(take_one), 0);
    return unused;
}

/* Two datagrams are sent, one more when the child says that it has one: the readers share them and none is lost. */
static void competing(void)
{
    unix_pair(SOCK_DGRAM, fd);
    pthread_t process = spawn(child_takes, NULL), thread = spawn(take_datagrams, NULL);
    char text[8];
    int sent = 0;
    do {
        transmit(fd[1], "x");
        sent++;
        nap(1);
    } while (recv(back[0], text, 1, MSG_DONTWAIT) < 0);
    join(process);
    CHECK_IS(send(fd[1], "", 0, 0), 0);
    intptr_t taken = (intptr_t)join(thread);
    CHECK_IS(taken, sent - 1);
    say("the child took one datagram, the parent's thread all others");
    close_pair(fd);
}

static void shut(void)
{
    CHECK_IS(shutdown(fd[0], SHUT_RD), 0);
}

static void *reads_end(void *unused)
{
    char text[8];
    CHECK_IS(recv(fd[0], text, 2, MSG_WAITALL), 1);
    say("the child's shutdown woke the parent's reader");
    return unused;
}

int main(void)
{
    unix_pair(SOCK_STREAM, back);
    tcp_pair(fd);
    parent_blocked();
    close_pair(fd);
    competing();
    unix_pair(SOCK_STREAM, fd);
    pthread_t thread = spawn(reads_end, NULL);
    transmit(fd[1], "x");
    wait_taken(fd[0]);
    CHECK_IS(in_child(shut), 0);
    join(thread);
    close_pair(fd);
    return 0;
}
