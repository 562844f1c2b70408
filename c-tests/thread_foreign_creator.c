/* Threads made by threads of libc's own, some older than the first green one: by the function of a timer, a message queue, a read in
 * the background, and a name's look-up.
 * covers: pthread_create pthread_join
 * proof: green_threads>=65 parks>=42
 * cflags: -lrt -lanl
 */
#include "ctest.h"
#include <aio.h>
#include <mqueue.h>
#include <netdb.h>
#include <semaphore.h>

enum { THREADS = 8 };

static sem_t done;

static void *leaf(void *argument)
{
    usleep(1000);
    return argument;
}

static void fire(union sigval unused)
{
    pthread_t threads[THREADS];
    (void)unused;
    for (intptr_t i = 0; i < THREADS; i++)
        threads[i] = spawn(leaf, (void *)i);
    for (intptr_t i = 0; i < THREADS; i++)
        CHECK(join(threads[i]) == (void *)i);
    sem_post(&done);
}

static void read_and_look_up(struct sigevent *event)
{
    static char zeros[64];
    struct aiocb request = {.aio_fildes = open("/dev/zero", O_RDONLY), .aio_buf = zeros, .aio_nbytes = sizeof zeros};
    struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    struct gaicb name = {.ar_name = "127.0.0.1", .ar_request = &numeric};
    struct gaicb *names[] = {&name};
    request.aio_sigevent = *event;
    CHECK(request.aio_fildes >= 0);
    CHECK_IS(aio_read(&request), 0);
    CHECK_IS(sem_wait(&done), 0);
    CHECK_IS(aio_return(&request), sizeof zeros);
    close(request.aio_fildes);
    CHECK_IS(getaddrinfo_a(GAI_NOWAIT, names, 1, event), 0);
    CHECK_IS(sem_wait(&done), 0);
    CHECK_IS(gai_error(&name), 0);
    freeaddrinfo(name.ar_result);
}

int main(void)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = fire};
    struct itimerspec soon = {.it_value.tv_nsec = 10000000};
    struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = 8};
    char name[50], message[8];
    sem_init(&done, 0, 0);
    snprintf(name, sizeof name, "/thread_foreign_creator-%d", getpid());
    mqd_t queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
    CHECK(queue != (mqd_t)-1);
    mq_unlink(name);
    CHECK_IS(mq_notify(queue, &event), 0);
    CHECK_IS(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    read_and_look_up(&event);
    join(spawn(leaf, NULL));
    for (int round = 0; round < 2; round++) {
        CHECK_IS(timer_settime(timer, 0, &soon, NULL), 0);
        CHECK_IS(sem_wait(&done), 0);
        CHECK_IS(mq_send(queue, "x", 1, 0), 0);
        CHECK_IS(sem_wait(&done), 0);
        CHECK_IS(mq_receive(queue, message, sizeof message, NULL), 1);
        CHECK_IS(mq_notify(queue, &event), 0);
        read_and_look_up(&event);
    }
    say("done");
    return 0;
}
