/* Waits of 200 µs end after 200 µs, not rounded to milliseconds; the timeout given is not written to; the bad ones are refused.
 * covers: ppoll pselect epoll_pwait2
 * proof: green_threads>=3 parks>=3 hooks.ppoll>=3 hooks.pselect>=3 hooks.epoll_pwait2>=3
 */
#include "ctest.h"
#include <sys/epoll.h>
#include <sys/select.h>

enum { LENGTH_NS = 200000, ROUNDED_NS = 950000, TRIES = 1000 };
static int queue;

static int a_ppoll(const struct timespec *time) { return ppoll(NULL, 0, time, NULL); }
static int a_pselect(const struct timespec *time) { return pselect(0, NULL, NULL, NULL, time, NULL); }
static int an_epoll_pwait2(const struct timespec *time) { return epoll_pwait2(queue, &(struct epoll_event){0}, 1, time, NULL); }

static long waited_ns(int (*wait)(const struct timespec *))
{
    struct timespec time = {0, LENGTH_NS}, begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    CHECK_IS(wait(&time), 0);
    clock_gettime(CLOCK_MONOTONIC, &end);
    CHECK(time.tv_sec == 0 && time.tv_nsec == LENGTH_NS);
    return (end.tv_sec - begin.tv_sec) * 1000000000L + end.tv_nsec - begin.tv_nsec;
}

/* On a busy machine most tries are late; one in time is proof enough. */
static void *subject(void *call)
{
    int (*wait)(const struct timespec *) = *(int (**)(const struct timespec *))call;
    int late = 0;
    for (long waited = LONG_MAX; waited >= ROUNDED_NS && late < TRIES; late++)
        CHECK((waited = waited_ns(wait)) >= LENGTH_NS);
    CHECK(late < TRIES);
    CHECK_FAILS(wait(&(struct timespec){0, -1}), EINVAL);
    CHECK_FAILS(wait(&(struct timespec){-1, 0}), EINVAL);
    CHECK_FAILS(wait(&(struct timespec){0, 1000000000}), EINVAL);
    return NULL;
}

int main(void)
{
    int (*const wait[])(const struct timespec *) = {a_ppoll, a_pselect, an_epoll_pwait2};
    const char *const name[] = {"ppoll", "pselect", "epoll_pwait2"};
    queue = epoll_create1(0);
    for (int i = 0; i < 3; i++) {
        join(spawn(subject, (void *)&wait[i]));
        say("%s: not early, not rounded up", name[i]);
    }
    return 0;
}
