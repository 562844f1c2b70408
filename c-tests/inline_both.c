/* System call instructions on both sides of libc, in the program and in a library that is loaded before libc: all are caught, and what
 * libc does by itself goes on as ever: files, memory, signals with their returns, processes.
 * covers: pthread_create fork posix_spawn sigaction
 * cflags: -fopenmp
 * options: inline=1
 * proof: inline==1 inline_calls>=100 green_threads>=7 parks>=10
 * passes: sigaction: called before the first thread is made
 * needs: openmp
 */
#include "inline.h"
#include "signals.h"
#include <omp.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>

static int ends[2];

static void *reads(void *argument)
{
    char byte = 0;
    CHECK_IS(INLINE(SYS_read, ends[0], &byte, 1), 1);
    return argument;
}

/* What libc asks the kernel without a hook, beside threads of the OpenMP runtime. */
static void uses_libc(void)
{
    struct stat facts;
    CHECK_IS(stat("/", &facts), 0);
    CHECK(S_ISDIR(facts.st_mode));
    CHECK_FAILS(stat("/nonexistent", &facts), ENOENT);
    char *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    memory[0] = 1;
    CHECK_IS(munmap(memory, 8192), 0);
    char *block = malloc(1 << 20);
    CHECK(block);
    free(block);
}

static void runs_commands(void)
{
    extern char **environ;
    char *command[] = {"sh", "-c", "exit 5", NULL};
    pid_t child;
    int status;
    CHECK_IS(posix_spawn(&child, "/bin/sh", NULL, NULL, command, environ), 0);
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK_IS(WEXITSTATUS(status), 5);
    CHECK_IS(WEXITSTATUS(system("exit 6")), 6);
    CHECK_IS(WEXITSTATUS(in_child(uses_libc)), 0);
}

static void *is_signalled(void *argument)
{
    sigset_t all;
    sigfillset(&all);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &all, NULL), 0);
    uses_libc();
    CHECK_IS(pthread_sigmask(SIG_UNBLOCK, &all, NULL), 0);
    CHECK_IS(raise(SIGUSR1), 0); /* its handler returns by an instruction of libc's */
    uses_libc();
    return argument;
}

int main(void)
{
    long sum = 0;
    catch_signal(SIGUSR1, SA_RESTART);
    CHECK_IS(pipe(ends), 0);
    omp_set_num_threads(8);
#pragma omp parallel for reduction(+ : sum) schedule(dynamic, 1)
    for (int i = 0; i < 100; i++) {
        uses_libc();
        sum += i;
    }
    say("a sum: %ld", sum);
    pthread_t reader = spawn(reads, NULL);
    in_thread(uses_libc);
    in_thread(runs_commands);
    for (int i = 0; i < 10; i++)
        join(spawn(is_signalled, NULL));
    CHECK_IS(signals_caught, 10);
    CHECK_IS(INLINE(SYS_write, ends[1], "x", 1), 1);
    join(reader);
    say("files, memory, signals, processes: as ever");
    return 0;
}
