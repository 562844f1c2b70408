/* What a thread sets for itself by prctl or ioprio_set, and what matters where a program begins, is its own and costs no kernel thread.
 * Its children have it however they are made (fork, vfork, posix_spawn, system, popen), and so has the program that it executes itself;
 * no others have it.
 * covers: prctl fork vfork posix_spawn system execve execv execvp execvpe fexecve execveat
 * uncounted: execve execv execvp execvpe fexecve execveat vfork
 * proof: green_threads>=28 parks>=1 kernel_threads_peak<=12
 * processors: 4
 */
#include "ctest.h"
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { THREADS = 24, WHO_PROCESS = 1, LOW = 2 << 13 | 6 };

extern char **environ;

struct settings {
    long privileges, slack, keeps, priority;
};

static long usual_slack;

static struct settings mine(void)
{
    return (struct settings){prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), prctl(PR_GET_TIMERSLACK), prctl(PR_GET_KEEPCAPS),
                             syscall(SYS_ioprio_get, WHO_PROCESS, 0)};
}

static void set_mine(void)
{
    CHECK_IS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_IS(prctl(PR_SET_TIMERSLACK, 70000), 0);
    CHECK_IS(prctl(PR_SET_KEEPCAPS, 1), 0);
    CHECK_IS(syscall(SYS_ioprio_set, WHO_PROCESS, 0, LOW), 0);
    CHECK_IS(prctl(PR_SET_PDEATHSIG, SIGUSR1), 0);
}

static bool are_set(struct settings settings, bool keeps)
{
    return settings.privileges == 1 && settings.slack == 70000 && settings.keeps == keeps && settings.priority == LOW;
}

static int death_signal(void)
{
    int signal = -1;
    CHECK_IS(prctl(PR_GET_PDEATHSIG, &signal), 0);
    return signal;
}

/* A child that has executed this program again: keep-caps ends there. Its status says whether it has them: 10 all, 20 none. */
static int tell(void)
{
    struct settings settings = mine();
    return are_set(settings, false) ? 10 : settings.privileges == 0 && settings.priority != LOW ? 20 : 30;
}

