/* Busy threads come and go, and the process idles until kernel threads have gone; then it forks. A new thread of the child's has used
 * no processor time, though others of it have.
 * covers: fork clock_gettime usleep
 * proof: green_threads>=4 parks>=50
 * passes: clock_gettime: the clocks of real time are the kernel's (the children count by them)
 */
#include "ctest.h"

static atomic_int stop;

static long milliseconds(clockid_t clock)
{
    struct timespec now;
    CHECK_IS(clock_gettime(clock, &now), 0);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *work(void *span)
{
    for (long end = milliseconds(CLOCK_MONOTONIC) + (intptr_t)span; milliseconds(CLOCK_MONOTONIC) < end && !stop;) {
    }
    return NULL;
}

static void *nap_often(void *argument)
{
    for (int i = 0; i < 50; i++)
        usleep(1000);
    stop = 1;
    return argument;
}

static void *look(void *argument)
{
    CHECK(milliseconds(CLOCK_THREAD_CPUTIME_ID) < 5);
    stop = 1;
    return argument;
}

static void *drive(void *argument)
{
    usleep(20000);
    for (int i = 0; i < 20; i++)
        join(spawn(work, (void *)2));
    join(spawn(look, NULL));
    return argument;
}

int main(void)
{
    int status;
    for (int i = 0; i < 2; i++) {
        stop = 0;
        pthread_t busy = spawn(work, (void *)300), naps = spawn(nap_often, NULL);
        join(naps);
        join(busy);
    }
    sleep(1);
    pid_t child = fork();
    if (child == 0) {
        stop = 0;
        pthread_t busy = spawn(work, (void *)800), driver = spawn(drive, NULL);
        join(driver);
        join(busy);
        exit(0);
    }
    CHECK_IS(waitpid(child, &status, 0), child);
    say("status %d", status);
    return status != 0;
}
