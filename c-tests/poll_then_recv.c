/* What poll has just seen, a recv or accept that does not wait finds: data, and a connection, of another process.
 * covers: poll recv accept send fork
 * proof: green_threads>=1 parks>=200 hooks.recv>=2000
 */
#include "ctest.h"
#include <netinet/in.h>
#include <sys/socket.h>

enum { ROUNDS = 1000, CONNECTIONS = 200 };

static struct sockaddr_in address = {.sin_family = AF_INET};
static int listener;

static void set_nonblocking(int fd)
{
    CHECK_IS(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

/* Another process: answers each byte with one by either way, then connects again and again. */
static void answer(int one, int other)
{
    char byte;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_IS(read(one, &byte, 1), 1);
        CHECK_IS(write(one, &byte, 1), 1);
        for (volatile int wait = i % 64 * 200; wait > 0; wait--)
            ;
        CHECK_IS(write(other, &byte, 1), 1);
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        int connection = socket(AF_INET, SOCK_STREAM, 0);
        CHECK_IS(connect(connection, (struct sockaddr *)&address, sizeof address), 0);
        CHECK_IS(read(connection, &byte, 1), 0);
        close(connection);
    }
}

static void *looks(void *unused)
{
    int one[2], other[2];
    char byte;
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, one), 0);
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, other), 0);
    pid_t child = fork();
    if (child == 0) {
        answer(one[1], other[1]);
        _exit(0);
    }
    set_nonblocking(one[0]);
    set_nonblocking(other[0]);
    set_nonblocking(listener);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_FAILS(recv(one[0], &byte, 1, 0), EAGAIN);
        CHECK_FAILS(recv(other[0], &byte, 1, 0), EAGAIN);
        CHECK_IS(send(one[0], "x", 1, 0), 1);
        for (int left = 2; left > 0;) {
            struct pollfd both[2] = {{one[0], POLLIN, 0}, {other[0], POLLIN, 0}};
            CHECK(poll(both, 2, -1) > 0);
            for (int k = 0; k < 2; k++)
                if (both[k].revents) {
                    CHECK_IS(recv(both[k].fd, &byte, 1, 0), 1);
                    left--;
                }
        }
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        struct pollfd both[2] = {{listener, POLLIN, 0}, {other[0], POLLIN, 0}};
        CHECK_IS(poll(both, 2, -1), 1);
        int connection = accept(listener, NULL, NULL);
        CHECK(connection >= 0);
        CHECK_FAILS(accept(listener, NULL, NULL), EAGAIN);
        close(connection);
    }
    CHECK_IS(waitpid(child, NULL, 0), child);
    return unused;
}

int main(void)
{
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_IS(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_IS(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    CHECK_IS(listen(listener, 16), 0);
    join(spawn(looks, NULL));
    say("%d bytes and %d connections were there when poll said so", ROUNDS, CONNECTIONS);
    return 0;
}
