/* One number, again and again something else: socket, pipe, regular file, device, epoll set. Whatever was known of the
 * number's last holder must not be believed of the next, however it was closed.
 * covers: close __close dup2 dup3 close_range socketpair read write recv poll
 * proof: green_threads>=8 parks>=4 hooks.close>=10 hooks.read>=20
 */
#include "sockets.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

extern int __close(int);

enum { KINDS = 6, ROUNDS = 12 };
static int number, peer;

static void *late_write(void *unused)
{
    nap(1);
    CHECK_IS(write(peer, "late now", 8), 8);
    return unused;
}

static void wait_for_it(void)
{
    char text[9] = "";
    pthread_t thread = spawn(late_write, NULL);
    CHECK_IS(read(number, text, 8), 8);
    CHECK(strcmp(text, "late now") == 0);
    join(thread);
}

/* Makes this kind of file, sees it get the number, uses it: those that wait are made to wait. */
static void use(int kind)
{
    int pair[2] = {-1, -1};
    char text[9] = "";
    struct epoll_event event;
    switch (kind) {
    case 0:
        unix_pair(SOCK_STREAM, pair);
        break;
    case 1:
        CHECK_IS(pipe(pair), 0);
        break;
    case 2:
        pair[0] = open("/dev/null", O_RDWR);
        CHECK_IS(read(pair[0], text, 8), 0);
        break;
    case 3:
        pair[0] = open("/proc/self/status", O_RDONLY);
        CHECK_IS(read(pair[0], text, 5), 5);
        CHECK(strcmp(text, "Name:") == 0);
        break;
    case 4:
        pair[0] = epoll_create1(0);
        CHECK_IS(epoll_wait(pair[0], &event, 1, 1), 0);
        CHECK_FAILS(read(pair[0], text, 8), EINVAL);
        break;
    default:
        unix_pair(SOCK_STREAM, pair);
        CHECK_IS(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
        CHECK_FAILS(read(pair[0], text, 8), EAGAIN);
        CHECK_FAILS(recv(pair[0], text, 8, 0), EAGAIN);
        CHECK_IS(fcntl(pair[0], F_SETFL, 0), 0);
    }
    number = pair[0], peer = pair[1];
    CHECK(number >= 0);
    if (peer >= 0)
        wait_for_it();
}

static void release(int way)
{
    int other;
    switch (way) {
    case 0:
        CHECK_IS(close(number), 0);
        break;
    case 1:
        CHECK_IS(__close(number), 0);
        break;
    case 2:
        CHECK_IS(close_range(number, number, 0), 0);
        break;
    default:
        other = eventfd(1, 0);
        CHECK_IS(way == 3 ? dup2(other, number) : dup3(other, number, O_CLOEXEC), number);
        CHECK_IS(eventfd_read(number, &(eventfd_t){0}), 0);
        CHECK_IS(poll(&(struct pollfd){number, POLLIN, 0}, 1, 0), 0);
        close(other), close(number);
    }
    if (peer >= 0)
        close(peer);
}

static void all(void)
{
    int first = -1;
    for (int i = 0; i < ROUNDS * 5; i++) {
        use(i % KINDS);
        if (first < 0)
            first = number;
        CHECK_IS(number, first);
        release(i % 5);
    }
    say("%d files on one number, each as it is", ROUNDS * 5);
}

int main(void)
{
    in_thread(all);
    return 0;
}