static int status_of(pid_t child)
{
    int status;
    CHECK(child > 0);
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static const char *self = "/proc/self/exe";
static char *again[] = {"again", "tell", NULL};
static char command[PATH_MAX + 8];

/* Executes this program in every way that there is. */
static void execute(int way)
{
    switch (way) {
    case 0: execve(self, again, environ); break;
    case 1: execv(self, again); break;
    case 2: execvp(self, again); break;
    case 3: execvpe(self, again, environ); break;
    case 4: fexecve(open(self, O_RDONLY), again, environ); break;
    case 5: execveat(AT_FDCWD, self, again, environ, 0); break;
    case 6: execl(self, "again", "tell", NULL); break;
    case 7: syscall(SYS_execve, self, again, environ); break;
    }
    _exit(99);
}

enum { WAYS = 8 };

/* All children of the calling thread end with this status. */
static void check_children(int wanted, bool keeps)
{
    pid_t child = fork();
    if (child == 0)
        _exit(are_set(mine(), keeps) ? 10 : mine().privileges ? 30 : 20);
    CHECK_IS(status_of(child), wanted);
    for (int way = 0; way < WAYS; way++) {
        if ((child = fork()) == 0)
            execute(way);
        CHECK_IS(status_of(child), wanted);
        if (way == 4)
            continue; /* its open would be the parent's in a vfork child */
        if ((child = vfork()) == 0)
            execute(way);
        CHECK_IS(status_of(child), wanted);
    }
    CHECK_IS(posix_spawn(&child, self, NULL, NULL, again, environ), 0);
    CHECK_IS(status_of(child), wanted);
    CHECK_IS(posix_spawnp(&child, self, NULL, NULL, again, environ), 0);
    CHECK_IS(status_of(child), wanted);
    CHECK_IS(WEXITSTATUS(system(command)), wanted);
    CHECK_IS(WEXITSTATUS(pclose(popen(command, "r"))), wanted);
}

static void *inherits(void *argument)
{
    CHECK(are_set(mine(), true));
    CHECK_IS(death_signal(), 0);
    CHECK_IS(prctl(PR_SET_TIMERSLACK, 90000), 0);
    CHECK_IS(prctl(PR_SET_TIMERSLACK, 0), 0);
    CHECK_IS(prctl(PR_GET_TIMERSLACK), 70000);
    return argument;
}

static void *has_its_own(void *argument)
{
    set_mine();
    nap(1);
    CHECK(are_set(mine(), true));
    join(spawn(inherits, NULL));
    check_children(10, true);
    CHECK(are_set(mine(), true));
    CHECK_IS(death_signal(), SIGUSR1);
    return argument;
}

static void *has_none(void *argument)
{
    check_children(20, false);
    CHECK_IS(death_signal(), 0);
    return argument;
}

static pthread_barrier_t all;

static void *is_one_of_many(void *argument)
{
    set_mine();
    for (int i = 0; i < 3; i++) {
        pthread_barrier_wait(&all);
        nap(1);
        CHECK(are_set(mine(), true));
        CHECK_IS(death_signal(), SIGUSR1);
    }
    CHECK_IS(prctl(PR_SET_KEEPCAPS, 0), 0);
    CHECK_IS(prctl(PR_GET_KEEPCAPS), 0);
    CHECK_IS(prctl(PR_SET_TIMERSLACK, 0), 0);
    CHECK_IS(prctl(PR_GET_TIMERSLACK), usual_slack);
    return argument;
}

static void *errs(void *argument)
{
    CHECK_FAILS(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
    CHECK_FAILS(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL);
    CHECK_FAILS(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0), EINVAL);
    CHECK_FAILS(prctl(PR_SET_KEEPCAPS, 2), EINVAL);
    CHECK_FAILS(prctl(PR_SET_PDEATHSIG, 65), EINVAL);
    CHECK_FAILS(prctl(PR_GET_PDEATHSIG, 1), EFAULT);
    CHECK_FAILS(syscall(SYS_ioprio_set, WHO_PROCESS, 0, 7 << 13), EINVAL);
    CHECK_FAILS(syscall(SYS_ioprio_set, 9, 0, LOW), EINVAL);
    CHECK_FAILS(execv("/nowhere", again), ENOENT);
    CHECK_IS(mine().privileges, 0);
    return argument;
}

/* The thread itself executes. */
static void *executes(void *argument)
{
    set_mine();
    CHECK_FAILS(execv("/nowhere", again), ENOENT);
    CHECK(are_set(mine(), true));
    execv(self, again);
    return argument;
}

static void has_a_thread_that_executes(void)
{
    join(spawn(executes, NULL));
}

static void *waits(void *argument)
{
    set_mine();
    pause();
    return argument;
}

/* The thread beside it has set something. */
static void executes_beside(void)
{
    spawn(waits, NULL);
    nap(20);
    execv(self, again);
}

int main(int argc, char **argv)
{
    char path[PATH_MAX] = "";
    if (argc > 1)
        return argv[1][0] == 't' ? tell() + (death_signal() == SIGUSR1) : 1;
    CHECK(readlink(self, path, sizeof path - 1) > 0);
    snprintf(command, sizeof command, "%s tell", path);
    usual_slack = prctl(PR_GET_TIMERSLACK);
    join(spawn(errs, NULL));
    join(spawn(has_its_own, NULL));
    join(spawn(has_none, NULL));
    pthread_barrier_init(&all, NULL, THREADS);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = spawn(is_one_of_many, NULL);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    has_none(NULL);
    CHECK_IS(WEXITSTATUS(in_child(has_a_thread_that_executes)), 11);
    CHECK_IS(WEXITSTATUS(in_child(executes_beside)), 20);
    say("what a thread sets its children have, and no others");
    return 0;
}
