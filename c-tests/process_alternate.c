/* A child's alternate signal stack: a forked one has its thread's, with its flags, an executed one has none, however it was made; its
 * handlers run there.
 * covers: fork vfork posix_spawn system popen sigaltstack
 * proof: green_threads>=2 parks>=7 hooks.fork>=1 hooks.sigaltstack>=2
 */
#include "ctest.h"
#include <spawn.h>

enum { BYTES = 64 << 10 };

static char *own;
static atomic_bool on_own;

static void handler(int signal)
{
    (void)signal;
    char here;
    on_own = &here >= own && &here < own + BYTES;
}

static void tells(void)
{
    stack_t told;
    CHECK_IS(sigaltstack(NULL, &told), 0);
    say("flags %#x, %zu bytes, %s", told.ss_flags, told.ss_size, told.ss_sp == own ? "its own" : "another");
    CHECK_IS(raise(SIGUSR1), 0);
    say("its handler ran %s", on_own ? "there" : "elsewhere");
}

static char path[PATH_MAX];
static char *arguments[] = {path, "tell", NULL};
extern char **environ;

static void spawns(void)
{
    int status;
    pid_t child;
    CHECK_IS(posix_spawn(&child, path, NULL, NULL, arguments, environ), 0);
    CHECK_IS(waitpid(child, &status, 0), child);
    child = vfork();
    if (child == 0) {
        execv(path, arguments);
        _exit(1);
    }
    CHECK_IS(waitpid(child, &status, 0), child);
    child = fork();
    if (child == 0) {
        execv(path, arguments);
        _exit(1);
    }
    CHECK_IS(waitpid(child, &status, 0), child);
    char command[PATH_MAX + 8], line[100] = "";
    snprintf(command, sizeof command, "%s tell", path);
    CHECK_IS(system(command), 0);
    FILE *pipe = popen(command, "r");
    CHECK(pipe && fgets(line, sizeof line, pipe));
    CHECK_IS(pclose(pipe), 0);
    printf("popen: %s", line);
    fflush(stdout);
}

static void with_one(void)
{
    own = malloc(BYTES);
    CHECK_IS(sigaltstack(&(stack_t){.ss_sp = own, .ss_size = BYTES}, NULL), 0);
    CHECK_IS(in_child(tells), 0);
    spawns();
    tells();
}

int main(int count, char **values)
{
    (void)values;
    if (count > 1) {
        stack_t told;
        CHECK_IS(sigaltstack(NULL, &told), 0);
        say("executed: flags %#x, %zu bytes", told.ss_flags, told.ss_size);
        return 0;
    }
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    CHECK(length > 0);
    CHECK_IS(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler, .sa_flags = SA_ONSTACK}, NULL), 0);
    in_thread(spawns);
    in_thread(with_one);
    return 0;
}
