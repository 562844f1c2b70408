/* Cancellation ends a thread in calls that wait in the kernel: for children, for FIFOs and file locks, for signals.
 * covers: pthread_cancel waitpid wait waitid system open fcntl sigwait sigwaitinfo sigtimedwait sigsuspend
 * proof: green_threads>=10 parks>=14 hooks.pthread_cancel>=10
 */
#include "ctest.h"
#include <semaphore.h>
#include <sys/stat.h>

static sem_t entered;
static atomic_bool cleaned;
static pid_t child;
static char folder[PATH_MAX], fifo[PATH_MAX + 8], locked[PATH_MAX + 8];
static sigset_t usr1;

static void by_waitpid(void) { waitpid(child, NULL, 0); }
static void by_wait(void) { wait(NULL); }
static void by_waitid(void) { waitid(P_PID, child, NULL, WEXITED); }
static void by_system(void) { system("exec sleep 60"); }
static void by_open(void) { open(fifo, O_RDONLY); }
static void by_sigwait(void) { int number; sigwait(&usr1, &number); }
static void by_sigwaitinfo(void) { sigwaitinfo(&usr1, NULL); }
static void by_sigtimedwait(void) { sigtimedwait(&usr1, NULL, &(struct timespec){60, 0}); }
static void by_sigsuspend(void) { sigset_t all; sigfillset(&all); sigsuspend(&all); }

static void by_lock(void)
{
    struct flock all = {.l_type = F_WRLCK};
    int file = open(locked, O_RDWR);
    CHECK(file >= 0);
    fcntl(file, F_SETLKW, &all);
}

static const struct row { const char *name; void (*call)(void); } rows[] = {
    {"waitpid", by_waitpid}, {"wait", by_wait}, {"waitid", by_waitid}, {"system", by_system},
    {"open of a FIFO", by_open}, {"fcntl F_SETLKW", by_lock}, {"sigwait", by_sigwait},
    {"sigwaitinfo", by_sigwaitinfo}, {"sigtimedwait", by_sigtimedwait}, {"sigsuspend", by_sigsuspend},
};

static void cleanup(void *argument)
{
    (void)argument;
    cleaned = true;
}

static void *enters(void *argument)
{
    const struct row *row = argument;
    pthread_cleanup_push(cleanup, NULL);
    sem_post(&entered);
    row->call();
    say("FAIL: %s came back", row->name);
    pthread_cleanup_pop(0);
    return NULL;
}

/* A child that lives, and holds the lock, until its end of the pipe is closed. */
static pid_t keeper(int ends[2])
{
    char byte;
    int ready[2];
    CHECK_IS(pipe(ends), 0);
    CHECK_IS(pipe(ready), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        struct flock all = {.l_type = F_WRLCK};
        close(ends[1]);
        CHECK_IS(fcntl(open(locked, O_RDWR), F_SETLK, &all), 0);
        CHECK_IS(write(ready[1], "x", 1), 1);
        CHECK_IS(read(ends[0], &byte, 1), 0);
        _exit(0);
    }
    CHECK_IS(read(ready[0], &byte, 1), 1);
    return pid;
}

int main(void)
{
    int ends[2];
    sem_init(&entered, 0, 0);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &usr1, NULL), 0);
    make_directory(folder);
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    snprintf(locked, sizeof locked, "%s/locked", folder);
    CHECK_IS(mkfifo(fifo, 0600), 0);
    close(open(locked, O_RDWR | O_CREAT, 0600));
    child = keeper(ends);
    for (const struct row *row = rows; row < rows + sizeof rows / sizeof *rows; row++) {
        cleaned = false;
        pthread_t thread = spawn(enters, (void *)row);
        sem_wait(&entered);
        nap((row - rows) % 3); /* in the kernel, or just about to */
        CHECK_IS(pthread_cancel(thread), 0);
        CHECK(join(thread) == PTHREAD_CANCELED);
        CHECK(cleaned);
        say("%s: cancelled", row->name);
    }
    close(ends[1]);
    CHECK_IS(waitpid(child, NULL, 0), child);
    unlink(fifo);
    unlink(locked);
    rmdir(folder);
    return 0;
}
