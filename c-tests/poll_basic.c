/* poll: timeouts of 0, some and none; negative and duplicate descriptors, POLLNVAL, POLLHUP, POLLERR, no descriptors at all.
 * covers: poll __poll __poll_chk __ppoll_chk
 * proof: green_threads>=3 parks>=4 hooks.poll>=6 hooks.__poll>=2 hooks.__poll_chk>=1 hooks.__ppoll_chk>=1
 */
#include "sockets.h"

extern int __poll(struct pollfd *, nfds_t, int);
extern int __poll_chk(struct pollfd *, nfds_t, int, size_t);
extern int __ppoll_chk(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *, size_t);

static const int SHORT = 5;
static int fd[2];

static void times_out(void)
{
    struct pollfd entry = {fd[0], POLLIN, 0x55};
    long long begin = now_ms();
    CHECK_IS(poll(&entry, 1, SHORT), 0);
    CHECK_IS(entry.revents, 0);
    CHECK_IS(__poll(&entry, 1, SHORT), 0);
    CHECK_IS(__poll_chk(&entry, 1, SHORT, sizeof entry), 0);
    CHECK_IS(__ppoll_chk(&entry, 1, &(struct timespec){0, SHORT * 1000000}, NULL, sizeof entry), 0);
    CHECK_IS(poll(NULL, 0, SHORT), 0);
    CHECK_IS(poll(&(struct pollfd){-1, POLLIN, 0}, 1, SHORT), 0);
    CHECK(now_ms() - begin >= 6 * SHORT - 1);
    say("timeouts: 6 times nothing, none too early");
    CHECK_IS(poll(&entry, 1, 0), 0);
    CHECK_IS(poll(NULL, 0, 0), 0);
    CHECK_IS(__ppoll_chk(&entry, 1, &(struct timespec){0, 0}, NULL, sizeof entry), 0);
    say("no time: nothing");
}

static void *late_sender(void *unused)
{
    nap(2);
    transmit(fd[1], "x");
    return unused;
}

static void many_entries(void)
{
    struct pollfd entry[] = {{-7, POLLIN, 0x55}, {fd[0], POLLIN, 0}, {fd[1], POLLIN, 0}, {fd[0], POLLIN | POLLOUT, 0}, {fd[0], 0, 0}};
    CHECK_IS(poll(entry, 3, 0), 0);
    pthread_t thread = spawn(late_sender, NULL);
    CHECK_IS(poll(entry, 3, -1), 1);
    join(thread);
    CHECK(entry[0].revents == 0 && entry[1].revents == POLLIN && entry[2].revents == 0);
    CHECK_IS(__poll(entry, 5, -1), 2);
    CHECK(entry[3].revents == (POLLIN | POLLOUT) && entry[4].revents == 0);
    say("a negative one is skipped, a duplicate counts twice");
    receive(fd[0], "x");
    thread = spawn(late_sender, NULL);
    CHECK_IS(poll(entry, 3, -2), 1);
    join(thread);
    receive(fd[0], "x");
    thread = spawn(late_sender, NULL);
    CHECK_IS(poll(entry, 3, 60000), 1);
    join(thread);
    receive(fd[0], "x");
    say("waited without a limit and with a long one");
}

static void states(void)
{
    int line[2], closed = dup(fd[0]), file = open("/dev/null", O_RDWR);
    close(closed);
    struct pollfd entry[] = {{fd[0], POLLIN, 0}, {closed, POLLIN, 0}};
    CHECK_IS(poll(entry, 2, -1), 1);
    CHECK_IS(entry[1].revents, POLLNVAL);
    CHECK_IS(entry[0].revents, 0);
    say("closed: POLLNVAL");
    CHECK_IS(poll(&(struct pollfd){file, POLLIN | POLLOUT, 0}, 1, -1), 1);
    say("/dev/null: always ready");
    CHECK_IS(pipe(line), 0);
    close(line[1]);
    entry[0] = (struct pollfd){line[0], 0, 0};
    CHECK_IS(poll(entry, 1, -1), 1);
    CHECK_IS(entry[0].revents, POLLHUP);
    say("the writer gone: POLLHUP, unasked");
    close(line[0]);
    CHECK_IS(pipe(line), 0);
    close(line[0]);
    entry[0] = (struct pollfd){line[1], 0, 0};
    CHECK_IS(poll(entry, 1, -1), 1);
    CHECK_IS(entry[0].revents, POLLERR);
    say("the reader gone: POLLERR, unasked");
    close(line[1]), close(file);
}

static void *closer(void *end)
{
    nap(2);
    close(*(int *)end);
    return NULL;
}

/* Nothing was asked for, so nothing but the end of the peer can wake. */
static void unasked(void)
{
    int line[2];
    CHECK_IS(pipe(line), 0);
    struct pollfd entry = {line[0], 0, 0};
    pthread_t thread = spawn(closer, &line[1]);
    CHECK_IS(poll(&entry, 1, -1), 1);
    CHECK_IS(entry.revents, POLLHUP);
    join(thread);
    close(line[0]);
    entry = (struct pollfd){fd[0], POLLIN | POLLRDHUP, 0};
    thread = spawn(closer, &fd[1]);
    CHECK_IS(poll(&entry, 1, -1), 1);
    CHECK_IS(entry.revents, POLLIN | POLLRDHUP | POLLHUP);
    join(thread);
    say("the peer closed: POLLIN POLLRDHUP POLLHUP");
}

static void overflow(void)
{
    struct pollfd entry = {-1, 0, 0};
    close(STDERR_FILENO);
    __poll_chk(&entry, 2, 0, sizeof entry);
}

static void all(void)
{
    unix_pair(SOCK_STREAM, fd);
    times_out();
    many_entries();
    states();
    unasked();
    close(fd[0]);
}

int main(void)
{
    in_thread(all);
    int status = in_child(overflow);
    CHECK(WIFSIGNALED(status));
    say("__poll_chk, 2 entries in room for 1: SIG%s", sigabbrev_np(WTERMSIG(status)));
    return 0;
}
