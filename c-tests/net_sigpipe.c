/* Sending to a closed peer: SIGPIPE and EPIPE, SIGPIPE's default ends the process, MSG_NOSIGNAL has the error alone; a blocked sender, too.
 * covers: send write writev sendmsg sendto
 * proof: green_threads>=3 parks>=1 hooks.send>=2 hooks.write>=1
 */
#include "signals.h"
#include "sockets.h"

static int fd[2];

#define BROKEN(call, signals)                        \
    do {                                             \
        atomic_store(&signals_caught, 0);            \
        CHECK_FAILS(call, EPIPE);                    \
        CHECK_IS(signals_caught, signals);           \
        say("%s: EPIPE, SIGPIPE %d", #call, signals); \
    } while (0)

static void every_call(void)
{
    char byte = 'x';
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    unix_pair(SOCK_STREAM, fd);
    close(fd[1]);
    BROKEN(send(fd[0], &byte, 1, 0), 1);
    BROKEN(sendto(fd[0], &byte, 1, 0, NULL, 0), 1);
    BROKEN(sendmsg(fd[0], &message, 0), 1);
    BROKEN(write(fd[0], &byte, 1), 1);
    BROKEN(writev(fd[0], &part, 1), 1);
    BROKEN(send(fd[0], &byte, 1, MSG_NOSIGNAL), 0);
    BROKEN(sendmsg(fd[0], &message, MSG_NOSIGNAL), 0);
    close(fd[0]);
    CHECK_IS(pipe(fd), 0);
    close(fd[0]);
    BROKEN(write(fd[1], &byte, 1), 1);
    BROKEN(writev(fd[1], &part, 1), 1);
    close(fd[1]);
}

static void *blocked(void *unused)
{
    static char block[1 << 22];
    ssize_t sent = write(fd[1], block, sizeof block);
    CHECK(sent > 0 && sent < (ssize_t)sizeof block);
    CHECK_FAILS(write(fd[1], block, 1), EPIPE);
    return unused;
}

/* The reader goes while a thread is blocked in the middle of a long write: as many signals as errors. */
static void gone_meanwhile(void)
{
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    for (int i = 0; i < 2; i++) {
        atomic_store(&signals_caught, 0);
        pthread_t thread = spawn(blocked, NULL);
        CHECK_IS(poll(&(struct pollfd){fd[0], POLLIN, 0}, 1, -1), 1);
        nap(5);
        if (i == 0)
            shutdown(fd[0], SHUT_RDWR);
        else
            close(fd[0]);
        join(thread);
        say("a blocked writer: what went, then EPIPE, SIGPIPE %d", signals_caught);
        close(fd[1]);
        CHECK_IS(pipe(fd), 0);
    }
    close_pair(fd);
}

static void default_action(void)
{
    signal(SIGPIPE, SIG_DFL);
    unix_pair(SOCK_STREAM, fd);
    close(fd[1]);
    send(fd[0], "x", 1, 0);
}

static void ignored(void)
{
    signal(SIGPIPE, SIG_IGN);
    unix_pair(SOCK_STREAM, fd);
    close(fd[1]);
    CHECK_FAILS(send(fd[0], "x", 1, 0), EPIPE);
}

int main(void)
{
    catch_signal(SIGPIPE, 0);
    in_thread(every_call);
    in_thread(gone_meanwhile);
    int status = in_child(default_action);
    CHECK(WIFSIGNALED(status));
    say("default: SIG%s ended the child", sigabbrev_np(WTERMSIG(status)));
    CHECK_IS(in_child(ignored), 0);
    say("ignored: EPIPE");
    return 0;
}
