/* A program that brings a gettid of its own, made of the system call (libc had none for long), is not called back from inside of it.
 * covers: syscall pthread_create
 * proof: green_threads>=1 hooks.syscall>=2
 * no_park: only main waits, for threads that may have ended before it asks
 */
#include "ctest.h"
#include <sys/syscall.h>

pid_t gettid(void)
{
    return syscall(SYS_gettid);
}

static void *asks(void *argument)
{
    CHECK(gettid() > 0 && gettid() != getpid());
    return argument;
}

int main(void)
{
    CHECK_IS(gettid(), getpid());
    join(spawn(asks, NULL));
    CHECK_IS(gettid(), getpid());
    say("the thread's own tid, and main's");
    return 0;
}
