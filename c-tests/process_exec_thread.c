/* A thread replaces the program while others are blocked: they vanish, the process id stays, the new program's status counts.
 * covers: execl waitpid
 * uncounted: execl
 * proof: green_threads>=1 parks>=2
 */
#include "ctest.h"

static void *blocked(void *argument)
{
    for (;;)
        pause();
    return argument;
}

static void *replaces(void *argument)
{
    char pid[32];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    nap(1);
    execl("/bin/sh", "sh", "-c", "test $$ = $0 && echo the same process; exit 3", pid, (char *)NULL);
    say("FAIL: execl came back: %s", error_name(errno));
    return argument;
}

static void program(void)
{
    for (int i = 0; i < 3; i++)
        spawn(blocked, NULL);
    spawn(replaces, NULL);
    blocked(NULL);
}

static void body(void)
{
    int status = in_child(program);
    CHECK(WIFEXITED(status));
    say("its exit status: %d", WEXITSTATUS(status));
}

int main(void)
{
    in_thread(body);
    return 0;
}
