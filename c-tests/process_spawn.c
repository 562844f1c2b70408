/* posix_spawn and posix_spawnp start programs from threads, with file actions, attributes and environment, and tell why they cannot.
 * covers: posix_spawn posix_spawnp waitpid
 * proof: green_threads>=5 parks>=1
 */
#include "ctest.h"
#include <spawn.h>

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
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void output_of(char *command, bool by_path, char text[64])
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t child;
    int ends[2], error;
    char *arguments[] = {"sh", "-c", command, NULL};
    sigemptyset(&none);
    CHECK_IS(pipe2(ends, O_CLOEXEC), 0);
    CHECK_IS(posix_spawn_file_actions_init(&actions), 0);
    CHECK_IS(posix_spawn_file_actions_adddup2(&actions, ends[1], 1), 0);
    CHECK_IS(posix_spawnattr_init(&attributes), 0);
    CHECK_IS(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP), 0);
    CHECK_IS(posix_spawnattr_setsigmask(&attributes, &none), 0);
    error = by_path ? posix_spawnp(&child, "sh", &actions, &attributes, arguments, environ)
                    : posix_spawn(&child, "/bin/sh", &actions, &attributes, arguments, (char *[]){"VALUE=given", NULL});
    CHECK_IS(error, 0);
    close(ends[1]);
    ssize_t length = 0, got;
    while ((got = read(ends[0], text + length, 63 - length)) > 0)
        length += got;
    text[length] = 0;
    close(ends[0]);
    CHECK_IS(status_of(child), 3);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
}

static void *spawns(void *argument)
{
    char text[64], *arguments[] = {"program", NULL};
    pid_t child = -5;
    output_of("echo $VALUE; exit 3", true, text);
    CHECK(strcmp(text, "inherited\n") == 0);
    output_of("echo $VALUE; exit 3", false, text);
    CHECK(strcmp(text, "given\n") == 0);
    CHECK_IS(posix_spawn(&child, "/nonexistent/program", NULL, NULL, arguments, environ), ENOENT);
    CHECK_IS(posix_spawnp(&child, "nonexistent-program", NULL, NULL, arguments, environ), ENOENT);
    CHECK_IS(posix_spawn(&child, "/tmp", NULL, NULL, arguments, environ), EACCES);
    CHECK_IS(child, -5);
    return argument;
}

int main(void)
{
    setenv("VALUE", "inherited", 1);
    pthread_t beside = spawn(ticker, NULL), threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = spawn(spawns, NULL);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    stop = true;
    join(beside);
    say("posix_spawn: its environment, its output, its status; posix_spawnp: found on the path");
    say("missing programs ENOENT, a directory EACCES");
    return 0;
}
