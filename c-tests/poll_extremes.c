/* Waits of no time, of negative, of invalid and of enormous time: what is ready is told, what is bad is refused, and what would end in a
 * million years waits until a signal handler runs.
 * covers: poll ppoll select epoll_wait epoll_pwait2 nanosleep clock_nanosleep sleep usleep thrd_sleep pause
 * proof: green_threads>=13 parks>=10 hooks.poll>=5 hooks.ppoll>=5 hooks.select>=4 hooks.epoll_wait>=4 hooks.epoll_pwait2>=3
 */
#include "signals.h"
#include <sys/epoll.h>
#include <sys/select.h>
#include <threads.h>

static const struct timespec none = {0, 0}, negative = {-1, 0}, invalid = {0, 1000000000}, million = {1LL << 45, 0},
                             huge = {LONG_MAX, 999999999};
static int line[2], set;
static struct pollfd one;

#define TELL(call)                                                           \
    do {                                                                     \
        errno = 0;                                                           \
        int told = (call);                                                   \
        say("%s: %d %s", #call, told, told < 0 ? error_name(errno) : ""); \
    } while (0)

static int selects(int count, long seconds, long micros)
{
    fd_set readable;
    struct timeval time = {seconds, micros};
    FD_ZERO(&readable);
    FD_SET(line[0], &readable);
    return select(count < 0 ? count : line[0] + 1, &readable, NULL, NULL, &time);
}

static void short_ones(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    CHECK_IS(pipe(line), 0);
    one = (struct pollfd){line[0], POLLIN, 0};
    set = epoll_create1(0);
    CHECK_IS(epoll_ctl(set, EPOLL_CTL_ADD, line[0], &event), 0);
    TELL(poll(&one, 1, 0));
    TELL(ppoll(&one, 1, &none, NULL));
    TELL(ppoll(&one, 1, &negative, NULL));
    TELL(ppoll(&one, 1, &invalid, NULL));
    TELL(selects(1, 0, 0));
    TELL(selects(1, -1, 0));
    TELL(selects(1, 0, -1));
    TELL(selects(-1, 0, 0));
    TELL(epoll_wait(set, &event, 1, 0));
    TELL(epoll_wait(set, &event, 0, 0));
    TELL(epoll_pwait2(set, &event, 1, &none, NULL));
    TELL(epoll_pwait2(set, &event, 1, &negative, NULL));
    TELL(nanosleep(&none, NULL));
    TELL(nanosleep(&negative, NULL));
    TELL(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &none, NULL));
    TELL(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &negative, NULL));
    CHECK_IS(write(line[1], "x", 1), 1);
    TELL(poll(&one, 1, -1));
    TELL(poll(&one, 1, -2));
    TELL(poll(&one, 1, INT_MAX));
    TELL(ppoll(&one, 1, &million, NULL));
    TELL(ppoll(&one, 1, &huge, NULL));
    TELL(selects(1, LONG_MAX, 999999));
    TELL(epoll_wait(set, &event, 1, -1));
    TELL(epoll_wait(set, &event, 1, -5));
    TELL(epoll_wait(set, &event, 1, INT_MAX));
    TELL(epoll_pwait2(set, &event, 1, &huge, NULL));
    CHECK_IS(read(line[0], &(char){0}, 1), 1);
}

/* Each is ended by a handler: what it gave, or the error. */
static int long_one(int which, struct timespec *left)
{
    fd_set nothing;
    FD_ZERO(&nothing);
    switch (which) {
    case 0: return nanosleep(&huge, left);
    case 1: return nanosleep(&million, left);
    case 2: return thrd_sleep(&million, left);
    case 3: return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &huge, NULL);
    case 4: return clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &huge, NULL);
    case 5: return clock_nanosleep(CLOCK_BOOTTIME, 0, &million, NULL);
    case 6: return ppoll(&one, 1, &huge, NULL);
    case 7: return select(1, &nothing, NULL, NULL, &(struct timeval){LONG_MAX, 0});
    case 8: return poll(NULL, 0, INT_MAX);
    case 9: return epoll_pwait2(set, &(struct epoll_event){0}, 1, &huge, NULL);
    case 10: return sleep(UINT_MAX) > 1000;
    case 11: return usleep(UINT_MAX);
    default: return pause();
    }
}

enum { LONG_ONES = 13 };

static struct sleeper {
    pthread_t thread;
    struct timespec left;
    int result, error;
    atomic_bool done;
} sleepers[LONG_ONES];

static void *sleeper(void *argument)
{
    struct sleeper *it = argument;
    it->result = long_one(it - sleepers, &it->left);
    it->error = errno;
    atomic_store(&it->done, true);
    return NULL;
}

int main(void)
{
    in_thread(short_ones);
    catch_signal(SIGUSR1, SA_RESTART);
    for (int i = 0; i < LONG_ONES; i++)
        sleepers[i].thread = spawn(sleeper, &sleepers[i]);
    nap(20);
    for (int i = 0; i < LONG_ONES; i++) {
        struct sleeper *it = &sleepers[i];
        CHECK(!atomic_load(&it->done));
        signal_until(it->thread, SIGUSR1, &it->done);
        join(it->thread);
        /* thrd_sleep sets no errno. */
        say("%d: %d %s%s", i, it->result, it->result == -1 && i != 2 ? error_name(it->error) : "",
            it->left.tv_sec > 1000 ? ", much left" : "");
    }
    return 0;
}
