/* A signal handler interrupts a blocked call: EINTR without SA_RESTART, unnoticed with it, but EINTR with a timeout in any case; what was
 * already received or sent is counted.
 * covers: recv recvfrom recvmsg read send accept connect
 * proof: green_threads>=8 parks>=1 hooks.recv>=4 hooks.pthread_kill>=8
 */
#include "signals.h"
#include "sockets.h"

static int fd[2], listener;
static struct sockaddr_un name;
static socklen_t size;
static atomic_bool done;
static char byte, block[1 << 20];
static struct iovec part = {&byte, 1};
static struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

/* What blocks, one call each. */
static ssize_t a_recv(void) { return recv(fd[0], &byte, 1, 0); }
static ssize_t a_recvfrom(void) { return recvfrom(fd[0], &byte, 1, 0, NULL, NULL); }
static ssize_t a_recvmsg(void) { return recvmsg(fd[0], &message, 0); }
static ssize_t a_read(void) { return read(fd[0], &byte, 1); }
static ssize_t a_send(void) { return send(fd[0], block, 1, 0); }
static ssize_t an_accept(void) { return accept(listener, NULL, NULL); }
static ssize_t a_connect(void) { return connect(fd[0], (struct sockaddr *)&name, size); }

static void *until_interrupted(void *call)
{
    CHECK_FAILS((*(ssize_t(**)(void))call)(), EINTR);
    atomic_store(&done, true);
    return NULL;
}

static void interrupted(ssize_t (*call)(void), const char *what)
{
    atomic_store(&done, false);
    pthread_t thread = spawn(until_interrupted, &call);
    signal_until(thread, SIGUSR1, &done);
    join(thread);
    CHECK(atomic_load(&signals_caught) > 0);
    say("%s: EINTR", what);
}

static void *to_the_end(void *unused)
{
    receive(fd[0], "data");
    return unused;
}

static void restarted(void)
{
    catch_signal(SIGUSR1, SA_RESTART);
    pthread_t thread = spawn(to_the_end, NULL);
    signal_times(thread, SIGUSR1, 3);
    transmit(fd[1], "data");
    join(thread);
    say("SA_RESTART: recv goes on");
    timeout_ms(fd[0], SO_RCVTIMEO, 60000);
    interrupted(a_recv, "SA_RESTART and SO_RCVTIMEO");
    timeout_ms(fd[0], SO_RCVTIMEO, 0);
}

static void *partly(void *unused)
{
    char text[16] = "";
    CHECK_IS(recv(fd[0], text, 16, MSG_WAITALL), 4);
    say("MSG_WAITALL interrupted: %s", text);
    atomic_store(&done, true);
    return unused;
}

static void *partly_sent(void *unused)
{
    ssize_t sent = send(fd[0], block, sizeof block, 0);
    CHECK(sent > 0 && sent < (ssize_t)sizeof block);
    say("send interrupted: what went");
    atomic_store(&done, true);
    return unused;
}

static void counted(void)
{
    atomic_store(&done, false);
    pthread_t thread = spawn(partly, NULL);
    transmit(fd[1], "some");
    wait_taken(fd[0]);
    signal_until(thread, SIGUSR1, &done);
    join(thread);
    atomic_store(&done, false);
    thread = spawn(partly_sent, NULL);
    CHECK_IS(poll(&(struct pollfd){fd[1], POLLIN, 0}, 1, -1), 1);
    nap(2);
    signal_until(thread, SIGUSR1, &done);
    join(thread);
}

static void connecting(void)
{
    int first = socket(AF_UNIX, SOCK_STREAM, 0);
    fd[0] = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_IS(connect(first, (struct sockaddr *)&name, size), 0);
    interrupted(a_connect, "connect");
    close(first), close(fd[0]);
}

int main(void)
{
    catch_signal(SIGUSR1, 0);
    unix_pair(SOCK_STREAM, fd);
    interrupted(a_recv, "recv");
    interrupted(a_recvfrom, "recvfrom");
    interrupted(a_recvmsg, "recvmsg");
    interrupted(a_read, "read");
    restarted();
    catch_signal(SIGUSR1, 0);
    fill(fd[0]);
    interrupted(a_send, "send");
    close_pair(fd);
    tcp_pair(fd);
    small_buffers(fd);
    counted();
    close_pair(fd);
    listener = unix_bound(SOCK_STREAM, &name, &size);
    CHECK_IS(listen(listener, 0), 0);
    interrupted(an_accept, "accept");
    connecting();
    return 0;
}
