/* Waits for many descriptors that do not come back, for their thread is cancelled or a handler jumps out of them, leave no memory
 * behind: poll, ppoll, select, pselect, epoll_wait.
 * covers: poll ppoll select pselect epoll_wait pthread_cancel siglongjmp
 * proof: green_threads>=2000 parks>=4000
 * passes: siglongjmp: the library leaves its handlers and brings the mask back, and the jump itself is libc's
 */
#include "signals.h"
#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/select.h>

enum { DESCRIPTORS = 40, WARM = 200, TIMES = 2000, MOST_KIB = 2048 };

static int ends[DESCRIPTORS], epoll;
static __thread sigjmp_buf out;
static atomic_int turn;

static void waits(int kind)
{
    struct pollfd asked[DESCRIPTORS];
    struct epoll_event event;
    fd_set set;
    FD_ZERO(&set);
    for (int i = 0; i < DESCRIPTORS; i++) {
        asked[i] = (struct pollfd){.fd = ends[i], .events = POLLIN};
        FD_SET(ends[i], &set);
    }
    int most = ends[DESCRIPTORS - 1] + 1;
    turn++;
    switch (kind % 5) {
    case 0:
        poll(asked, DESCRIPTORS, -1);
        break;
    case 1:
        ppoll(asked, DESCRIPTORS, NULL, NULL);
        break;
    case 2:
        select(most, &set, NULL, NULL, NULL);
        break;
    case 3:
        pselect(most, &set, NULL, NULL, NULL, NULL);
        break;
    default:
        epoll_wait(epoll, &event, 1, -1);
    }
}

static void *is_cancelled(void *kind)
{
    waits((int)(intptr_t)kind);
    return NULL;
}

static void jump(int signal)
{
    (void)signal;
    siglongjmp(out, 1);
}

static void *jumps(void *argument)
{
    for (volatile int i = 0; i < WARM + TIMES; i++)
        if (sigsetjmp(out, true) == 0)
            waits(i);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    turn++;
    return argument;
}

static long resident_kib(void)
{
    long all, pages;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file);
    CHECK_IS(fscanf(file, "%ld %ld", &all, &pages), 2);
    fclose(file);
    return pages * 4;
}

static long before;

static void note(int turns)
{
    if (turns == WARM)
        before = resident_kib();
}

static void look(const char *how)
{
    long more = resident_kib() - before;
    if (more > MOST_KIB)
        say("FAIL: %ld KiB more", more);
    say("%s: no memory is left behind", how);
}

int main(void)
{
    epoll = epoll_create1(0);
    for (int i = 0; i < DESCRIPTORS; i++) {
        int both[2];
        struct epoll_event event = {.events = EPOLLIN};
        CHECK_IS(pipe(both), 0);
        ends[i] = both[0];
        CHECK_IS(epoll_ctl(epoll, EPOLL_CTL_ADD, both[0], &event), 0);
    }
    for (int i = 0; i < WARM + TIMES; i++) {
        note(i);
        pthread_t thread = spawn(is_cancelled, (void *)(intptr_t)i);
        while (turn <= i)
            sched_yield();
        sched_yield();
        CHECK_IS(pthread_cancel(thread), 0);
        CHECK(join(thread) == PTHREAD_CANCELED);
    }
    look("cancelled");
    turn = 0;
    CHECK_IS(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = jump}, NULL), 0);
    pthread_t thread = spawn(jumps, NULL);
    for (int i = 0; i < WARM + TIMES; i++) {
        note(i);
        while (turn <= i)
            sched_yield();
        sched_yield();
        CHECK_IS(pthread_kill(thread, SIGUSR1), 0);
        while (turn == i + 1)
            sched_yield();
    }
    join(thread);
    look("left by a jump");
    return 0;
}
