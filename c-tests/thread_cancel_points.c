/* A thread blocked in a cancellation point is cancelled there: its cleanup handlers run, join gives PTHREAD_CANCELED.
 * covers: pthread_cancel pthread_join pthread_cond_wait pthread_cond_timedwait sem_wait sem_timedwait nanosleep sleep usleep
 * covers: clock_nanosleep pause recv read poll select accept pthread_testcancel
 * proof: green_threads>=17 parks>=4 hooks.pthread_cancel>=16
 */
#include "deadlines.h"
#include <semaphore.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>

static sem_t entered, never;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int quiet_pipe[2], quiet_socket[2], listener;
static pthread_t stays;

static void unlock(void *argument)
{
    /* A condition wait that is cancelled holds its mutex again: an error-free unlock shows it. */
    (void)argument;
    CHECK_IS(pthread_mutex_trylock(&mutex), EBUSY);
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
}

static void cond_wait(void)
{
    pthread_mutex_lock(&mutex);
    pthread_cleanup_push(unlock, NULL);
    for (;;)
        pthread_cond_wait(&condition, &mutex);
    pthread_cleanup_pop(0);
}

static void cond_timedwait(void)
{
    struct timespec deadline = in_ms(CLOCK_REALTIME, 60000);
    pthread_mutex_lock(&mutex);
    pthread_cleanup_push(unlock, NULL);
    for (;;)
        pthread_cond_timedwait(&condition, &mutex, &deadline);
    pthread_cleanup_pop(0);
}

static void wait_semaphore(void) { sem_wait(&never); }
static void wait_semaphore_timed(void) { struct timespec deadline = in_ms(CLOCK_REALTIME, 60000); sem_timedwait(&never, &deadline); }
static void wait_join(void) { pthread_join(stays, NULL); }
static void wait_sleep(void) { sleep(60); }
static void wait_usleep(void) { usleep(60000000); }
static void wait_nanosleep(void) { struct timespec time = {60, 0}; nanosleep(&time, NULL); }
static void wait_clock(void)
{
    struct timespec deadline = in_ms(CLOCK_MONOTONIC, 60000);
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL);
}
static void wait_pause(void) { pause(); }
static void wait_recv(void) { char byte; recv(quiet_socket[0], &byte, 1, 0); }
static void wait_read(void) { char byte; if (read(quiet_pipe[0], &byte, 1) < 0) say("FAIL: read came back"); }
static void wait_accept(void) { accept(listener, NULL, NULL); }
static void wait_poll(void) { struct pollfd poll_for = {quiet_pipe[0], POLLIN, 0}; poll(&poll_for, 1, -1); }
static void wait_select(void)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(quiet_pipe[0], &set);
    select(quiet_pipe[0] + 1, &set, NULL, NULL, NULL);
}
static void test_cancel(void) { for (;;) { pthread_testcancel(); sched_yield(); } }

static const struct row { const char *name; void (*block)(void); } rows[] = {
    {"pthread_cond_wait", cond_wait}, {"pthread_cond_timedwait", cond_timedwait}, {"sem_wait", wait_semaphore},
    {"sem_timedwait", wait_semaphore_timed}, {"pthread_join", wait_join}, {"sleep", wait_sleep}, {"usleep", wait_usleep},
    {"nanosleep", wait_nanosleep}, {"clock_nanosleep", wait_clock}, {"pause", wait_pause}, {"recv", wait_recv}, {"read", wait_read},
    {"accept", wait_accept}, {"poll", wait_poll}, {"select", wait_select}, {"pthread_testcancel", test_cancel},
};

static void cleanup(void *ran)
{
    *(bool *)ran = true;
}

static bool cleaned;

static void *blocked(void *argument)
{
    const struct row *row = argument;
    pthread_cleanup_push(cleanup, &cleaned);
    sem_post(&entered);
    row->block();
    pthread_cleanup_pop(0);
    say("FAIL: %s returned", row->name);
    return NULL;
}

static void *stay(void *argument)
{
    sem_wait(&never);
    return argument;
}

int main(void)
{
    sem_init(&entered, 0, 0);
    sem_init(&never, 0, 0);
    CHECK_IS(pipe(quiet_pipe), 0);
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, quiet_socket), 0);
    CHECK((listener = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
    CHECK_IS(bind(listener, (struct sockaddr *)&(struct sockaddr_un){.sun_family = AF_UNIX}, sizeof(sa_family_t)), 0);
    CHECK_IS(listen(listener, 1), 0);
    stays = spawn(stay, NULL);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cleaned = false;
        pthread_t thread = spawn(blocked, (void *)&rows[i]);
        sem_wait(&entered);
        nap(i % 4 == 0); /* sometimes in the wait already, sometimes just before it: both must end */
        CHECK_IS(pthread_cancel(thread), 0);
        CHECK(join(thread) == PTHREAD_CANCELED);
        CHECK(cleaned);
        say("%s: cancelled", rows[i].name);
    }
    sem_post(&never);
    CHECK(join(stays) == NULL);
    say("the thread whose join was cancelled was joined after all");
    return 0;
}
