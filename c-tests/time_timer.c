/* Timers: one whose function runs on a thread that libc makes wakes threads by semaphore and condition variable; one signals a thread.
 * covers: timer_create timer_delete sem_wait sem_post pthread_cond_wait pthread_cond_signal gettid sigaction
 * proof: green_threads>=3 parks>=2
 * passes: timer_delete: the library forgets the timer, and the kernel deletes it
 */
#include "ctest.h"
#include <semaphore.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static sem_t posted;
static int expired;
static atomic_int handled;
static pthread_t handled_by;

static void start(timer_t timer, int first_ms, int then_ms)
{
    struct itimerspec times = {.it_value = {0, first_ms * 1000000}, .it_interval = {0, then_ms * 1000000}};
    CHECK_IS(timer_settime(timer, 0, &times, NULL), 0);
}

static void posts(union sigval value)
{
    CHECK_IS(sem_post(value.sival_ptr), 0);
}

static void signals(union sigval value)
{
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    expired += value.sival_int;
    CHECK_IS(pthread_cond_signal(&condition), 0);
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
}

static void *waits_for_semaphore(void *argument)
{
    for (int i = 0; i < 3; i++)
        CHECK_IS(sem_wait(&posted), 0);
    return argument;
}

static void *waits_for_condition(void *argument)
{
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    while (expired < 3 * 7)
        CHECK_IS(pthread_cond_wait(&condition, &mutex), 0);
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    return argument;
}

static void by_function(void (*function)(union sigval), union sigval value, void *(*waiter)(void *))
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = function, .sigev_value = value};
    pthread_t thread = spawn(waiter, NULL);
    CHECK_IS(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    start(timer, 1, 1);
    join(thread);
    CHECK_IS(timer_delete(timer), 0);
}

static void handler(int signal)
{
    (void)signal;
    handled_by = pthread_self();
    handled = 1;
}

static void *signalled(void *argument)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1, .sigev_notify_thread_id = gettid()};
    CHECK_IS(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    start(timer, 1, 1);
    while (!handled)
        nap(1);
    CHECK(pthread_equal(handled_by, pthread_self()));
    CHECK_IS(timer_delete(timer), 0);
    return argument;
}

int main(void)
{
    sem_init(&posted, 0, 0);
    by_function(posts, (union sigval){.sival_ptr = &posted}, waits_for_semaphore);
    say("SIGEV_THREAD: sem_post woke a thread three times");
    by_function(signals, (union sigval){.sival_int = 7}, waits_for_condition);
    say("SIGEV_THREAD: pthread_cond_signal woke a thread");
    CHECK_IS(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler}, NULL), 0);
    join(spawn(signalled, NULL));
    say("SIGEV_THREAD_ID: the handler ran on the thread that was named");
    return 0;
}
