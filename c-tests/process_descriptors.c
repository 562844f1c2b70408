/* However a program is started from a thread, while others wait for children and for signals, it has the descriptors of the program
 * and none besides; and the next one that the program opens has the lowest number.
 * covers: fork vfork posix_spawn popen pclose system execv waitpid sigtimedwait closefrom
 * uncounted: execv
 * proof: green_threads>=14 parks>=12 hooks.posix_spawn>=4
 */
#include "ctest.h"
#include <spawn.h>

enum { WAITERS = 6, NUMBERS = 1 << 16 };

extern char **environ;
static char *self;
static char command[PATH_MAX + 8];

/* What the started program does. */
static int list(void)
{
    for (int fd = STDERR_FILENO + 1; fd < NUMBERS; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            return 1;
    return 0;
}

static pid_t forked(char **arguments)
{
    pid_t child = fork();
    if (child == 0) {
        execv(self, arguments);
        _exit(9);
    }
    return child;
}

static pid_t forked_only(char **arguments)
{
    (void)arguments;
    pid_t child = fork();
    if (child == 0)
        _exit(list());
    return child;
}

static pid_t vforked(char **arguments)
{
    pid_t child = vfork();
    if (child == 0) {
        execv(self, arguments);
        _exit(9);
    }
    return child;
}

static pid_t spawned(char **arguments)
{
    pid_t child;
    CHECK_IS(posix_spawn(&child, self, NULL, NULL, arguments, environ), 0);
    return child;
}

static const struct row { const char *name; pid_t (*start)(char **arguments); } rows[] = {
    {"fork and exec", forked}, {"fork", forked_only}, {"vfork and exec", vforked}, {"posix_spawn", spawned},
};

static void *waits(void *ready)
{
    sigset_t set;
    pid_t child = fork();
    if (child == 0)
        for (;;)
            pause();
    *(_Atomic pid_t *)ready = child;
    CHECK_IS(waitpid(child, NULL, 0), child);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_FAILS(sigtimedwait(&set, NULL, &(struct timespec){0, 1000000}), EAGAIN);
    return NULL;
}

static void starts(void)
{
    static _Atomic pid_t children[WAITERS];
    pthread_t threads[WAITERS];
    char *arguments[] = {self, "list", NULL};
    for (int i = 0; i < WAITERS; i++) {
        children[i] = 0;
        threads[i] = spawn(waits, (void *)&children[i]);
    }
    for (int i = 0; i < WAITERS; i++)
        while (children[i] == 0)
            nap(1);
    nap(2);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int status;
        pid_t child = rows[i].start(arguments);
        CHECK(child > 0);
        CHECK_IS(waitpid(child, &status, 0), child);
        CHECK_IS(status, 0);
        say("%s: no more than the program's", rows[i].name);
    }
    CHECK_IS(pclose(popen(command, "r")), 0);
    CHECK_IS(system(command), 0);
    say("popen, system: no more than the program's");
    int lowest = open("/dev/null", O_RDONLY);
    CHECK_IS(lowest, STDERR_FILENO + 1);
    close(lowest);
    for (int i = 0; i < WAITERS; i++)
        CHECK_IS(kill(children[i], SIGKILL), 0);
    for (int i = 0; i < WAITERS; i++)
        join(threads[i]);
}

int main(int count, char **arguments)
{
    self = arguments[0];
    if (count > 1)
        return list();
    snprintf(command, sizeof command, "'%s' list", self);
    closefrom(STDERR_FILENO + 1);
    in_thread(starts);
    closefrom(STDERR_FILENO + 1);
    in_thread(starts);
    return 0;
}
