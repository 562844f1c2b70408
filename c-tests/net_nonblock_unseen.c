/* O_NONBLOCK belongs to the open file: set where nobody here sees it (through a number that was passed over a socket, by a process that
 * shares the file, by a system call instruction), it is obeyed all the same; who is blocked by then goes on being blocked.
 * covers: recv recvmsg read send accept sendmsg fcntl posix_spawn fork
 * proof: green_threads>=20 parks>=20 hooks.recv>=20 hooks.read>=5 hooks.accept>=5
 */
#include "sockets.h"
#include <spawn.h>
#include <sys/syscall.h>

extern char **environ;

static const char *self;
static int fd[2], channel[2];

/* Sets O_NONBLOCK by the instruction itself. */
static void set_unseen(int number)
{
    long result, flags = O_NONBLOCK | O_RDWR;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_fcntl), "D"((long)number), "S"((long)F_SETFL), "d"(flags)
                     : "rcx", "r11", "memory");
    CHECK_IS(result, 0);
}

/* The same number, passed over a socket: another one for the same file. */
static int passed(int number)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct iovec part = {(char[2]){"x"}, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    memcpy(CMSG_DATA(&control.header), &number, sizeof number);
    CHECK_IS(sendmsg(channel[1], &message, 0), 1);
    CHECK_IS(recvmsg(channel[0], &message, 0), 1);
    memcpy(&number, CMSG_DATA(&control.header), sizeof number);
    return number;
}

static void set_through_passed(int number)
{
    int other = passed(number);
    CHECK_IS(fcntl(other, F_SETFL, O_NONBLOCK), 0);
    close(other);
}

static int given;

static void set_given(void)
{
    CHECK_IS(fcntl(given, F_SETFL, O_NONBLOCK), 0);
}

static void set_by_child(int number)
{
    given = number;
    CHECK_IS(in_child(set_given), 0);
}

static void set_by_program(int number)
{
    char text[16];
    int status;
    pid_t child;
    snprintf(text, sizeof text, "%d", number);
    CHECK_IS(posix_spawn(&child, self, NULL, NULL, (char *[]){"set", text, NULL}, environ), 0);
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK_IS(status, 0);
}

static void *transmit_late(void *end)
{
    nap(3);
    transmit(*(int *)end, "late");
    return NULL;
}

/* Waits on it once, so that whatever is to be known of it is known. */
static void block_once(int pair[2])
{
    pthread_t thread = spawn(transmit_late, &pair[1]);
    receive(pair[0], "late");
    join(thread);
}

static ssize_t by_recv(int number)
{
    return recv(number, &(char){0}, 1, 0);
}

static ssize_t by_read(int number)
{
    return read(number, &(char){0}, 1);
}

static ssize_t by_recvmsg(int number)
{
    struct iovec part = {&(char){0}, 1};
    return recvmsg(number, &(struct msghdr){.msg_iov = &part, .msg_iovlen = 1}, 0);
}

static ssize_t by_send(int number)
{
    static char block[4096];
    fill(number);
    return send(number, block, sizeof block, 0);
}

static const struct {
    const char *name;
    void (*set)(int);
} ways[] = {
    {"through a number that was passed", set_through_passed},
    {"by a child", set_by_child},
    {"by a program that was started", set_by_program},
    {"by the instruction itself", set_unseen},
};
static ssize_t (*const calls[])(int) = {by_recv, by_read, by_recvmsg, by_send};

static void connected(int way)
{
    for (int i = 0; i < 4; i++)
        for (int kind = 0; kind < 2; kind++) {
            if (kind == 0)
                tcp_pair(fd);
            else
                unix_pair(SOCK_STREAM, fd);
            block_once(fd);
            ways[way].set(fd[0]);
            CHECK_FAILS(calls[i](fd[0]), EAGAIN);
            close_pair(fd);
        }
}

static void accepted(int way)
{
    struct sockaddr_in address;
    int listener = tcp_listen(&address, 5), client = tcp_connect(&address), server = accept(listener, NULL, NULL);
    CHECK(server >= 0);
    ways[way].set(server);
    CHECK_FAILS(by_recv(server), EAGAIN);
    ways[way].set(client);
    CHECK_FAILS(by_recv(client), EAGAIN);
    ways[way].set(listener);
    CHECK_FAILS(accept(listener, NULL, NULL), EAGAIN);
    close(listener), close(client), close(server);
}

static void *reader(void *number)
{
    receive(*(int *)number, "first, second");
    return NULL;
}

/* Who is inside its call when another process sets the flag is not concerned. */
static void meanwhile(void)
{
    unix_pair(SOCK_STREAM, fd);
    int copy = passed(fd[0]);
    pthread_t thread = spawn(reader, &fd[0]);
    transmit(fd[1], "first");
    wait_taken(fd[0]);
    nap(2);
    set_by_child(copy);
    nap(400);
    transmit(fd[1], ", second");
    join(thread);
    CHECK_FAILS(by_recv(fd[0]), EAGAIN);
    close(copy);
    close_pair(fd);
}

static void all(void)
{
    unix_pair(SOCK_STREAM, channel);
    for (int way = 0; way < 4; way++) {
        connected(way);
        accepted(way);
        say("%s: EAGAIN", ways[way].name);
    }
    meanwhile();
    say("set while a reader is blocked: he got all, the next does not wait");
}

int main(int argc, char **argv)
{
    if (argc == 2) {
        given = atoi(argv[1]);
        set_given();
        return 0;
    }
    self = argv[0];
    in_thread(all);
    return 0;
}
