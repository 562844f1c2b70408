/* A program with functions of its own by the names of libc's (gettid, close), which libc's function `syscall` does not come back to.
 * covers: gettid syscall
 * uncounted: gettid
 * proof: green_threads>=1 hooks.syscall>=4
 * no_park: only main waits, for threads that may have ended before it asks
 */
#include "ctest.h"
#include <sys/syscall.h>

static _Thread_local int deep;

pid_t gettid(void)
{
    CHECK_IS(deep++, 0);
    pid_t tid = syscall(SYS_gettid);
    deep--;
    return tid;
}

int close(int fd)
{
    CHECK_IS(deep++, 0);
    int result = syscall(SYS_close, fd);
    deep--;
    return result;
}

static void *asks(void *argument)
{
    CHECK(gettid() > 0);
    CHECK(gettid() != getpid());
    CHECK_IS(close(dup(1)), 0);
    return argument;
}

int main(void)
{
    join(spawn(asks, NULL));
    CHECK_IS(gettid(), getpid());
    say("its own gettid and close");
    return 0;
}
