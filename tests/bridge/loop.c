/* loop CASE [sliced]: a loop of the program's own (epoll, and contexts by ucontext) that is lent. `sliced`: all contexts run on one stack,
 * and what they have used of it is copied away while they are left, as greenlet does.
 *
 * Without the library each call blocks the thread. The order in which contexts go on is another then, so a case prints sums.
 */
#define _GNU_SOURCE
#include "loop.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

/* sleeps: a hundred contexts sleep for as long as one. */
static void sleeps(long ms)
{
    CHECK(usleep(ms * 1000) == 0);
}

/* pairs: a context for each end of a socketpair; each waits for the other. */
static int ends[MOST][2];
static long sum;

static void asks(long i)
{
    for (int turn = 0; turn < 50; turn++) {
        int word = i + turn, answer;
        errno = 1000 + i;
        CHECK(write(ends[i][0], &word, sizeof word) == sizeof word && read(ends[i][0], &answer, sizeof answer) == sizeof answer);
        CHECK(errno == 1000 + i || errno == 0 || errno < 200);
        CHECK(answer == 2 * word);
        sum += answer;
    }
    close(ends[i][0]);
}

static void answers(long i)
{
    int word;
    while (read(ends[i][1], &word, sizeof word) == sizeof word) {
        word *= 2;
        struct pollfd out = {ends[i][1], POLLOUT, 0};
        CHECK(poll(&out, 1, 1000) == 1);
        CHECK(write(ends[i][1], &word, sizeof word) == sizeof word);
    }
    close(ends[i][1]);
}

/* mutex: contexts of one thread that wait for each other's lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void locks(long ms)
{
    CHECK(pthread_mutex_lock(&lock) == 0);
    CHECK(usleep(ms * 1000) == 0);
    sum++;
    CHECK(pthread_mutex_unlock(&lock) == 0);
}

static void *elsewhere(void *unused)
{
    CHECK(pthread_mutex_lock(&lock) == 0);
    usleep(20000);
    CHECK(pthread_mutex_unlock(&lock) == 0);
    return unused;
}

/* polls: a wait for several descriptors, with a deadline. */
static void polls(long i)
{
    struct pollfd two[2] = {{ends[i][0], POLLIN, 0}, {ends[i][1], POLLIN, 0}};
    CHECK(poll(two, 2, 50) == 0);
    CHECK(write(ends[i][0], "x", 1) == 1);
    CHECK(poll(two, 2, 5000) == 1 && two[1].revents == POLLIN);
    sum++;
}

/* closes: a context waits for a descriptor that another context closes and whose number gets another file: it has its own file still. */
static void reads(long i)
{
    char byte;
    CHECK(read(ends[i][0], &byte, 1) == 1 && byte == 'x');
    sum++;
}

static void replaces(long i)
{
    int kept = ends[i][0];
    usleep(1000);
    CHECK(close(kept) == 0 && dup2(event, kept) == kept);
    usleep(1000);
    CHECK(write(ends[i][1], "x", 1) == 1);
}

/* ranges: a lock, and code, for which no context is left; and others beside them, for which one is. */
#define APART __attribute__((noinline, section("apart")))
extern char __start_apart[], __stop_apart[];
static pthread_mutex_t locked[2] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};
static int locked_both[2];

static void *holds(void *unused)
{
    CHECK(pthread_mutex_lock(&locked[0]) == 0 && pthread_mutex_lock(&locked[1]) == 0);
    CHECK(write(locked_both[1], "x", 1) == 1);
    usleep(20000);
    CHECK(pthread_mutex_unlock(&locked[0]) == 0 && pthread_mutex_unlock(&locked[1]) == 0);
    return unused;
}

static void locks_one(long which)
{
    uint64_t before = lent();
    CHECK(pthread_mutex_lock(&locked[which]) == 0 && pthread_mutex_unlock(&locked[which]) == 0);
    sum += !gp_is_present() || (lent() > before) == which;
}

static APART void sleeps_apart(long ms)
{
    uint64_t before = lent();
    CHECK(usleep(ms * 1000) == 0);
    sum += lent() == before;
}

static APART void calls_sleeps(long ms)
{
    void (*volatile elsewhere)(long) = sleeps;
    uint64_t before = lent();
    elsewhere(ms);
    sum += !gp_is_present() || lent() > before;
}

static void ranges(void)
{
    char byte;
    pthread_t other;
    for (int which = 0; which < 2; which++) {
        CHECK(pipe(locked_both) == 0 && pthread_create(&other, NULL, holds, NULL) == 0);
        CHECK(read(locked_both[0], &byte, 1) == 1);
        if (which == 0 && gp_is_present())
            CHECK(gp_range(GP_BLOCKING_OBJECTS, &locked[0], &locked[1]) == 0);
        spawn(locks_one, which);
        run();
        CHECK(pthread_join(other, NULL) == 0);
    }
    if (gp_is_present()) {
        CHECK(gp_range(GP_BLOCKING_CALLERS, __start_apart, __stop_apart) == 0);
        CHECK(gp_range(3, __start_apart, __stop_apart) == EINVAL && gp_range(0, __start_apart, __start_apart) == EINVAL);
    }
    for (int i = 0; i < 10; i++)
        spawn(sleeps_apart, 1), spawn(calls_sleeps, 1);
}

static void writes_late(long i)
{
    CHECK(usleep(20000) == 0 && write(ends[i][1], "x", 1) == 1);
}

