/* 200 pairs of threads, each echoing over a TCP connection of its own.
 * covers: recv send read write accept connect setsockopt
 * proof: green_threads>=401 parks>=200 hooks.recv>=2000 hooks.send>=2000 hooks.read>=2000 hooks.write>=2000
 */
#include "sockets.h"

enum { PAIRS = 200, ROUNDS = 10, SIZE = 64 };
static int connection[PAIRS][2];

static void *server(void *end)
{
    char text[SIZE];
    while (recv(*(int *)end, text, SIZE, MSG_WAITALL) == SIZE)
        CHECK_IS(send(*(int *)end, text, SIZE, 0), SIZE);
    return NULL;
}

static void *client(void *end)
{
    char sent[SIZE], received[SIZE];
    for (int i = 0; i < ROUNDS; i++) {
        memset(sent, *(int *)end + i, SIZE);
        CHECK_IS(write(*(int *)end, sent, SIZE), SIZE);
        for (ssize_t total = 0, got; total < SIZE; total += got)
            CHECK((got = read(*(int *)end, received + total, SIZE - total)) > 0);
        CHECK(memcmp(sent, received, SIZE) == 0);
    }
    CHECK_IS(close(*(int *)end), 0);
    return NULL;
}

static int listener;
static struct sockaddr_in address;

static void *acceptor(void *unused)
{
    for (int i = 0; i < PAIRS; i++)
        CHECK((connection[i][0] = accept(listener, NULL, NULL)) >= 0);
    return unused;
}

int main(void)
{
    pthread_t thread[PAIRS][2];
    listener = tcp_listen(&address, PAIRS);
    pthread_t accepting = spawn(acceptor, NULL);
    for (int i = 0; i < PAIRS; i++) {
        connection[i][1] = tcp_connect(&address);
        CHECK_IS(setsockopt(connection[i][1], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    }
    join(accepting);
    for (int i = 0; i < PAIRS; i++) {
        thread[i][0] = spawn(server, &connection[i][0]);
        thread[i][1] = spawn(client, &connection[i][1]);
    }
    for (int i = 0; i < PAIRS; i++)
        for (int j = 0; j < 2; j++)
            join(thread[i][j]);
    say("%d pairs, %d rounds each", PAIRS, ROUNDS);
    return 0;
}
