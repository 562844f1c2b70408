/* A signal handler interrupts every waiting call with EINTR, SA_RESTART or not; select's time and sets are left as they were.
 * covers: poll ppoll select pselect epoll_wait epoll_pwait epoll_pwait2
 * proof: green_threads>=7 parks>=1 hooks.poll>=1 hooks.select>=1 hooks.epoll_wait>=1
 */
#include "signals.h"
#include <sys/epoll.h>
#include <sys/select.h>

static int line[2], queue;
static struct epoll_event event;
static struct timespec minute = {60, 0};
static atomic_bool done;

static int a_poll(void) { return poll(&(struct pollfd){line[0], POLLIN, 0}, 1, -1); }
static int a_ppoll(void) { return ppoll(&(struct pollfd){line[0], POLLIN, 0}, 1, &minute, NULL); }
static int an_empty_poll(void) { return poll(NULL, 0, 60000); }
static int an_epoll_wait(void) { return epoll_wait(queue, &event, 1, -1); }
static int an_epoll_pwait(void) { return epoll_pwait(queue, &event, 1, 60000, NULL); }
static int an_epoll_pwait2(void) { return epoll_pwait2(queue, &event, 1, NULL, NULL); }

static int a_select(void)
{
    fd_set set;
    struct timeval time = {60, 0};
    FD_ZERO(&set);
    FD_SET(line[0], &set);
    int result = select(line[0] + 1, &set, NULL, NULL, &time);
    int error = errno;
    CHECK(FD_ISSET(line[0], &set) && time.tv_sec > 30 && time.tv_sec <= 60);
    errno = error;
    return result;
}

static int a_pselect(void)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(line[0], &set);
    return pselect(line[0] + 1, &set, NULL, NULL, NULL, NULL);
}

static void *until_interrupted(void *call)
{
    CHECK_FAILS((*(int (**)(void))call)(), EINTR);
    atomic_store(&done, true);
    return NULL;
}

int main(void)
{
    static int (*const call[])(void) = {a_poll,        a_ppoll,        an_empty_poll, an_epoll_wait,
                                        an_epoll_pwait, an_epoll_pwait2, a_select,      a_pselect};
    static const char *const name[] = {"poll",        "ppoll",        "poll of nothing", "epoll_wait",
                                       "epoll_pwait", "epoll_pwait2", "select",          "pselect"};
    CHECK_IS(pipe(line), 0);
    queue = epoll_create1(0);
    CHECK_IS(epoll_ctl(queue, EPOLL_CTL_ADD, line[0], &(struct epoll_event){.events = EPOLLIN}), 0);
    for (int i = 0; i < 8; i++) {
        catch_signal(SIGUSR1, i % 2 ? SA_RESTART : 0);
        atomic_store(&done, false);
        pthread_t thread = spawn(until_interrupted, (void *)&call[i]);
        signal_until(thread, SIGUSR1, &done);
        join(thread);
        say("%s: EINTR%s", name[i], i % 2 ? " in spite of SA_RESTART" : "");
    }
    return 0;
}