/* forks: a context's child lends no loop, waits as any process does, and lends one anew. */
static void forks(long i)
{
    int status, ready[2];
    char byte;
    CHECK(pipe(ready) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct gp_loop_statistics of = {.size = sizeof of};
        CHECK(!gp_is_present() || gp_loop_statistics(&of) == EINVAL);
        CHECK(usleep(1000) == 0 && write(ready[1], "x", 1) == 1 && read(ready[0], &byte, 1) == 1);
        if (gp_is_present()) {
            struct gp_loop_ops ops = {.size = sizeof ops, .leave = leave};
            CHECK(gp_lend(&ops, event, NULL) == 0 && gp_loop_statistics(&of) == 0 && of.lent == 0 && gp_unlend() == 0);
        }
        _exit(i);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == i);
    close(ready[0]), close(ready[1]);
    sum += i;
}

/* signals: handlers run on the loop's thread while contexts wait, wait themselves, and end no context's wait. */
static long handled;

static void handles(int signal)
{
    (void)signal;
    int error = errno;
    handled++;
    usleep(10);
    errno = error;
}

static void sleeps_through(long ms)
{
    long before = handled;
    while (handled < before + 5)
        CHECK(usleep(ms * 1000) == 0);
    sum++;
}

static void signals(void)
{
    struct sigaction action = {.sa_handler = handles};
    struct itimerval often = {{0, 1000}, {0, 1000}};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (int i = 0; i < 20; i++) {
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]) == 0);
        spawn(sleeps_through, 2), spawn(reads, i);
    }
    for (int i = 0; i < 20; i++)
        spawn(writes_late, i);
}

/* refusals: what gp_lend and the others answer to nonsense. */
static void refusals(void)
{
    struct gp_loop_ops ops = {.size = sizeof ops, .leave = leave}, small = {.size = 8, .leave = leave}, none = {.size = sizeof ops};
    struct gp_loop_ops unknown = {.size = sizeof ops, .leave = leave, .flags = 2}, first = {.size = 16, .leave = leave, .flags = 2};
    struct gp_loop_ops both = {.size = sizeof ops, .leave = leave, .flags = GP_STACKS_STAY, .stacks_from = shared, .stacks_to = shared + 1};
    struct gp_loop_statistics of = {.size = 8};
    void *user;
    CHECK(gp_lend(NULL, event, NULL) == EINVAL && gp_lend(&small, event, NULL) == EINVAL && gp_lend(&none, event, NULL) == EINVAL);
    CHECK(gp_lend(&unknown, event, NULL) == EINVAL && gp_lend(&both, event, NULL) == EINVAL);
    CHECK(gp_lend(&ops, -1, NULL) == EBADF && gp_lend(&ops, 1000, NULL) == EBADF && gp_lend(&ops, event, NULL) == EBUSY);
    CHECK(gp_loop_statistics(NULL) == EINVAL && gp_loop_statistics(&of) == EINVAL);
    CHECK(gp_take(&user, 1) == 0 && gp_unlend() == 0 && gp_unlend() == EINVAL && gp_take(&user, 1) == 0);
    CHECK(gp_range(0, &ops, &ops + 1) == EINVAL);
    of.size = sizeof of;
    CHECK(gp_loop_statistics(&of) == EINVAL);
    gp_pause(), gp_resume();
    /* Of the first version's structure no more is read than it has. */
    CHECK(gp_lend(&first, event, NULL) == 0 && gp_unlend() == 0);
    CHECK(gp_lend(&ops, event, NULL) == 0 && gp_loop_statistics(&of) == 0 && of.lent == 0);
    gp_pause();
    spawn(sleeps, 1);
    run();
    CHECK(gp_loop_statistics(&of) == 0 && of.lent == 0);
    gp_resume();
    spawn(sleeps, 1);
    run();
    CHECK(gp_loop_statistics(&of) == 0 && of.lent == 1 && gp_unlend() == 0);
    puts("refusals: all");
}

int main(int count, char **words)
{
    const char *which = count > 1 ? words[1] : "";
    is_sliced = count > 2;
    lend();
    double began = now();
    if (strcmp(which, "sleeps") == 0) {
        for (int i = 0; i < 100; i++)
            spawn(sleeps, 100);
    } else if (strcmp(which, "pairs") == 0) {
        for (int i = 0; i < 200; i++) {
            CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]) == 0);
            spawn(asks, i), spawn(answers, i);
        }
    } else if (strcmp(which, "mutex") == 0) {
        pthread_t other;
        CHECK(pthread_create(&other, NULL, elsewhere, NULL) == 0);
        usleep(1000);
        for (int i = 0; i < 20; i++)
            spawn(locks, 2);
        run();
        pthread_join(other, NULL);
    } else if (strcmp(which, "polls") == 0) {
        for (int i = 0; i < 100; i++) {
            CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]) == 0);
            spawn(polls, i);
        }
    } else if (strcmp(which, "closes") == 0) {
        for (int i = 0; i < 50; i++) {
            CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]) == 0);
            spawn(reads, i), spawn(replaces, i);
        }
    } else if (strcmp(which, "forks") == 0) {
        for (int i = 0; i < 20; i++)
            spawn(forks, i), spawn(sleeps, 1);
    } else if (strcmp(which, "signals") == 0) {
        signals();
    } else if (strcmp(which, "ranges") == 0) {
        ranges();
    } else if (strcmp(which, "refusals") == 0) {
        return refusals(), 0;
    } else {
        return 2;
    }
    run();
    printf("%s: %d contexts, sum %ld\n", which, ended, sum);
    fflush(stdout);
    if (gp_is_present()) {
        struct gp_loop_statistics of = {.size = sizeof of};
        CHECK(gp_loop_statistics(&of) == 0);
        fprintf(stderr, "lent %lu blocked %lu taken %lu; %.3f s\n", of.lent, of.blocked, of.taken, now() - began);
        CHECK(gp_unlend() == 0);
    }
    return 0;
}
