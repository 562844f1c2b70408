/* Cancellation ends a thread inside libc's own calls, which are cancellation points that nobody outside sees, and one that may be
 * cancelled at any moment while it waits for a lock; a thread that does not allow it goes on in both.
 * covers: pthread_cancel pthread_setcancelstate pthread_setcanceltype pthread_mutex_lock pthread_join
 * proof: green_threads>=6 hooks.pthread_cancel>=6 parks>=4
 */
#include "ctest.h"
#include <semaphore.h>

static sem_t entered;
static FILE *empty, *nowhere;
static int held = -1, cleaned;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void by_fgets(void)
{
    char line[16];
    fgets(line, sizeof line, empty);
}

static void by_fprintf(void)
{
    for (;;)
        fprintf(nowhere, "nobody reads this");
}

static void by_lockf(void)
{
    lockf(held, F_LOCK, 0);
}

static void by_mutex(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    pthread_mutex_lock(&lock);
}

/* Not cancelled while it is disabled, inside libc as elsewhere; at the first point after that. */
static void by_late_point(void)
{
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    sem_post(&entered);
    for (int i = 0; i < 2000; i++) {
        fprintf(nowhere, "nobody reads this");
        if (i % 100 == 0)
            sched_yield();
    }
    cleaned += 10;
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    by_fprintf();
}

static const struct row { const char *name; void (*call)(void); int cleaned; } rows[] = {
    {"fgets", by_fgets, 1}, {"fprintf", by_fprintf, 1}, {"lockf", by_lockf, 1}, {"a mutex, at any moment", by_mutex, 1},
    {"fprintf, disabled first", by_late_point, 11}, {"fprintf", by_fprintf, 1},
};

/* Itself a cancellation point inside libc, and a wait: nothing ends a thread twice. */
static void cleanup(void *argument)
{
    (void)argument;
    fprintf(nowhere, "the end");
    fflush(nowhere);
    nap(1);
    cleaned++;
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

/* A child that holds a lock on the file until its end of the pipe is closed. */
static pid_t keeper(int ends[2])
{
    char byte;
    int ready[2];
    CHECK_IS(pipe(ends), 0);
    CHECK_IS(pipe(ready), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(ends[1]);
        CHECK_IS(lockf(held, F_LOCK, 0), 0);
        CHECK_IS(write(ready[1], "x", 1), 1);
        CHECK_IS(read(ends[0], &byte, 1), 0);
        _exit(0);
    }
    CHECK_IS(read(ready[0], &byte, 1), 1);
    return pid;
}

int main(void)
{
    int fds[2], ends[2];
    FILE *file = memory_file();
    sem_init(&entered, 0, 0);
    CHECK(file != NULL);
    held = fileno(file);
    CHECK_IS(pipe(fds), 0);
    empty = fdopen(fds[0], "r");
    nowhere = fopen("/dev/null", "w");
    CHECK(empty != NULL && nowhere != NULL);
    pid_t child = keeper(ends);
    CHECK_IS(pthread_mutex_lock(&lock), 0);
    for (const struct row *row = rows; row < rows + sizeof rows / sizeof *rows; row++) {
        void *result;
        cleaned = 0;
        pthread_t thread = spawn(enters, (void *)row);
        CHECK_IS(sem_wait(&entered), 0);
        if (row->cleaned > 1)
            CHECK_IS(sem_wait(&entered), 0);
        CHECK_IS(pthread_cancel(thread), 0);
        CHECK_IS(pthread_join(thread, &result), 0);
        CHECK(result == PTHREAD_CANCELED);
        CHECK_IS(cleaned, row->cleaned);
        say("%s: cancelled", row->name);
    }
    close(ends[1]);
    CHECK_IS(waitpid(child, NULL, 0), child);
    return 0;
}
