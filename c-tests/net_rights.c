/* Descriptors passed over a unix socket: recvmsg waits for them, they are the same open file, and their numbers are new ones.
 * covers: recvmsg sendmsg read write
 * proof: green_threads>=2 parks>=1 hooks.recvmsg>=2 hooks.sendmsg>=2
 */
#include "sockets.h"

static int line[2];

static void give(int fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct iovec part = {"fd", 2};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    CHECK_IS(sendmsg(line[1], &message, 0), 2);
}

static int take(int flags)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    char text[3] = "";
    int fd;
    struct iovec part = {text, 2};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    CHECK_IS(recvmsg(line[0], &message, flags), 2);
    CHECK(message.msg_controllen == sizeof control && control.header.cmsg_type == SCM_RIGHTS);
    memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
    return fd;
}

/* Gives the reading ends of three pipes, one by one; each is closed here before anything is written. */
static void *giver(void *unused)
{
    for (int i = 0; i < 3; i++) {
        int end[2];
        nap(1);
        CHECK_IS(pipe(end), 0);
        CHECK_IS(fcntl(end[0], F_SETFL, i == 2 ? O_NONBLOCK : 0), 0);
        give(end[0]);
        close(end[0]);
        nap(1);
        CHECK_IS(write(end[1], "through the pipe", 16), 16);
        close(end[1]);
    }
    return unused;
}

static void taker(void)
{
    unix_pair(SOCK_STREAM, line);
    pthread_t thread = spawn(giver, NULL);
    for (int i = 0; i < 3; i++) {
        char text[17] = "";
        int fd = take(i == 1 ? MSG_CMSG_CLOEXEC : 0), flags = fcntl(fd, F_GETFL);
        say("pipe %d:%s%s", i, fcntl(fd, F_GETFD) & FD_CLOEXEC ? " close-on-exec" : "", flags & O_NONBLOCK ? " non-blocking" : "");
        while (read(fd, text, 16) < 0)
            CHECK(errno == EAGAIN && i == 2 && poll(&(struct pollfd){fd, POLLIN, 0}, 1, -1) == 1);
        CHECK_IS(poll(&(struct pollfd){fd, POLLIN, 0}, 1, -1), 1);
        CHECK_IS(read(fd, text + 16, 1), 0);
        say("read: %s", text);
        close(fd);
    }
    join(thread);
    close_pair(line);
}

int main(void)
{
    in_thread(taker);
    return 0;
}
