/* A fork while threads are parked inside stdio: the child, which has only the forking thread, prints, reads and runs commands as
 * natively, and makes threads of its own that park there.
 * covers: fork read pclose
 * uncounted: pclose
 * proof: green_threads>=5 parks>=4 entries>=40 hooks.read>=4
 */
#include "ctest.h"
#include <sys/socket.h>

static FILE *streams[4];
static int peers[4];

static void *reads(void *number)
{
    char line[16];
    CHECK(fgets(line, sizeof line, streams[(intptr_t)number]));
    return (void *)(intptr_t)atoi(line);
}

static void child(void)
{
    char line[16];
    int ends[2];
    FILE *output = popen("echo 5", "r");
    CHECK(output && fgets(line, sizeof line, output));
    CHECK_IS(atoi(line), 5);
    CHECK_IS(pclose(output), 0);
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK((streams[0] = fdopen(ends[0], "r")) != NULL);
    pthread_t reader = spawn(reads, 0);
    nap(1);
    CHECK_IS(write(ends[1], "6\n", 2), 2);
    CHECK_IS((intptr_t)join(reader), 6);
    say("the child: a command, and a thread in fgets");
}

static void *forks(void *argument)
{
    CHECK_IS(in_child(child), 0);
    return argument;
}

int main(void)
{
    pthread_t reader[4];
    for (int i = 0; i < 4; i++) {
        int ends[2];
        CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        CHECK((streams[i] = fdopen(ends[0], "r")) != NULL);
        peers[i] = ends[1];
        reader[i] = spawn(reads, (void *)(intptr_t)i);
    }
    nap(1);
    join(spawn(forks, NULL));
    for (int i = 0; i < 4; i++) {
        CHECK_IS(dprintf(peers[i], "%d\n", i + 10), 3);
        CHECK_IS((intptr_t)join(reader[i]), i + 10);
    }
    say("the parent's readers read on");
    return 0;
}
