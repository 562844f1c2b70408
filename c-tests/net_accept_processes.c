/* Two processes accept on one listener: who loses a race goes on waiting, and each connection is served once.
 * covers: accept shutdown
 * proof: green_threads>=4 parks>=1 hooks.accept>=1
 */
#include "sockets.h"

enum { CLIENTS = 4, ROUNDS = 10 };
static int listener;
static struct sockaddr_in address;

static void *serve(void *unused)
{
    int fd;
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        transmit(fd, "once");
        close(fd);
    }
    CHECK(errno == EINVAL);
    return unused;
}

static void *client(void *unused)
{
    char text[8] = "";
    for (int i = 0; i < ROUNDS; i++) {
        int fd = tcp_connect(&address);
        CHECK_IS(recv(fd, text, sizeof text, MSG_WAITALL), 4);
        close(fd);
    }
    return unused;
}

/* Without the connections that were open at the fork: held here, they would never end. */
static void child(void)
{
    CHECK_IS(close_range(listener + 1, ~0u, 0), 0);
    pthread_t server = spawn(serve, NULL);
    serve(NULL);
    join(server);
}

static void *both(void *unused)
{
    int status = in_child(child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return unused;
}

int main(void)
{
    pthread_t clients[CLIENTS];
    listener = tcp_listen(&address, CLIENTS);
    pthread_t server = spawn(serve, NULL), process = spawn(both, NULL);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = spawn(client, NULL);
    for (int i = 0; i < CLIENTS; i++)
        join(clients[i]);
    say("%d connections served", CLIENTS * ROUNDS);
    CHECK_IS(shutdown(listener, SHUT_RDWR), 0);
    join(server);
    join(process);
    say("both processes ended");
    return 0;
}
