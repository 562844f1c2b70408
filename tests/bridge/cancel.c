/* cancel [sliced]: each kind of wait, which its loop ends by each of the three policies (enum gp_cancel), and what the call answers then.
 * Without the library: another thread shuts the connection down, and the call must answer the same as after GP_CANCEL_SHUTDOWN.
 *
 * The victim waits before its canceller runs, which has the loop switch to it at once. A call that goes on waiting gets what it waits for.
 */
#define _GNU_SOURCE
#include "loop.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/select.h>
#include <sys/socket.h>

static int at[2], beside[2], listener;
static struct sockaddr_in address;
static bool is_ignored;

static void pair(void)
{
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, at) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, beside) == 0);
}

static void full_pair(void)
{
    static char bytes[4096];
    pair();
    while (send(at[0], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ;
}

static void datagrams(void)
{
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, at) == 0);
}

static void pipes(void)
{
    CHECK(pipe(at) == 0);
}

static void listens(void)
{
    socklen_t length = sizeof address;
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK((listener = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 0) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
}

static void connection(void)
{
    listens();
    CHECK((at[0] = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
    CHECK(connect(at[0], (struct sockaddr *)&address, sizeof address) == 0 && (at[1] = accept(listener, NULL, NULL)) >= 0);
    CHECK(pipe(beside) == 0);
}

/* A socket whose listener takes no more connections. */
static void full_listener(void)
{
    struct pollfd made = {-1, POLLOUT, 0};
    listens();
    do {
        CHECK((made.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) >= 0);
        CHECK(connect(made.fd, (struct sockaddr *)&address, sizeof address) == -1 && errno == EINPROGRESS);
    } while (poll(&made, 1, 50) == 1);
    CHECK((at[0] = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
}

static void writes(void)
{
    CHECK(write(at[1], "x", 1) == 1);
}

static void drains(void)
{
    static char bytes[4096];
    while (recv(at[1], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ;
}

static void connects(void)
{
    CHECK((at[1] = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
    CHECK(connect(at[1], (struct sockaddr *)&address, sizeof address) == 0);
}

static long reads(void)
{
    char byte;
    return read(at[0], &byte, 1);
}

static void one_byte(void)
{
    connection();
    writes();
}

static long receives_two(void)
{
    char bytes[2];
    return recv(at[0], bytes, 2, MSG_WAITALL);
}

static long sends(void)
{
    return send(at[0], "x", 1, MSG_NOSIGNAL);
}

static long polls_one(void)
{
    struct pollfd one = {at[0], POLLIN, 0};
    int found = poll(&one, 1, -1);
    CHECK(found != 1 || one.revents & POLLIN);
    return found;
}

static long polls_two(void)
{
    struct pollfd two[2] = {{at[0], POLLIN, 0}, {beside[0], POLLIN, 0}};
    int found = poll(two, 2, 20000);
    CHECK(found != 1 || (two[0].revents & POLLIN && two[1].revents == 0));
    return found;
}

static long selects(void)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(at[0], &set);
    FD_SET(beside[0], &set);
    int found = select((at[0] > beside[0] ? at[0] : beside[0]) + 1, &set, NULL, NULL, NULL);
    CHECK(found != 1 || FD_ISSET(at[0], &set));
    return found;
}

static long epolls(void)
{
    struct epoll_event in = {.events = EPOLLIN}, found;
    int watched = epoll_create1(EPOLL_CLOEXEC);
    CHECK(watched >= 0 && epoll_ctl(watched, EPOLL_CTL_ADD, at[0], &in) == 0);
    int result = epoll_wait(watched, &found, 1, -1), error = errno;
    close(watched);
    errno = error;
    return result;
}

static long accepts(void)
{
    int made = accept(listener, NULL, NULL);
    return made < 0 ? made : 1;
}

static long connects_in_vain(void)
{
    return connect(at[0], (struct sockaddr *)&address, sizeof address);
}

static void nothing(void) {}

static long sleeps(void)
{
    return usleep(is_ignored ? 20000 : 20000000);
}

static pthread_mutex_t lock;

static void locked(void)
{
    pthread_mutex_init(&lock, NULL);
    CHECK(pthread_mutex_lock(&lock) == 0);
}

static void unlocks(void)
{
    CHECK(pthread_mutex_unlock(&lock) == 0);
}

static long locks(void)
{
    return pthread_mutex_lock(&lock);
}

static long locks_for_a_while(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    return pthread_mutex_timedlock(&lock, &until);
}

struct outcome {
    long result;
    int error;
};

#define FAILS(number) {-1, number}
#define IS(value) {value, 0}
#define GOES_ON {-2, 0}

/* What the call answers after SHUTDOWN, and after ERROR; `normal` is what it answers when it gets what it waits for. */
static const struct kind {
    const char *name;
    void (*prepare)(void);
    long (*call)(void);
    void (*give)(void);
    struct outcome after_shutdown, after_error;
    long normal;
} kinds[] = {
    {"read of a connection", connection, reads, writes, IS(0), FAILS(ETIMEDOUT), 1},
    {"read of a pair", pair, reads, writes, IS(0), FAILS(ETIMEDOUT), 1},
    {"send", full_pair, sends, drains, FAILS(EPIPE), FAILS(ETIMEDOUT), 1},
    {"recv of a part", one_byte, receives_two, writes, IS(1), IS(1), 2},
    {"poll of one", connection, polls_one, writes, IS(1), FAILS(EINTR), 1},
    {"poll of two", connection, polls_two, writes, IS(1), FAILS(EINTR), 1},
    {"poll of two pairs", pair, polls_two, writes, FAILS(EINTR), FAILS(EINTR), 1},
    {"select", connection, selects, writes, IS(1), FAILS(EINTR), 1},
    {"epoll_wait", connection, epolls, writes, FAILS(EINTR), FAILS(EINTR), 1},
    {"accept", listens, accepts, connects, FAILS(ETIMEDOUT), FAILS(ETIMEDOUT), 1},
    {"connect", full_listener, connects_in_vain, NULL, FAILS(ETIMEDOUT), FAILS(ETIMEDOUT), 0},
    {"read of a pipe", pipes, reads, writes, FAILS(EINTR), FAILS(EINTR), 1},
    {"read of datagrams", datagrams, reads, writes, FAILS(EINTR), FAILS(EINTR), 1},
    {"usleep", nothing, sleeps, nothing, FAILS(EINTR), FAILS(EINTR), 0},
    {"pthread_mutex_lock", locked, locks, unlocks, GOES_ON, GOES_ON, 0},
    {"pthread_mutex_timedlock", locked, locks_for_a_while, unlocks, IS(ETIMEDOUT), IS(ETIMEDOUT), 0},
};

static const struct kind *kind;
static struct outcome got;
static bool is_over;
static int ended_ways;

static void waits(long unused)
{
    (void)unused;
    errno = 0;
    got.result = kind->call(), got.error = got.result == -1 ? errno : 0;
    is_over = true;
}

/* Cancels the victim, whose wait goes on already; then it is over, or gets what it waits for. */
static struct context *victim;

static void cancels(long verdict)
{
    struct outcome want = verdict == GP_CANCEL_SHUTDOWN ? kind->after_shutdown : kind->after_error;
    if (verdict == GP_CANCEL_IGNORE)
        want = (struct outcome)GOES_ON;
    CHECK(!is_over);
    cancel(victim, verdict);
    usleep(1000);
    if (want.result == -2) {
        CHECK(kind->give == nothing || !is_over);
        kind->give();
        want = (struct outcome)IS(kind->normal);
    } else if (!is_over) {
        fprintf(stderr, "%s: goes on after %ld\n", kind->name, verdict);
        exit(1);
    }
    while (!is_over)
        usleep(1000);
    if (got.result != want.result || got.error != want.error) {
        fprintf(stderr, "%s: after %ld it answers %ld (%s)\n", kind->name, verdict, got.result, strerror(got.error));
        exit(1);
    }
    ended_ways++;
}

static void *waits_natively(void *unused)
{
    waits(0);
    return unused;
}

/* Shuts down what the call of this kind waits for, or is about to wait for: its answer is the same. */
static void shut_natively(void)
{
    pthread_t thread;
    kind->prepare();
    CHECK(pthread_create(&thread, NULL, waits_natively, NULL) == 0);
    usleep(2000);
    CHECK(shutdown(at[0], SHUT_RDWR) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(got.result == kind->after_shutdown.result && got.error == kind->after_shutdown.error);
    ended_ways++;
}

int main(int count, char **words)
{
    (void)words;
    is_sliced = count > 1;
    if (!gp_is_present()) {
        for (kind = kinds; kind < kinds + sizeof kinds / sizeof *kinds; kind++)
            if (kind->after_shutdown.error != kind->after_error.error || kind->call == receives_two)
                shut_natively();
        printf("%d ways to end a wait\n", ended_ways);
        return 0;
    }
    lend();
    for (kind = kinds; kind < kinds + sizeof kinds / sizeof *kinds; kind++)
        for (int verdict = GP_CANCEL_SHUTDOWN; verdict <= GP_CANCEL_IGNORE; verdict++) {
            if (verdict == GP_CANCEL_IGNORE && kind->give == NULL)
                continue;
            is_over = false, is_ignored = verdict == GP_CANCEL_IGNORE;
            kind->prepare();
            victim = spawn(waits, 0);
            spawn(cancels, verdict);
            run();
            if (kind->prepare == listens && verdict != GP_CANCEL_IGNORE) {
                /* The listener is as it was. */
                spawn(waits, 0);
                connects();
                run();
                CHECK(got.result == 1);
            }
        }
    CHECK(gp_unlend() == 0);
    printf("%d ways to end a wait\n", ended_ways);
    return 0;
}
