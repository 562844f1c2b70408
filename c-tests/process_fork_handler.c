/* A signal handler forks, again and again, while the only thread forks; and a program with threads forks after that.
 * covers: fork waitpid sigaction kill
 * proof: green_threads>=1 parks>=5 hooks.fork>=15
 * passes: sigaction: called before the first thread is made
 * passes: kill: a signal to another process, or one that no handler waits for, is the kernel's to send
 */
#include "ctest.h"

enum { FORKS = 15 };

static atomic_int handled, failed;
static pid_t sender;

static void handler(int number)
{
    int status = -1, saved = errno;
    (void)number;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    failed += child < 0 || status != 0;
    handled++;
    errno = saved;
}

static void forks(void)
{
    for (int i = 0; i < FORKS; i++) {
        int status = -1;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0)
            _exit(0);
        while (waitpid(child, &status, 0) < 0)
            CHECK_IS(errno, EINTR);
        CHECK_IS(status, 0);
    }
}

/* Another process sends signals as fast as they are taken. */
static void under_fire(const char *where)
{
    pid_t target = getpid();
    sender = fork();
    CHECK(sender >= 0);
    if (sender == 0) {
        signal(SIGUSR1, SIG_DFL);
        while (kill(target, SIGUSR1) == 0)
            nap(1);
        _exit(0);
    }
    while (handled == 0)
        forks();
    forks();
    CHECK_IS(kill(sender, SIGKILL), 0);
    while (waitpid(sender, NULL, 0) < 0)
        CHECK_IS(errno, EINTR);
    CHECK_IS(failed, 0);
    handled = 0;
    say("forked under fire %s", where);
}

int main(void)
{
    CHECK_IS(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler}, NULL), 0);
    under_fire("in the only thread");
    in_thread(forks);
    say("forked in a thread");
    return 0;
}
