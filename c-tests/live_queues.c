/* Threads that wait for messages or semaphores of the kernel's keep nobody else from running.
 * covers: msgrcv msgsnd semop mq_receive mq_send
 * proof: green_threads>=63 parks>=70 hooks.msgrcv>=20 hooks.semop>=20 hooks.mq_receive>=20 hand_overs>=1 kernel_threads_peak<=44
 * processors: 4
 * cflags: -lrt
 */
#include "ticker.h"
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

struct message {
    long kind;
    char text[8];
};

static int queue, set;
static mqd_t posix_queue;

static void make_queue(void)
{
    queue = msgget(IPC_PRIVATE, 0600);
    CHECK(queue >= 0);
}

static void get_message(void)
{
    struct message message;
    CHECK_IS(msgrcv(queue, &message, sizeof message.text, 7, 0), 5);
    CHECK(memcmp(message.text, "hello", 5) == 0);
}

static void send_messages(void)
{
    struct message message = {.kind = 7, .text = "hello"};
    for (int i = 0; i < STUCK; i++)
        CHECK_IS(msgsnd(queue, &message, 5, 0), 0);
}

static void make_set(void)
{
    set = semget(IPC_PRIVATE, 1, 0600);
    CHECK(set >= 0);
}

static void take_one(void)
{
    CHECK_IS(semop(set, &(struct sembuf){.sem_op = -1}, 1), 0);
}

static void give_all(void)
{
    CHECK_IS(semop(set, &(struct sembuf){.sem_op = STUCK}, 1), 0);
}

static void make_posix_queue(void)
{
    char name[64];
    struct mq_attr small = {.mq_maxmsg = 2, .mq_msgsize = 8};
    make_name(name);
    posix_queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &small);
    CHECK(posix_queue != -1);
    CHECK_IS(mq_unlink(name), 0);
}

static void receive_one(void)
{
    char text[8];
    CHECK_IS(mq_receive(posix_queue, text, sizeof text, NULL), 5);
    CHECK(memcmp(text, "hello", 5) == 0);
}

/* More than the queue holds: the sender waits, too. */
static void send_all(void)
{
    for (int i = 0; i < STUCK; i++)
        CHECK_IS(mq_send(posix_queue, "hello", 5, 0), 0);
}

int main(void)
{
    static const struct way ways[] = {
        {"msgrcv", make_queue, get_message, send_messages},
        {"semop", make_set, take_one, give_all},
        {"mq_receive", make_posix_queue, receive_one, send_all},
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        tick_while_stuck(&ways[i]);
    CHECK_IS(msgctl(queue, IPC_RMID, NULL), 0);
    CHECK_IS(semctl(set, 0, IPC_RMID), 0);
    mq_close(posix_queue);
    return 0;
}
