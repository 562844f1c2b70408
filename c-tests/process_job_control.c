/* Jobs of a terminal with green threads in them: who reads in the background is stopped, also when it was stopped and continued while it
 * waited, whichever thread it is and whatever another does; where it may not be stopped, its read fails. So with TOSTOP for writers.
 * covers: read write tcsetpgrp fork waitpid killpg
 * uncounted: tcsetpgrp killpg
 * proof: green_threads>=1 parks>=1
 * passes: fork: the first process has no threads: its children have
 */
#include "ctest.h"
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

static int master, terminal, report[2];
static atomic_bool over;

__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...)
{
    char line[200];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    CHECK_IS(write(report[1], line, length), length);
}

static void *naps(void *unused)
{
    while (!over)
        nap(1);
    return unused;
}

static void *spins(void *unused)
{
    while (!over)
        ;
    return unused;
}

static void *reads(void *unused)
{
    char line[100] = "";
    ssize_t length = read(terminal, line, sizeof line - 1);
    tell("  read: %zd %s%s", length, length < 0 ? error_name(errno) : line, length < 0 ? "\n" : "");
    return unused;
}

static void *writes(void *unused)
{
    ssize_t length = write(terminal, "x", 1);
    tell("  wrote: %zd %s\n", length, length < 0 ? error_name(errno) : "");
    return unused;
}

struct job {
    const char *name;
    void *(*does)(void *), *(*beside)(void *);
    bool in_thread, foreground;
    enum { AS_IT_IS, IGNORED, BLOCKED } signals;
};

/* Closed by a job once it has told that it runs: it may be stopped then. */
static int told[2] = {-1, -1};

static void runs(const struct job *job)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTTIN);
    sigaddset(&set, SIGTTOU);
    if (job->signals == IGNORED) {
        signal(SIGTTIN, SIG_IGN);
        signal(SIGTTOU, SIG_IGN);
    }
    if (job->signals == BLOCKED)
        CHECK_IS(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    pthread_t beside = spawn(job->beside, NULL);
    tell("  runs\n");
    close(told[1]);
    if (job->in_thread)
        join(spawn(job->does, NULL));
    else
        job->does(NULL);
    over = true;
    join(beside);
    _exit(7);
}

/* To the foreground: the shell itself is not stopped for that. */
static void give_terminal(pid_t group)
{
    CHECK_IS(tcsetpgrp(terminal, group), 0);
}

static pid_t starts(const struct job *job)
{
    int go[2];
    char byte;
    CHECK_IS(pipe(go), 0);
    CHECK_IS(pipe(told), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        signal(SIGTTOU, SIG_DFL);
        CHECK_IS(setpgid(0, 0), 0);
        close(go[1]);
        CHECK_IS(read(go[0], &byte, 1), 0);
        runs(job);
    }
    setpgid(child, child);
    give_terminal(job->foreground ? child : getpgrp());
    close(go[0]);
    close(go[1]);
    close(told[1]);
    CHECK_IS(read(told[0], &byte, 1), 0);
    close(told[0]);
    told[1] = -1;
    return child;
}

static void waits_for(pid_t child, const char *what)
{
    int status;
    CHECK_IS(waitpid(child, &status, WUNTRACED), child);
    if (WIFSTOPPED(status))
        tell("%s: stopped by %s\n", what, sigabbrev_np(WSTOPSIG(status)));
    else
        tell("%s: status %d\n", what, WEXITSTATUS(status));
}

static void types(const char *line)
{
    CHECK_IS(write(master, line, strlen(line)), strlen(line));
}

