/* System V's queues and semaphores: waited for, in time and too late, without waiting, interrupted, removed meanwhile, refused.
 * covers: msgsnd msgrcv semop semtimedop
 * proof: green_threads>=7 parks>=8 hooks.msgsnd>=6 hooks.msgrcv>=6 hooks.semop>=5 hooks.semtimedop>=2 kernel_threads_peak<=12
 * processors: 4
 */
#include "signals.h"
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

struct message {
    long kind;
    char text[8];
};

static int queue, set;
static atomic_bool done, waits;

static void make(void)
{
    queue = msgget(IPC_PRIVATE, 0600);
    set = semget(IPC_PRIVATE, 2, 0600);
    CHECK(queue >= 0 && set >= 0);
    waits = done = false;
}

static void wait_until_it_waits(void)
{
    while (!waits)
        sched_yield();
    nap(1);
}

static void *receives(void *unused)
{
    struct message message;
    waits = true;
    CHECK_IS(msgrcv(queue, &message, 8, 2, 0), 3);
    CHECK_IS(message.kind, 2);
    CHECK(memcmp(message.text, "two", 3) == 0);
    return unused;
}

static void messages(void)
{
    struct message one = {1, "one"}, two = {2, "two"}, got;
    make();
    pthread_t thread = spawn(receives, NULL);
    wait_until_it_waits();
    CHECK_IS(msgsnd(queue, &one, 3, 0), 0);
    CHECK_IS(msgsnd(queue, &two, 3, 0), 0);
    join(thread);
    CHECK_FAILS(msgrcv(queue, &got, 8, 2, IPC_NOWAIT), ENOMSG);
    CHECK_FAILS(msgrcv(queue, &got, 2, 0, 0), E2BIG);
    CHECK_IS(msgrcv(queue, &got, 2, 0, MSG_NOERROR), 2);
    CHECK_FAILS(msgsnd(queue, &(struct message){.kind = 0}, 1, 0), EINVAL);
    CHECK_FAILS(msgrcv(-1, &got, 8, 0, 0), EINVAL);
    say("messages: waited for by kind, and refused");
}

/* Fills the queue until there is no room. */
static void *sends(void *unused)
{
    struct message message = {5, "five"};
    while (msgsnd(queue, &message, 8, IPC_NOWAIT) == 0)
        continue;
    CHECK(errno == EAGAIN);
    waits = true;
    CHECK_IS(msgsnd(queue, &message, 8, 0), 0);
    return unused;
}

static void full(void)
{
    struct message got;
    make();
    /* Few bytes, so that it is full soon. */
    struct msqid_ds state;
    CHECK_IS(msgctl(queue, IPC_STAT, &state), 0);
    state.msg_qbytes = 64;
    CHECK_IS(msgctl(queue, IPC_SET, &state), 0);
    pthread_t thread = spawn(sends, NULL);
    wait_until_it_waits();
    CHECK_IS(msgrcv(queue, &got, 8, 0, 0), 8);
    join(thread);
    say("a full queue: waited for room");
}

static void *takes_two(void *unused)
{
    struct sembuf both[] = {{0, -1, 0}, {1, -1, 0}};
    waits = true;
    CHECK_IS(semop(set, both, 2), 0);
    return unused;
}

static void semaphores(void)
{
    struct sembuf first = {0, 1, 0}, second = {1, 1, 0}, take = {0, -1, 0}, now = {0, -1, IPC_NOWAIT};
    struct timespec soon = {0, 1000000}, wrong = {0, -1};
    make();
    pthread_t thread = spawn(takes_two, NULL);
    wait_until_it_waits();
    CHECK_IS(semop(set, &first, 1), 0);
    CHECK_IS(semop(set, &second, 1), 0);
    join(thread);
    CHECK_FAILS(semop(set, &now, 1), EAGAIN);
    CHECK_FAILS(semtimedop(set, &take, 1, &soon), EAGAIN);
    CHECK_FAILS(semtimedop(set, &take, 1, &wrong), EINVAL);
    CHECK_IS(semop(set, &first, 1), 0);
    CHECK_IS(semtimedop(set, &take, 1, NULL), 0);
    CHECK_FAILS(semop(set, &take, 0), EINVAL);
    CHECK_FAILS(semop(set, (struct sembuf *)8, 1), EFAULT);
    CHECK_FAILS(semop(set, &(struct sembuf){7, 1, 0}, 1), EFBIG);
    say("semaphores: waited for together, in time and too late");
}

static void *until_interrupted(void *by_message)
{
    struct sembuf take = {0, -1, 0};
    struct message got;
    CHECK_FAILS(by_message ? msgrcv(queue, &got, 8, 0, 0) : semop(set, &take, 1), EINTR);
    done = true;
    return NULL;
}

/* These never begin again by themselves. */
static void interrupted(void)
{
    make();
    catch_signal(SIGUSR1, SA_RESTART);
    for (int by_message = 0; by_message < 2; by_message++) {
        done = false;
        pthread_t thread = spawn(until_interrupted, by_message ? &done : NULL);
        signal_until(thread, SIGUSR1, &done);
        join(thread);
    }
    say("interrupted: EINTR");
}

/* Gives whether it waited: on a busy machine it may call only after the removal, which is EINVAL. */
static void *until_removed(void *by_message)
{
    struct sembuf take = {0, -1, 0};
    struct message got;
    waits = true;
    CHECK_IS(by_message ? msgrcv(queue, &got, 8, 0, 0) : semop(set, &take, 1), -1);
    CHECK(errno == EIDRM || errno == EINVAL);
    return errno == EIDRM ? &waits : NULL;
}

static void remove_both(void)
{
    CHECK_IS(msgctl(queue, IPC_RMID, NULL), 0);
    CHECK_IS(semctl(set, 0, IPC_RMID), 0);
}

static void removed(void)
{
    bool both_waited;
    do {
        make();
        pthread_t one = spawn(until_removed, NULL);
        wait_until_it_waits();
        waits = false;
        pthread_t other = spawn(until_removed, &waits);
        wait_until_it_waits();
        remove_both();
        both_waited = join(one) != NULL;
        both_waited &= join(other) != NULL;
    } while (!both_waited);
    say("removed: EIDRM");
}

int main(void)
{
    in_thread(messages);
    remove_both();
    in_thread(full);
    remove_both();
    in_thread(semaphores);
    remove_both();
    in_thread(interrupted);
    remove_both();
    in_thread(removed);
    return 0;
}
