/* 200 pairs of threads, each echoing over a unix connection of its own.
 * covers: recv send read write
 * proof: green_threads>=400 parks>=200 hooks.recv>=2000 hooks.send>=2000 hooks.read>=2000 hooks.write>=2000
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

int main(void)
{
    pthread_t thread[PAIRS][2];
    for (int i = 0; i < PAIRS; i++) {
        unix_pair(SOCK_STREAM, connection[i]);
        thread[i][0] = spawn(server, &connection[i][0]);
        thread[i][1] = spawn(client, &connection[i][1]);
    }
    for (int i = 0; i < PAIRS; i++)
        for (int j = 0; j < 2; j++)
            join(thread[i][j]);
    say("%d pairs, %d rounds each", PAIRS, ROUNDS);
    return 0;
}
