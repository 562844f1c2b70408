/* sendmmsg and recvmmsg: several datagrams a call, blocking in the middle; the timeout is looked at after each datagram only.
 * covers: recvmmsg sendmmsg
 * proof: green_threads>=2 parks>=2 hooks.recvmmsg>=5 hooks.sendmmsg>=2
 */
#include "sockets.h"

enum { COUNT = 4, MANY = 100 };
static int fd[2];
static char text[MANY][8];
static struct iovec part[MANY];
static struct mmsghdr messages[MANY];

static struct mmsghdr *fresh(void)
{
    for (int i = 0; i < MANY; i++) {
        part[i] = (struct iovec){text[i], sizeof text[i]};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &part[i], .msg_iovlen = 1}};
        memset(text[i], 0, sizeof text[i]);
    }
    return messages;
}

static void *one_by_one(void *unused)
{
    for (int i = 0; i < COUNT; i++) {
        wait_taken(fd[0]);
        transmit(fd[1], (char[]){'0' + i, 0});
    }
    return unused;
}

/* "early" is there before: on a busy machine this may begin late. */
static void *with_a_pause(void *milliseconds)
{
    wait_taken(fd[0]);
    nap((intptr_t)milliseconds);
    transmit(fd[1], "late");
    return NULL;
}

static void receiving(void)
{
    pthread_t sender = spawn(one_by_one, NULL);
    CHECK_IS(recvmmsg(fd[0], fresh(), COUNT, 0, NULL), COUNT);
    say("waited for all: %s %s %s %s, lengths %u %u %u %u", text[0], text[1], text[2], text[3], messages[0].msg_len,
        messages[1].msg_len, messages[2].msg_len, messages[3].msg_len);
    join(sender);

    CHECK_FAILS(recvmmsg(fd[0], fresh(), COUNT, MSG_DONTWAIT, NULL), EAGAIN);
    transmit(fd[1], "a");
    transmit(fd[1], "b");
    CHECK_IS(recvmmsg(fd[0], fresh(), COUNT, MSG_DONTWAIT, NULL), 2);
    say("MSG_DONTWAIT: EAGAIN, then the two that are there");
    sender = spawn(one_by_one, NULL);
    CHECK_IS(recvmmsg(fd[0], fresh(), COUNT, MSG_WAITFORONE, NULL), 1);
    say("MSG_WAITFORONE: waited for one: %s", text[0]);
    CHECK_IS(recvmmsg(fd[0], fresh(), COUNT - 1, 0, NULL), COUNT - 1);
    join(sender);

    struct timespec limit = {0, 250000000};
    transmit(fd[1], "early");
    sender = spawn(with_a_pause, (void *)300);
    CHECK_IS(recvmmsg(fd[0], fresh(), COUNT, 0, &limit), 2);
    CHECK(limit.tv_sec == 0 && limit.tv_nsec == 0);
    say("250 ms, looked at after each datagram: %s, %s", text[0], text[1]);
    join(sender);
    limit = (struct timespec){60, 0};
    transmit(fd[1], "early");
    sender = spawn(with_a_pause, (void *)20);
    CHECK_IS(recvmmsg(fd[0], fresh(), 2, 0, &limit), 2);
    CHECK(limit.tv_sec > 0 && limit.tv_sec < 60);
    say("60 s: some of it is left");
    join(sender);
    CHECK_FAILS(recvmmsg(fd[0], fresh(), 1, 0, &(struct timespec){0, 2000000000}), EINVAL);
    CHECK_IS(recvmmsg(fd[0], fresh(), 0, 0, NULL), 0);
    timeout_ms(fd[0], SO_RCVTIMEO, 5);
    CHECK_FAILS(recvmmsg(fd[0], fresh(), COUNT, 0, NULL), EAGAIN);
    transmit(fd[1], "x");
    CHECK_IS(recvmmsg(fd[0], fresh(), COUNT, 0, NULL), 1);
    say("SO_RCVTIMEO: EAGAIN, or the one that came");
    close_pair(fd);
}

static void *slow_receiver(void *unused)
{
    char buffer[8];
    for (int i = 0; i < MANY; i++) {
        CHECK_IS(recv(fd[0], buffer, sizeof buffer, 0), 1 + i % 8);
        sched_yield();
    }
    return unused;
}

/* A queue that blocks after a few datagrams: its reader is not connected back. */
static void sending(void)
{
    struct sockaddr_un name;
    socklen_t size;
    fd[0] = unix_bound(SOCK_DGRAM, &name, &size);
    fd[1] = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_IS(connect(fd[1], (struct sockaddr *)&name, size), 0);
    fresh();
    for (int i = 0; i < MANY; i++)
        part[i].iov_len = 1 + i % 8;
    pthread_t receiver = spawn(slow_receiver, NULL);
    for (int sent = 0, more; sent < MANY; sent += more)
        CHECK((more = sendmmsg(fd[1], messages + sent, MANY - sent, 0)) > 0);
    for (int i = 0; i < MANY; i++)
        CHECK_IS(messages[i].msg_len, 1 + i % 8);
    join(receiver);
    say("sendmmsg: %d datagrams through a queue of few", MANY);
    while (sendmmsg(fd[1], fresh(), MANY, MSG_DONTWAIT) > 0)
        continue;
    CHECK(errno == EAGAIN);
    say("MSG_DONTWAIT: some, then EAGAIN");
    close_pair(fd);
}

static void all(void)
{
    unix_pair(SOCK_DGRAM, fd);
    receiving();
    sending();
}

int main(void)
{
    in_thread(all);
    return 0;
}
