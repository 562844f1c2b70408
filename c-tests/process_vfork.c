/* vfork: the child borrows memory and stack until it execs or exits, from main and from threads, beside threads that go on.
 * covers: vfork __vfork execve execv _exit waitpid
 * uncounted: execve execv _exit
 * proof: green_threads>=5 parks>=1 kernel_threads_peak<=12
 * processors: 4
 */
#include "ctest.h"

extern pid_t __vfork(void);
extern char **environ;

static atomic_bool stop;

static void *ticker(void *argument)
{
    while (!stop)
        nap(1);
    return argument;
}

static int status_of(pid_t child)
{
    int status;
    CHECK(child > 0);
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void *vforks(void *argument)
{
    char *command[] = {"sh", "-c", "exit 5", NULL}, *missing[] = {"missing", NULL};
    volatile int written_by_child = 0, ends[2];
    CHECK_IS(pipe((int *)ends), 0);

    pid_t child = vfork();
    if (child == 0) {
        written_by_child = 1;
        close(ends[0]); /* its own descriptor table */
        _exit(3);
    }
    CHECK_IS(status_of(child), 3);
    CHECK_IS(written_by_child, 1);
    CHECK(fcntl(ends[0], F_GETFD) >= 0);

    child = vfork();
    if (child == 0) {
        close(ends[0]);
        dup2(ends[1], 30);
        execve("/bin/sh", command, environ);
        _exit(99);
    }
    CHECK_IS(status_of(child), 5);

    child = __vfork();
    if (child == 0) {
        execv("/nonexistent/program", missing);
        written_by_child = errno;
        _exit(98);
    }
    CHECK_IS(status_of(child), 98);
    CHECK_IS(written_by_child, ENOENT);
    close(ends[0]);
    close(ends[1]);
    return argument;
}

int main(void)
{
    pthread_t beside = spawn(ticker, NULL), threads[4];
    vforks(NULL);
    say("from main: memory shared, descriptors not; exec, and exec that fails");
    for (int i = 0; i < 4; i++)
        threads[i] = spawn(vforks, NULL);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    say("from four threads at once");
    stop = true;
    join(beside);
    return 0;
}
