/* POSIX message queues: waited for in both directions, with a moment, without waiting, interrupted, closed meanwhile, refused.
 * covers: mq_send mq_timedsend mq_receive mq_timedreceive mq_close
 * proof: green_threads>=6 parks>=4 hooks.mq_send>=4 hooks.mq_timedsend>=2 hooks.mq_receive>=4 hooks.mq_timedreceive>=4
 * hooks.mq_close>=1
 */
#include "deadlines.h"
#include "signals.h"
#include <mqueue.h>

static mqd_t queue;
static atomic_bool done, waits;

static mqd_t open_queue(int flags)
{
    char name[64];
    struct mq_attr small = {.mq_maxmsg = 1, .mq_msgsize = 8};
    make_name(name);
    mqd_t opened = mq_open(name, flags | O_CREAT | O_EXCL, 0600, &small);
    CHECK(opened != -1);
    CHECK_IS(mq_unlink(name), 0);
    return opened;
}

static void *receives(void *count)
{
    char text[8];
    unsigned priority;
    waits = true;
    for (intptr_t i = 0; i < (intptr_t)count; i++) {
        CHECK_IS(mq_receive(queue, text, sizeof text, &priority), 2);
        CHECK_IS(text[0], 'm');
        CHECK_IS(text[1], i % 10);
        CHECK_IS(priority, i % 10);
    }
    return NULL;
}

static void both_ways(void)
{
    enum { MESSAGES = 100 };
    queue = open_queue(O_RDWR);
    pthread_t thread = spawn(receives, (void *)(intptr_t)MESSAGES);
    for (int i = 0; i < MESSAGES; i++)
        CHECK_IS(mq_send(queue, (char[]){'m', i % 10}, 2, i % 10), 0);
    join(thread);
    mq_close(queue);
    say("both ways: %d messages through a queue of one", MESSAGES);
}

static void in_time(void)
{
    char text[8];
    struct timespec past = {.tv_sec = 1}, wrong = {.tv_nsec = 1000000000};
    queue = open_queue(O_RDWR);
    CHECK_FAILS(mq_timedreceive(queue, text, sizeof text, NULL, &past), ETIMEDOUT);
    struct timespec soon = in_ms(CLOCK_REALTIME, 2);
    CHECK_FAILS(mq_timedreceive(queue, text, sizeof text, NULL, &soon), ETIMEDOUT);
    CHECK(reached(CLOCK_REALTIME, soon));
    CHECK_IS(mq_timedsend(queue, "m", 1, 0, &past), 0);
    CHECK_FAILS(mq_timedsend(queue, "m", 1, 0, &past), ETIMEDOUT);
    CHECK_FAILS(mq_timedreceive(queue, text, sizeof text, NULL, &wrong), EINVAL);
    CHECK_IS(mq_timedreceive(queue, text, sizeof text, NULL, &past), 1);
    mq_close(queue);
    say("in time, and too late");
}

static void refused(void)
{
    char text[8];
    queue = open_queue(O_RDWR | O_NONBLOCK);
    CHECK_FAILS(mq_receive(queue, text, sizeof text, NULL), EAGAIN);
    CHECK_FAILS(mq_receive(queue, text, 7, NULL), EMSGSIZE);
    CHECK_FAILS(mq_send(queue, text, 9, 0), EMSGSIZE);
    CHECK_FAILS(mq_send(queue, text, 8, 1 << 20), EINVAL);
    CHECK_IS(mq_send(queue, text, 8, 0), 0);
    CHECK_FAILS(mq_send(queue, text, 8, 0), EAGAIN);
    mq_close(queue);
    CHECK_FAILS(mq_send(-1, text, 8, 0), EBADF);
    CHECK_FAILS(mq_close(-1), EBADF);
    int file = open("/dev/null", O_RDWR);
    CHECK_FAILS(mq_send(file, text, 8, 0), EBADF);
    close(file);
    say("without waiting, and refused");
}

static void *until_interrupted(void *unused)
{
    char text[8];
    CHECK_FAILS(mq_receive(queue, text, sizeof text, NULL), EINTR);
    done = true;
    return unused;
}

static void interrupted(void)
{
    queue = open_queue(O_RDWR);
    catch_signal(SIGUSR1, 0);
    pthread_t thread = spawn(until_interrupted, NULL);
    signal_until(thread, SIGUSR1, &done);
    join(thread);
    catch_signal(SIGUSR1, SA_RESTART);
    waits = false;
    thread = spawn(receives, (void *)1);
    while (!waits)
        sched_yield();
    signal_times(thread, SIGUSR1, 3);
    CHECK_IS(mq_send(queue, "m", 2, 0), 0);
    join(thread);
    mq_close(queue);
    say("interrupted, and begun again");
}

/* Whoever waits keeps the queue, and its number serves another meanwhile. */
static void closed(void)
{
    queue = open_queue(O_RDWR);
    mqd_t again = dup(queue), first = queue;
    waits = false;
    pthread_t thread = spawn(receives, (void *)1);
    while (!waits)
        sched_yield();
    nap(2);
    CHECK_IS(mq_close(first), 0);
    CHECK_IS(open("/dev/null", O_RDWR), first);
    CHECK_IS(mq_send(again, "m", 2, 0), 0);
    join(thread);
    close(first);
    mq_close(again);
    say("closed while a thread waits: it gets its message");
}

int main(void)
{
    in_thread(both_ways);
    in_thread(in_time);
    in_thread(refused);
    in_thread(interrupted);
    in_thread(closed);
    return 0;
}
