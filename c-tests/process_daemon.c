/* A program that became a daemon, in a child of a thread and then by itself, makes threads as before.
 * covers: daemon fork waitpid read
 * uncounted: daemon
 * proof: green_threads>=1 parks>=1
 */
#include "ctest.h"

static int ends[2];

static void *reports(void *argument)
{
    nap(1);
    CHECK_IS(write(ends[1], argument, strlen(argument)), strlen(argument));
    return argument;
}

static void becomes_daemon(void)
{
    pid_t session = getsid(0);
    join(spawn(reports, "before, "));
    CHECK_IS(daemon(1, 1), 0);
    alarm(CTEST_SECONDS);
    CHECK(getsid(0) != session);
    for (int i = 0; i < 3; i++)
        join(spawn(reports, "after, "));
}

static void body(void)
{
    char text[256];
    ssize_t length = 0, got;
    CHECK_IS(pipe(ends), 0);
    CHECK_IS(in_child(becomes_daemon), 0);
    close(ends[1]);
    while ((got = read(ends[0], text + length, sizeof text - 1 - length)) > 0)
        length += got;
    text[length] = 0;
    say("threads reported: %send", text);
}

int main(void)
{
    in_thread(body);
    return 0;
}
