/* main waits for signals that other threads do not block: they come to main, and their default does not happen. Another thread would take
 * one that is sent too early: before main's SigBlk in /proc says that main waits for it, before that thread has begun, which changes its
 * mask, or before it has run after main's wait before, at whose end the kernel has it look for signals (retarget_shared_pending).
 * covers: sigwait sigtimedwait kill pthread_sigmask
 * proof: green_threads>=4 parks>=4
 * passes: kill: a signal to another process, or one that no handler waits for, is the kernel's to send
 */
#include "ctest.h"

static atomic_bool stop;
static atomic_int turns[3];

static void *open_to_all(void *own)
{
    while (!stop) {
        nap(1);
        sched_yield();
        ++*(atomic_int *)own;
    }
    return NULL;
}

/* Waits until each of the others has begun a turn and ended it. */
static void let_others_run(void)
{
    int before[3];
    for (int i = 0; i < 3; i++)
        before[i] = turns[i];
    for (int i = 0; i < 3; i++)
        while (turns[i] < before[i] + 2)
            nap(1);
}

/* Does main block the signal? */
static bool is_blocked(int number)
{
    char path[64], line[256];
    unsigned long long mask = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/status", getpid());
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) && sscanf(line, "SigBlk: %llx", &mask) != 1)
        ;
    fclose(file);
    return mask >> (number - 1) & 1;
}

static void *sends(void *argument)
{
    int number = (intptr_t)argument;
    while (is_blocked(number))
        nap(1);
    CHECK_IS(kill(getpid(), number), 0);
    return NULL;
}

static void *ends(void *argument)
{
    return argument;
}

/* Deadly ones, and one that would be ignored. */
static const int signals[] = {SIGUSR2, SIGTERM, SIGCHLD, SIGUSR2};

int main(void)
{
    sigset_t set;
    pthread_t others[3];
    for (int i = 0; i < 3; i++)
        others[i] = spawn(open_to_all, &turns[i]);
    for (const int *number = signals; number < signals + sizeof signals / sizeof *signals; number++) {
        int got;
        sigemptyset(&set);
        sigaddset(&set, *number);
        CHECK_IS(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
        let_others_run();
        pthread_t sender = spawn(sends, (void *)(intptr_t)*number);
        CHECK_IS(sigwait(&set, &got), 0);
        CHECK_IS(got, *number);
        join(sender);
        say("%s: main's", sigabbrev_np(got));
        CHECK_FAILS(sigtimedwait(&set, NULL, &(struct timespec){0, 1000000}), EAGAIN);
        struct sigaction action;
        CHECK_IS(sigaction(*number, NULL, &action), 0);
        CHECK(action.sa_handler == SIG_DFL);
    }
    stop = true;
    for (int i = 0; i < 3; i++)
        join(others[i]);
    join(spawn(ends, NULL));
    return 0;
}
