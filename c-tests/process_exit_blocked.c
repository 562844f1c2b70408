/* exit from main ends a program whose other threads are blocked in all manner of calls: its handlers run, its status counts.
 * covers: exit recv read pthread_cond_wait pthread_mutex_lock sem_wait nanosleep poll pthread_join
 * proof: green_threads>=9 parks>=8
 * exit: 3
 */
#include "ctest.h"
#include <semaphore.h>
#include <sys/socket.h>

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER, mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static sem_t entered, never;
static int quiet_pipe[2], quiet_socket[2];
static pthread_t first;

static void in_recv(void) { char byte; recv(quiet_socket[0], &byte, 1, 0); }
static void in_read(void) { char byte; if (read(quiet_pipe[0], &byte, 1)) say("FAIL: read came back"); }
static void in_cond(void) { pthread_mutex_lock(&mutex); for (;;) pthread_cond_wait(&condition, &mutex); }
static void in_lock(void) { pthread_mutex_lock(&held); }
static void in_semaphore(void) { sem_wait(&never); }
static void in_sleep(void) { nanosleep(&(struct timespec){60, 0}, NULL); }
static void in_poll(void) { poll(NULL, 0, -1); }
static void in_join(void) { pthread_join(first, NULL); }
static void in_loop(void) { for (;;) ; }

static void (*const ways[])(void) = {in_recv, in_read, in_cond, in_lock, in_semaphore, in_sleep, in_poll, in_join, in_loop};
enum { WAYS = sizeof ways / sizeof *ways };

static void *thread(void *number)
{
    sem_post(&entered);
    ways[(intptr_t)number]();
    say("FAIL: way %d came back", (int)(intptr_t)number);
    return NULL;
}

static void first_registered(void)
{
    say("the handler registered first runs last");
}

static void last_registered(void)
{
    nap(1); /* a handler may block, too */
    say("the handler registered last runs first");
}

int main(void)
{
    sem_init(&entered, 0, 0);
    sem_init(&never, 0, 0);
    CHECK_IS(pipe(quiet_pipe), 0);
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, quiet_socket), 0);
    atexit(first_registered);
    atexit(last_registered);
    pthread_mutex_lock(&held);
    first = spawn(thread, (void *)0);
    for (intptr_t i = 1; i < WAYS; i++)
        spawn(thread, (void *)i);
    for (int i = 0; i < WAYS; i++)
        sem_wait(&entered);
    nap(5);
    say("%d threads blocked, one in a loop", WAYS - 1);
    exit(3);
}
