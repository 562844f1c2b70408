/* Threads whose system log does not read keep nobody else from running: one waits in syslog for the log, the others for that one.
 * covers: send recv
 * proof: green_threads>=22 parks>=45 hooks.send>=20
 */
#include "ticker.h"
#include "supervisor.h"
#include <sys/socket.h>
#include <syslog.h>

static int ends[2];

/* The machine's log is not touched: when syslog has made its socket and connects it, that number becomes an end of the test's own. */
static void redirect(int reports)
{
    struct seccomp_notif call;
    while (next_call(reports, &call)) {
        struct seccomp_notif_addfd own = {.id = call.id, .flags = SECCOMP_ADDFD_FLAG_SETFD, .srcfd = ends[0], .newfd = call.data.args[0]};
        if (ioctl(reports, SECCOMP_IOCTL_NOTIF_ADDFD, &own) >= 0)
            answer_call(reports, call.id, 0);
    }
}

static void open_own_log(void)
{
    static const int connects[] = {SYS_connect};
    CHECK_IS(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    int reports = catch_calls(connects, 1);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(CTEST_SECONDS);
        redirect(reports);
        _exit(0);
    }
    openlog("ctest", LOG_NDELAY, LOG_USER);
    kill(child, SIGKILL);
    CHECK_IS(waitpid(child, NULL, 0), child);
    close(reports);
}

/* So much that no more fits. */
static void fill(void)
{
    while (send(ends[0], "full", 4, MSG_DONTWAIT) == 4)
        ;
    CHECK_IS(errno, EAGAIN);
}

static void log_line(void)
{
    syslog(LOG_INFO, "%s", "a line");
}

static void *reads_log(void *unused)
{
    char text[256];
    int lines = 0;
    while (lines < STUCK) {
        ssize_t length = recv(ends[1], text, sizeof text - 1, 0);
        CHECK(length > 0);
        text[length] = 0;
        lines += strstr(text, "ctest: a line") != NULL;
    }
    return unused;
}

static void read_log(void)
{
    join(spawn(reads_log, NULL));
}

int main(void)
{
    open_own_log();
    tick_while_stuck(&(struct way){"syslog", fill, log_line, read_log});
    return 0;
}
