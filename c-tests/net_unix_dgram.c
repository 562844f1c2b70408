/* Unix datagrams and packets: a full queue blocks the senders, who get through one by one; a receiver that goes away refuses them.
 * covers: sendto send recv recvfrom connect
 * proof: green_threads>=10 parks>=2 hooks.sendto>=20 hooks.recv>=20 kernel_threads_peak<=22
 * processors: 4
 */
#include "sockets.h"

enum { SENDERS = 10, EACH = 20 };
static struct sockaddr_un name;
static socklen_t size;
static int receiver;

static void *sender(void *number)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    int record[2] = {(int)(intptr_t)number, 0};
    for (; record[1] < EACH; record[1]++)
        CHECK_IS(sendto(fd, record, sizeof record, 0, (struct sockaddr *)&name, size), sizeof record);
    close(fd);
    return NULL;
}

static void many_senders(void)
{
    pthread_t thread[SENDERS];
    int record[2], next[SENDERS] = {0};
    for (int i = 0; i < SENDERS; i++)
        thread[i] = spawn(sender, (void *)(intptr_t)i);
    for (int i = 0; i < SENDERS * EACH; i++) {
        CHECK_IS(recv(receiver, record, sizeof record, 0), sizeof record);
        CHECK_IS(record[1], next[record[0]]++);
        if (i % 8 == 0)
            sched_yield();
    }
    for (int i = 0; i < SENDERS; i++)
        join(thread[i]);
    say("%d senders, %d datagrams each, in order", SENDERS, EACH);
}

static void *until_refused(void *fd)
{
    while (send(*(int *)fd, "x", 1, 0) == 1)
        continue;
    CHECK(errno == ECONNREFUSED);
    say("the receiver went: the blocked sender has ECONNREFUSED");
    return NULL;
}

static void receiver_goes(void)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_IS(connect(fd, (struct sockaddr *)&name, size), 0);
    pthread_t thread = spawn(until_refused, &fd);
    nap(5);
    close(receiver);
    join(thread);
    CHECK_FAILS(sendto(fd, "x", 1, 0, (struct sockaddr *)&name, size), ECONNREFUSED);
    close(fd);
}

static void *packets(void *fd)
{
    transmit(*(int *)fd, "first");
    transmit(*(int *)fd, "second");
    close(*(int *)fd);
    return NULL;
}

static void sequenced(void)
{
    int fd[2];
    char text[16] = "";
    unix_pair(SOCK_SEQPACKET, fd);
    pthread_t thread = spawn(packets, &fd[1]);
    CHECK_IS(recv(fd[0], text, sizeof text, 0), 5);
    CHECK_IS(recvfrom(fd[0], text, sizeof text, MSG_WAITALL, NULL, NULL), 6);
    CHECK_IS(recv(fd[0], text, sizeof text, 0), 0);
    join(thread);
    say("SOCK_SEQPACKET: packets keep their bounds, then the end");
    close(fd[0]);
}

int main(void)
{
    receiver = unix_bound(SOCK_DGRAM, &name, &size);
    in_thread(many_senders);
    in_thread(receiver_goes);
    in_thread(sequenced);
    return 0;
}
