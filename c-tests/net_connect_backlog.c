/* connect to a unix socket whose backlog is full waits until somebody accepts, although no readiness tells of it.
 * covers: connect accept fcntl
 * proof: green_threads>=10 hooks.connect>=10 kernel_threads_peak<=16
 * no_park: no readiness tells that a backlog has room: connect waits in the kernel
 * processors: 4
 * passes: fcntl: the flags are the kernel's to tell: that shows that the library did not set any
 */
#include "sockets.h"

enum { CLIENTS = 10, BACKLOG = 2 };
static struct sockaddr_un name;
static socklen_t size;

static void *client(void *number)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_IS(connect(fd, (struct sockaddr *)&name, size), 0);
    CHECK_IS(fcntl(fd, F_GETFL), O_RDWR);
    transmit(fd, (char[]){'a' + (intptr_t)number, 0});
    close(fd);
    return NULL;
}

int main(void)
{
    int listener = unix_bound(SOCK_STREAM, &name, &size), waiting = 0;
    pthread_t thread[CLIENTS];
    char letters[CLIENTS + 1] = "";
    CHECK_IS(listen(listener, BACKLOG), 0);
    for (int i = 0; i < CLIENTS; i++)
        thread[i] = spawn(client, (void *)(intptr_t)i);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    for (; connect(fd, (struct sockaddr *)&name, size) == 0; waiting++) {
        close(fd);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    }
    CHECK(errno == EAGAIN);
    close(fd);
    say("a non-blocking connect: EAGAIN");
    for (int i = 0; i < CLIENTS + waiting; i++) {
        char byte;
        fd = accept(listener, NULL, NULL);
        CHECK(fd >= 0);
        if (recv(fd, &byte, 1, 0) == 1)
            letters[byte - 'a'] = byte;
        close(fd);
    }
    for (int i = 0; i < CLIENTS; i++)
        join(thread[i]);
    say("the blocked ones: %s", letters);
    return 0;
}
