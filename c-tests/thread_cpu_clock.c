/* A thread's CPU clock counts what that thread computes, asked by itself and by others; one that waits does not count.
 * covers: pthread_getcpuclockid clock_gettime clock_getres
 * proof: green_threads>=2 parks>=1 hooks.pthread_getcpuclockid>=2 hooks.clock_gettime>=4
 */
#include "ctest.h"
#include <semaphore.h>

static sem_t burnt, go;

static long long read_us(clockid_t clock)
{
    struct timespec time;
    CHECK_IS(clock_gettime(clock, &time), 0);
    return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static void *burns(void *argument)
{
    clockid_t own;
    CHECK_IS(pthread_getcpuclockid(pthread_self(), &own), 0);
    long long start = read_us(CLOCK_THREAD_CPUTIME_ID);
    while (read_us(CLOCK_THREAD_CPUTIME_ID) < start + 5000)
        ;
    CHECK(read_us(own) >= start + 5000);
    sem_post(&burnt);
    sem_wait(&go);
    return argument;
}

static void *idles(void *argument)
{
    long long start = now_ms();
    nap(30);
    CHECK(now_ms() >= start + 30);
    CHECK(read_us(CLOCK_THREAD_CPUTIME_ID) < 20000);
    return argument;
}

int main(void)
{
    clockid_t clock;
    sem_init(&burnt, 0, 0);
    sem_init(&go, 0, 0);
    pthread_t thread = spawn(burns, NULL), idle = spawn(idles, NULL);
    sem_wait(&burnt);
    CHECK_IS(pthread_getcpuclockid(thread, &clock), 0);
    struct timespec finest;
    CHECK_IS(clock_getres(clock, &finest), 0);
    CHECK(finest.tv_sec == 0 && finest.tv_nsec > 0);
    CHECK(read_us(clock) >= 5000);
    say("5 ms computed: on the thread's clock, seen from main");
    join(idle);
    say("30 ms slept: not on the thread's clock");
    CHECK(read_us(CLOCK_PROCESS_CPUTIME_ID) >= 5000);
    say("all of it on the process's clock");
    sem_post(&go);
    join(thread);
    return 0;
}
