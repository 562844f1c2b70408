/* A thread that yields until another process has done something lets that process run, though no other thread is ready: on one processor
 * each turn takes a few yields, not a slice of time full of them.
 * covers: sched_yield
 * proof: green_threads>=1 hooks.sched_yield>=100
 * no_park: only main waits, for threads that may have ended before it asks
 */
#include "ctest.h"
#include <sched.h>
#include <sys/mman.h>

enum { TURNS = 200, YIELDS_PER_TURN = 100 };

static atomic_int *turn;

/* Makes each second turn, and yields until it may; how often it has yielded. */
static long play(int own)
{
    long yields = 0;
    while (*turn < TURNS) {
        while (*turn < TURNS && *turn % 2 != own) {
            sched_yield();
            yields++;
        }
        if (*turn < TURNS)
            ++*turn;
    }
    return yields;
}

static void *plays(void *unused)
{
    long yields = play(0);
    CHECK(yields < TURNS * YIELDS_PER_TURN);
    return unused;
}

int main(void)
{
    cpu_set_t one;
    CHECK_IS(sched_getaffinity(0, sizeof one, &one), 0);
    int first = 0;
    while (!CPU_ISSET(first, &one))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    CHECK_IS(sched_setaffinity(0, sizeof one, &one), 0);
    turn = mmap(NULL, sizeof *turn, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(turn != MAP_FAILED);
    pid_t other = fork();
    CHECK(other >= 0);
    if (other == 0) {
        play(1);
        _exit(0);
    }
    join(spawn(plays, NULL));
    CHECK_IS(waitpid(other, NULL, 0), other);
    say("%d turns of two processes that yield on one processor", TURNS);
    return 0;
}
