/* Every member of the exec family, called in a child of a thread: arguments, environment, search path, and the errors of each.
 * covers: execve execv execvp execvpe execl execlp execle fexecve fork waitpid
 * uncounted: execve execv execvp execvpe execl execlp execle fexecve
 * proof: green_threads>=1 parks>=9
 */
#include "ctest.h"

static char *script = "printf '  %s %s %s\\n' \"$0\" \"$1\" \"$VALUE\"";
static char *environment[] = {"VALUE=given", "PATH=/usr/bin:/bin", NULL};

static int by_execve(const char *file, char **command) { return execve(file, command, environment); }
static int by_execv(const char *file, char **command) { return execv(file, command); }
static int by_execvp(const char *file, char **command) { (void)file; return execvp("sh", command); }
static int by_execvpe(const char *file, char **command) { (void)file; return execvpe("sh", command, environment); }
static int by_execl(const char *file, char **command) { return execl(file, "sh", "-c", script, command[3], "one", (char *)NULL); }
static int by_execlp(const char *file, char **command) { (void)file; return execlp("sh", "sh", "-c", script, command[3], "one", NULL); }
static int by_execle(const char *file, char **command)
{
    return execle(file, "sh", "-c", script, command[3], "one", (char *)NULL, environment);
}
static int by_fexecve(const char *file, char **command)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -1 : fexecve(fd, command, environment);
}

static const struct { char *name; int (*exec)(const char *file, char **command); bool takes_file; } rows[] = {
    {"execve", by_execve, true}, {"execv", by_execv, true}, {"execvp", by_execvp, false}, {"execvpe", by_execvpe, false},
    {"execl", by_execl, true}, {"execlp", by_execlp, false}, {"execle", by_execle, true}, {"fexecve", by_fexecve, true},
};

static int status_of_child(size_t row, const char *file)
{
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char *command[] = {"sh", "-c", script, rows[row].name, "one", NULL};
        alarm(CTEST_SECONDS);
        rows[row].exec(file, command);
        _exit(errno);
    }
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void body(void)
{
    say("each with its arguments and the environment:");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_IS(status_of_child(i, "/bin/sh"), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].takes_file)
            say("%s: missing %s, a directory %s", rows[i].name, error_name(status_of_child(i, "/nonexistent/program")),
                error_name(status_of_child(i, "/tmp")));
}

int main(void)
{
    setenv("VALUE", "inherited", 1);
    in_thread(body);
    return 0;
}
