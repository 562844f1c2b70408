/* Process calls given bad ids, options, paths and memory answer as libc does.
 * covers: wait wait3 wait4 waitpid __waitpid waitid execve execv execvp execvpe execl execlp execle fexecve posix_spawn posix_spawnp
 * covers: popen system kill unshare setns prctl
 * proof: green_threads>=3 parks>=2
 * passes: kill: a signal to another process, or one that no handler waits for, is the kernel's to send
 */
#include "bad.h"
#include <sched.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/resource.h>

extern char **environ;
extern pid_t __waitpid(pid_t process, int *status, int options);

static void waits(void)
{
    int status;
    siginfo_t info;
    TRY(wait(&status));
    TRY(wait3(&status, WNOHANG, NULL));
    TRY(wait4(none, &status, 0, NULL));
    TRY(waitpid(none, &status, 1 << 20));
    TRY(waitpid(getpid(), &status, 0));
    TRY(waitpid(INT_MIN, &status, 0));
    TRY(__waitpid(0, &status, 0));
    TRY(waitid(99, 0, &info, WEXITED));
    TRY(waitid(P_ALL, 0, &info, 0));
    TRY(waitid(P_ALL, 0, &info, WEXITED));
    TRY(waitid(P_PIDFD, closed(), &info, WEXITED));
    TRY(waitid(P_PID, 0, &info, WEXITED));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        _exit(0);
    CHECK_IS(waitid(P_PID, child, &info, WEXITED | WNOWAIT), 0);
    TRY(waitpid(child, (void *)unmapped(), 0)); /* the kernel takes the child before it finds no room for its status */
    TRY(waitpid(child, &status, 0));
}

static void programs(void)
{
    char *command[] = {"program", NULL}, name[] = "/tmp/c-test-XXXXXX";
    char **bad = (void *)unmapped();
    const char *nowhere = null, *missing = "/nonexistent/program", *nothing = "";
    pid_t child;
    int fd = mkstemp(name);
    CHECK(fd >= 0);
    CHECK_IS(fchmod(fd, 0600), 0);
    TRY(execve(missing, command, environ));
    TRY(execve(nothing, command, environ));
    TRY(execve(nowhere, command, environ));
    TRY(execve("/bin/sh", bad, environ));
    TRY(execve("/bin/sh", command, bad));
    TRY(execv("/tmp", command));
    TRY(execvp("no-such-program-anywhere", command));
    TRY(execvp(nothing, command));
    TRY(execvpe("no-such-program-anywhere", command, environ));
    TRY(execl(missing, "program", (char *)NULL));
    TRY(execlp("no-such-program-anywhere", "program", (char *)NULL));
    TRY(execle(missing, "program", (char *)NULL, environ));
    TRY(fexecve(none, command, environ));
    TRY(fexecve(fd, command, environ));
    TRY_ERROR(posix_spawn(&child, missing, NULL, NULL, command, environ));
    TRY_ERROR(posix_spawn(&child, nothing, NULL, NULL, command, environ));
    TRY_ERROR(posix_spawnp(&child, "no-such-program-anywhere", NULL, NULL, command, environ));
    TRY(popen("true", "x") == NULL);
    TRY(popen("true", "rw") == NULL);
    TRY(WEXITSTATUS(system("no-such-program-anywhere 2>/dev/null")));
    CHECK_IS(execl(name, name, (char *)NULL), -1);
    say("not executable: %s", error_name(errno));
    CHECK_IS(write(fd, "neither script nor program", 26), 26);
    CHECK_IS(fchmod(fd, 0700), 0);
    close(fd);
    CHECK_IS(execl(name, name, (char *)NULL), -1);
    say("neither script nor program: %s", error_name(errno));
    unlink(name);
}

static void others(void)
{
    TRY(kill(getpid(), 99));
    TRY(kill(getpid(), -1));
    TRY(kill(getpid(), 0));
    TRY(kill(INT_MAX, 0));
    TRY(unshare(none));
    TRY(setns(none, 0));
    TRY(setns(0, 0));
    TRY(prctl(none));
    TRY(prctl(PR_SET_NAME, unmapped()));
    TRY(prctl(PR_GET_NAME, unmapped()));
    TRY(prctl(PR_SET_PDEATHSIG, 99));
    TRY(prctl(PR_SET_DUMPABLE, 99));
}

int main(void)
{
    in_thread(waits);
    in_thread(programs);
    in_thread(others);
    return 0;
}
