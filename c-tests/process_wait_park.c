/* Sixty threads wait for a child each, by every call and kind of id, and keep no kernel thread; they have no descriptor that the
 * program can see, lose or hand on; nobody gets another's child, and of two who wait for the same one has it.
 * covers: waitpid wait4 waitid fork closefrom close_range
 * proof: green_threads>=63 parks>=60 kernel_threads_peak<=20
 * processors: 4
 * needs: proc
 */
#include "ctest.h"
#include <dirent.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { WAITERS = 60, WAYS = 5 };

static pid_t children[WAITERS];
static int gate[2]; /* children live until its writing end is closed */
static atomic_int waiting, ticks;
static atomic_bool stop;

static pid_t child_with(int status)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char byte;
        alarm(CTEST_SECONDS);
        close(gate[1]);
        _exit(read(gate[0], &byte, 1) == 0 ? status : 99);
    }
    return child;
}

static int by_waitid(idtype_t kind, id_t id, pid_t child)
{
    siginfo_t info = {0};
    CHECK_IS(waitid(kind, id, &info, WEXITED | WNOWAIT), 0);
    CHECK_IS(info.si_pid, child);
    CHECK_IS(waitid(kind, id, NULL, WEXITED), 0);
    return W_EXITCODE(info.si_status, 0);
}

static void *waits(void *number)
{
    int status = 0, wanted = 1 + (intptr_t)number;
    pid_t child = children[(intptr_t)number];
    struct rusage usage = {.ru_maxrss = -1};
    int fd = (intptr_t)number % WAYS == 3 ? syscall(SYS_pidfd_open, child, 0) : -1;
    waiting++;
    switch ((intptr_t)number % WAYS) {
    case 0: CHECK_IS(waitpid(child, &status, 0), child); break;
    case 1: CHECK_IS(wait4(child, &status, __WALL, &usage), child); CHECK(usage.ru_maxrss > 0); break;
    case 2: status = by_waitid(P_PID, child, child); break;
    case 3: status = by_waitid(P_PIDFD, fd, child); break;
    case 4: CHECK_IS(syscall(SYS_wait4, child, &status, 0, NULL), child); break;
    }
    CHECK_IS(status, W_EXITCODE(wanted, 0));
    CHECK_FAILS(waitpid(child, &status, 0), ECHILD);
    if (fd >= 0) {
        CHECK_FAILS(waitid(P_PIDFD, fd, NULL, WEXITED), ECHILD);
        close(fd);
    }
    return NULL;
}

static void *ticks_on(void *unused)
{
    for (; !stop; ticks++)
        nap(1);
    return unused;
}

/* The least of a few looks: the monitor reads of a kernel thread in /proc for some microseconds (docs/limits.md). */
static int open_descriptors(void)
{
    int least = 0;
    for (int look = 0; look < 5; look++) {
        int count = 0;
        DIR *folder = opendir("/proc/self/fd");
        CHECK(folder);
        while (readdir(folder))
            count++;
        closedir(folder);
        if (look == 0 || count < least)
            least = count;
        nap(1);
    }
    return least;
}

/* A child of main's has what the threads opened themselves. */
static void only_the_programs(void)
{
    int count = 0;
    for (int fd = gate[1] + 1; fd < 4096; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    CHECK_IS(count, WAITERS / WAYS);
}

static void *races(void *child)
{
    int status;
    pid_t mine = waitpid(*(pid_t *)child, &status, 0);
    CHECK(mine == *(pid_t *)child || (mine == -1 && errno == ECHILD));
    return (void *)(intptr_t)(mine > 0);
}

int main(void)
{
    closefrom(STDERR_FILENO + 1);
    CHECK_IS(pipe(gate), 0);
    for (int i = 0; i < WAITERS; i++)
        children[i] = child_with(1 + i);
    pthread_t threads[WAITERS], two[2], ticker = spawn(ticks_on, NULL);
    int before = open_descriptors();
    for (intptr_t i = 0; i < WAITERS; i++)
        threads[i] = spawn(waits, (void *)i);
    while (waiting < WAITERS)
        nap(1);
    for (int seen = ticks; ticks < seen + 10;)
        nap(1);
    say("%d threads wait, and one ticks", WAITERS);
    CHECK_IS(in_child(only_the_programs), 0);
    for (int seen = ticks; ticks < seen + 10;)
        nap(1);
    say("a child has no descriptor of theirs");
    CHECK_IS(close_range(100, ~0U, 0), 0);
    closefrom(100);
    say("all is closed");
    close(gate[1]);
    for (int i = 0; i < WAITERS; i++)
        join(threads[i]);
    close(gate[0]);
    say("each has its own child's status");
    CHECK_IS(open_descriptors(), before - 2);
    CHECK_IS(pipe(gate), 0);
    pid_t child = child_with(1);
    for (int i = 0; i < 2; i++)
        two[i] = spawn(races, &child);
    nap(2);
    close(gate[1]);
    CHECK_IS((intptr_t)join(two[0]) + (intptr_t)join(two[1]), 1);
    say("of two who wait for one child, one has it");
    stop = true;
    join(ticker);
    return 0;
}
