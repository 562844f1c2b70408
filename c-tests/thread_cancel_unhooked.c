/* Where libc's entries are left alone, libc's own calls block in the kernel and nobody sees it: a cancellation ends the thread in each
 * that is a cancellation point (reads and writes of streams, opening a FIFO, fscanf, getline), its cleanup handlers run, and one in which
 * libc disables it (pclose, system) goes on to its end first.
 * covers: pthread_cancel pthread_create pthread_join
 * options: entries=0
 * proof: green_threads>=14 parks>=10 hooks.pthread_cancel>=14 entries==0 kernel_threads_peak<=12
 * processors: 4
 */
#include "ctest.h"
#include <semaphore.h>
#include <sys/stat.h>

static sem_t entered;
static FILE *empty, *nowhere;
static char fifo[PATH_MAX + 8];
static int cleaned, status;

static void by_fgets(void)
{
    char line[16];
    fgets(line, sizeof line, empty);
}

static void by_getc(void)
{
    getc(empty);
}

static void by_fscanf(void)
{
    int number;
    CHECK_IS(fscanf(empty, "%d", &number), 1);
}

static void by_getline(void)
{
    char *line = NULL;
    size_t room = 0;
    CHECK(getline(&line, &room, empty) > 0);
}

static void by_fputs(void)
{
    for (;;)
        fputs("nobody reads this", nowhere);
}

static void by_fopen(void)
{
    CHECK(fopen(fifo, "r"));
}

static void by_popen(void)
{
    char line[16];
    FILE *command = popen("exec sleep 30", "r");
    CHECK(command);
    fgets(line, sizeof line, command);
}

/* libc disables cancellation while it waits for the command. */
static void by_pclose(void)
{
    FILE *command = popen("sleep 0.2; exit 3", "w");
    CHECK(command);
    status = pclose(command);
    for (;;)
        pthread_testcancel();
}

static const struct row { const char *name; void (*call)(void); int status; } rows[] = {
    {"fgets", by_fgets, -1}, {"getc", by_getc, -1}, {"fscanf", by_fscanf, -1}, {"getline", by_getline, -1}, {"fputs", by_fputs, -1},
    {"fopen", by_fopen, -1}, {"popen, fgets", by_popen, -1}, {"pclose", by_pclose, 3 << 8},
};

static void clean(void *argument)
{
    (void)argument;
    cleaned++;
}

static void *victim(void *call)
{
    pthread_cleanup_push(clean, NULL);
    sem_post(&entered);
    (*(void (**)(void))call)();
    pthread_cleanup_pop(0);
    return NULL;
}

static void cancel(const struct row *row, int milliseconds)
{
    int ends[2], filled[2];
    CHECK_IS(pipe(ends), 0);
    CHECK_IS(pipe(filled), 0);
    empty = fdopen(ends[0], "r"), nowhere = fdopen(filled[1], "w");
    cleaned = 0, status = -1;
    pthread_t thread = spawn(victim, (void *)&row->call);
    sem_wait(&entered);
    nap(milliseconds);
    CHECK_IS(pthread_cancel(thread), 0);
    CHECK(join(thread) == PTHREAD_CANCELED);
    CHECK_IS(cleaned, 1);
    if (milliseconds) /* Else it may have ended before. */
        CHECK_IS(status, row->status);
    say("%s: cancelled", row->name);
    /* The streams stay as they are: the thread that ended may have held their locks. */
}

int main(void)
{
    char folder[PATH_MAX];
    make_directory(folder);
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    CHECK_IS(mkfifo(fifo, 0600), 0);
    CHECK_IS(sem_init(&entered, 0, 0), 0);
    for (int milliseconds = 0; milliseconds <= 60; milliseconds += 60)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            cancel(&rows[i], milliseconds);
    unlink(fifo), rmdir(folder);
    fflush(stdout);
    _exit(0); /* exit would wait for a stream's lock. */
}
