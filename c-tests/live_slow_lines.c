/* Threads inside stdio, in fgets on sockets whose lines come letter by letter, keep nobody else from running.
 * covers: read
 * proof: green_threads>=51 parks>=50 hooks.read>=50
 */
#include "ticker.h"
#include <sys/socket.h>

enum { LINES = 50 };

static int sockets[LINES][2], orders[2];
static atomic_int next;

/* Another process writes the lines, a letter at a time, and ends them when it is told. */
static void write_slowly(void)
{
    struct pollfd order = {.fd = orders[0], .events = POLLIN};
    close(orders[1]);
    while (poll(&order, 1, 20) == 0)
        for (int i = 0; i < LINES; i++)
            CHECK_IS(write(sockets[i][1], "x", 1), 1);
    for (int i = 0; i < LINES; i++)
        CHECK_IS(write(sockets[i][1], "end\n", 4), 4);
}

static void begin_lines(void)
{
    CHECK_IS(pipe(orders), 0);
    for (int i = 0; i < LINES; i++)
        CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets[i]), 0);
    pid_t writer = fork();
    CHECK(writer >= 0);
    if (writer == 0) {
        alarm(CTEST_SECONDS);
        write_slowly();
        _exit(0);
    }
    close(orders[0]);
}

static void get_line(void)
{
    static char line[LINES][4096];
    int mine = next++;
    FILE *stream = fdopen(sockets[mine][0], "r");
    CHECK(fgets(line[mine], sizeof line[mine], stream) != NULL);
    CHECK(strcmp(line[mine] + strspn(line[mine], "x"), "end\n") == 0);
    fclose(stream);
}

static void end_lines(void)
{
    close(orders[1]);
    CHECK(wait(NULL) > 0);
}

int main(void)
{
    tick_while(LINES, &(struct way){"fgets", begin_lines, get_line, end_lines});
    return 0;
}
