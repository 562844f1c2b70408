/* stdio on sockets: fgets and fread wait for a slow peer while other threads go on; fclose ends the connection.
 * covers: fclose recv send shutdown
 * proof: green_threads>=22 parks>=440 hooks.fclose>=20
 */
#include "sockets.h"

enum { CONNECTIONS = 10, LINES = 20 };

/* Answers each line in upper case, a few bytes at a time. */
static void *slow_server(void *end)
{
    char byte;
    while (recv(*(int *)end, &byte, 1, 0) == 1) {
        if (byte >= 'a' && byte <= 'z')
            byte += 'A' - 'a';
        if (send(*(int *)end, &byte, 1, MSG_NOSIGNAL) != 1)
            break;
        if (byte == ' ')
            sched_yield();
    }
    close(*(int *)end);
    return NULL;
}

static void *client(void *end)
{
    FILE *in = fdopen(*(int *)end, "r"), *out = fdopen(dup(*(int *)end), "w");
    char line[64], expected[64];
    CHECK(in && out);
    for (int i = 0; i < LINES; i++) {
        CHECK(fprintf(out, "line number %d\n", i) > 0);
        CHECK_IS(fflush(out), 0);
        snprintf(expected, sizeof expected, "LINE NUMBER %d\n", i);
        CHECK(fgets(line, sizeof line, in));
        CHECK(strcmp(line, expected) == 0);
    }
    CHECK(fputs("block of twenty byte", out) >= 0);
    CHECK_IS(fflush(out), 0);
    CHECK_IS(fread(line, 1, 20, in), 20);
    CHECK(memcmp(line, "BLOCK OF TWENTY BYTE", 20) == 0);
    CHECK_IS(fclose(out), 0);
    CHECK_IS(shutdown(fileno(in), SHUT_WR), 0);
    CHECK(fgets(line, sizeof line, in) == NULL && feof(in));
    CHECK_IS(fclose(in), 0);
    return NULL;
}

static int one[2];

static void *prompt(void *unused)
{
    nap(3);
    transmit(one[1], "one ");
    nap(3);
    transmit(one[1], "two\nrest");
    return unused;
}

static void a_slow_line(void)
{
    char line[32];
    unix_pair(SOCK_STREAM, one);
    FILE *file = fdopen(one[0], "r+");
    pthread_t thread = spawn(prompt, NULL);
    CHECK(fgets(line, sizeof line, file));
    say("a line in pieces: %.7s", line);
    join(thread);
    CHECK_IS(fgetc(file), 'r');
    CHECK_IS(fclose(file), 0);
    CHECK_IS(recv(one[1], line, 1, 0), 0);
    say("closed: the peer sees the end");
    close(one[1]);
}

int main(void)
{
    static int end[CONNECTIONS][2];
    pthread_t thread[CONNECTIONS][2];
    in_thread(a_slow_line);
    for (int i = 0; i < CONNECTIONS; i++) {
        tcp_pair(end[i]);
        CHECK_IS(setsockopt(end[i][0], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
        thread[i][0] = spawn(slow_server, &end[i][0]);
        thread[i][1] = spawn(client, &end[i][1]);
    }
    for (int i = 0; i < CONNECTIONS; i++)
        for (int j = 0; j < 2; j++)
            join(thread[i][j]);
    say("%d connections, %d lines each", CONNECTIONS, LINES);
    return 0;
}