static void stops_and_goes_on(const struct job *job)
{
    tell("%s\n", job->name);
    pid_t child = starts(job);
    if (job->foreground) {
        nap(100); /* so that it waits, mostly */
        CHECK_IS(killpg(child, SIGTSTP), 0);
        waits_for(child, "^Z");
        give_terminal(getpgrp());
        nap(50);
        CHECK_IS(killpg(child, SIGCONT), 0);
    }
    waits_for(child, "bg");
    give_terminal(child);
    CHECK_IS(killpg(child, SIGCONT), 0);
    nap(20);
    if (job->does == reads)
        types("a line\n");
    waits_for(child, "fg");
    give_terminal(getpgrp());
}

static void goes_on_by_itself(const struct job *job)
{
    tell("%s\n", job->name);
    waits_for(starts(job), "bg");
}

/* Its parent has gone: nobody would continue it. */
static void is_orphaned(void)
{
    static const struct job job = {"orphaned", reads, naps, false, false, AS_IT_IS};
    int gone[2], done[2], status;
    char byte;
    tell("%s\n", job.name);
    CHECK_IS(pipe(gone), 0);
    CHECK_IS(pipe(done), 0);
    pid_t middle = fork();
    if (middle == 0) {
        CHECK_IS(setpgid(0, 0), 0);
        if (fork() == 0) {
            close(gone[1]);
            CHECK_IS(read(gone[0], &byte, 1), 0);
            while (getppid() == getpgrp())
                sched_yield();
            runs(&job);
        }
        _exit(0);
    }
    CHECK_IS(waitpid(middle, &status, 0), middle);
    close(gone[0]);
    close(gone[1]);
    close(done[1]);
    CHECK_IS(read(done[0], &byte, 1), 0);
}

/* The session's leader. */
static void shell(void)
{
    static const struct job stopped[] = {
        {"main reads", reads, naps, false, true, AS_IT_IS},
        {"a thread reads", reads, naps, true, true, AS_IT_IS},
        {"a thread reads, another spins", reads, spins, true, true, AS_IT_IS},
        {"main reads in the background", reads, naps, false, false, AS_IT_IS},
        {"a thread reads in the background", reads, naps, true, false, AS_IT_IS},
    };
    static const struct job refused[] = {
        {"ignored: main reads", reads, naps, false, false, IGNORED},
        {"ignored: a thread reads", reads, naps, true, false, IGNORED},
        {"blocked: a thread reads", reads, naps, true, false, BLOCKED},
        {"a thread writes", writes, naps, true, false, AS_IT_IS},
    };
    static const struct job stopped_writer = {"TOSTOP: a thread writes", writes, naps, true, false, AS_IT_IS};
    static const struct job ignoring_writer = {"TOSTOP, ignored: a thread writes", writes, naps, true, false, IGNORED};
    struct termios mode;
    CHECK(setsid() > 0);
    CHECK_IS(ioctl(terminal, TIOCSCTTY, 0), 0);
    signal(SIGTTOU, SIG_IGN);
    for (size_t i = 0; i < sizeof stopped / sizeof *stopped; i++)
        stops_and_goes_on(&stopped[i]);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        goes_on_by_itself(&refused[i]);
    CHECK_IS(tcgetattr(terminal, &mode), 0);
    mode.c_lflag |= TOSTOP;
    CHECK_IS(tcsetattr(terminal, TCSANOW, &mode), 0);
    stops_and_goes_on(&stopped_writer);
    goes_on_by_itself(&ignoring_writer);
    is_orphaned();
}

static void *shows(void *unused)
{
    FILE *told = fdopen(report[0], "r");
    char line[200];
    while (fgets(line, sizeof line, told)) {
        line[strcspn(line, "\n")] = 0;
        say("%s", line);
    }
    return unused;
}

int main(void)
{
    CHECK_IS(openpty(&master, &terminal, NULL, NULL, NULL), 0);
    CHECK_IS(pipe(report), 0);
    pid_t child = fork();
    if (child == 0) {
        close(report[0]);
        shell();
        _exit(0);
    }
    close(report[1]);
    join(spawn(shows, NULL));
    int status;
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK_IS(status, 0);
    return 0;
}
