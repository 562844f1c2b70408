/* Threads blocked inside stdio, in fgets on a socket and on a FILE's own lock, let the thread run that ends their wait.
 * covers: pthread_create send
 * proof: green_threads>=6 parks>=1
 */
#include "ctest.h"
#include <sys/socket.h>

static FILE *shared;
static atomic_bool locked, ended;

static void *reads_lines(void *stream)
{
    char line[32];
    intptr_t count = 0;
    while (fgets(line, sizeof line, stream) != NULL)
        CHECK_IS(atoi(line), count++);
    return (void *)count;
}

static void *holds_the_lock(void *argument)
{
    flockfile(shared);
    locked = true;
    fputs("held, ", shared);
    nap(3);
    fputs("and held, ", shared);
    ended = true;
    funlockfile(shared);
    return argument;
}

static void *wants_the_lock(void *argument)
{
    fputs("then taken", shared);
    CHECK(ended);
    return argument;
}

int main(void)
{
    int pairs[4][2];
    pthread_t readers[4];
    for (int i = 0; i < 4; i++) {
        CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
        readers[i] = spawn(reads_lines, fdopen(pairs[i][0], "r"));
    }
    for (int line = 0; line < 3; line++)
        for (int i = 0; i < 4; i++) {
            char text[16];
            int length = snprintf(text, sizeof text, "%d\n", line);
            nap(line == 1);
            CHECK_IS(send(pairs[i][1], text, length, 0), length);
        }
    for (int i = 0; i < 4; i++) {
        close(pairs[i][1]);
        CHECK_IS(join(readers[i]), 3);
    }
    say("fgets on four sockets: three lines each");

    char text[64] = "";
    CHECK((shared = fmemopen(text, sizeof text, "w")) != NULL);
    pthread_t holder = spawn(holds_the_lock, NULL);
    while (!locked)
        sched_yield();
    pthread_t wanting = spawn(wants_the_lock, NULL);
    join(wanting);
    join(holder);
    fclose(shared);
    say("a FILE's lock: %s", text);
    return 0;
}
