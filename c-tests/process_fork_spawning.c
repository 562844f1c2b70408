/* A process forks while another thread's posix_spawn is under way, held up by a file of its child's: the forked child has its own
 * dispositions, SIGABRT's as well, sets them, and makes threads.
 *
 * From 2.41 on libc holds a lock for SIGABRT meanwhile, and a forked child finds it taken until libc's own fork has freed it.
 * covers: fork _Fork posix_spawn sigaction pthread_create
 * proof: green_threads>=6 parks>=5 hooks.fork>=2 hooks._Fork>=1 hooks.posix_spawn>=3 kernel_threads_peak<=12
 * processors: 4
 * passes: sigaction: called before the first thread is made
 */
#include "ctest.h"
#include <spawn.h>
#include <sys/stat.h>

extern char **environ;
static char begun[PATH_MAX + 8], held[PATH_MAX + 8]; /* FIFOs that the spawned child opens, one after the other */
static pid_t spawned;

static void spawns(void)
{
    char *arguments[] = {"true", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 5, begun, O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 5, held, O_RDONLY, 0);
    CHECK_IS(posix_spawn(&spawned, "/bin/true", &actions, NULL, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
}

static void *runs_spawns(void *unused)
{
    spawns();
    return unused;
}

static volatile sig_atomic_t caught;

static void handler(int signal)
{
    caught += signal;
}

static void raises(void)
{
    caught = 0;
    CHECK_IS(raise(SIGABRT), 0);
    CHECK_IS(caught, SIGABRT);
}

static void nothing(void)
{
}

static void uses_all(void)
{
    struct sigaction now;
    CHECK_IS(sigaction(SIGABRT, NULL, &now), 0);
    CHECK(now.sa_handler == handler);
    raises();
    now.sa_handler = SIG_IGN;
    CHECK_IS(sigaction(SIGABRT, &now, NULL), 0);
    CHECK_IS(raise(SIGABRT), 0);
    now.sa_handler = handler;
    CHECK_IS(sigaction(SIGABRT, &now, NULL), 0);
    in_thread(raises);
}

/* What _Fork's child may do natively: libc's lock stays taken in it. */
static void uses_little(void)
{
    raises();
    in_thread(nothing);
    raises();
}

/* The other side of a FIFO: it waits for the spawned child to come there. */
static void lets_go(const char *path)
{
    int writer;
    while ((writer = open(path, O_WRONLY)) < 0)
        CHECK(errno == EINTR);
    close(writer);
}

static pid_t by_fork(void)
{
    return fork();
}

static void forks_beside(pid_t (*make)(void), void (*function)(void))
{
    int status;
    pthread_t spawner = spawn(runs_spawns, NULL);
    lets_go(begun);
    pid_t child = make();
    if (child == 0) {
        alarm(10);
        function();
        _exit(7);
    }
    CHECK(child > 0);
    CHECK_IS(waitpid(child, &status, 0), child);
    say("%s %d", WIFEXITED(status) ? "exit" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    lets_go(held);
    join(spawner);
    CHECK_IS(waitpid(spawned, &status, 0), spawned);
    CHECK_IS(status, 0);
}

static void all(void)
{
    forks_beside(by_fork, uses_all);
    forks_beside(_Fork, uses_little);
    forks_beside(by_fork, uses_little);
}

int main(void)
{
    char folder[PATH_MAX];
    make_directory(folder);
    snprintf(begun, sizeof begun, "%s/begun", folder);
    snprintf(held, sizeof held, "%s/held", folder);
    CHECK_IS(mkfifo(begun, 0600), 0);
    CHECK_IS(mkfifo(held, 0600), 0);
    CHECK_IS(sigaction(SIGABRT, &(struct sigaction){.sa_handler = handler}, NULL), 0);
    in_thread(all);
    all();
    CHECK_IS(unlink(begun), 0);
    CHECK_IS(unlink(held), 0);
    CHECK_IS(rmdir(folder), 0);
    return 0;
}
