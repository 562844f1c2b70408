/* syscall(SYS_futex) on shared memory: words that parent and child wait for and wake each other by.
 * covers: syscall fork waitpid
 * proof: green_threads>=3 parks>=1 hooks.syscall>=1
 * came: syscall>=20: a wake of a shared word is the kernel's alone, and a wait may find the word changed
 */
#include "futex.h"
#include <sys/mman.h>

enum { ROUNDS = 50 };

static struct { _Atomic uint32_t turn, flag; } *shared;

static void *play(void *own_number)
{
    uint32_t own = (uintptr_t)own_number;
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t turn;
        while ((turn = shared->turn) != own)
            if (futex(&shared->turn, FUTEX_WAIT, turn, NULL, NULL, 0) < 0)
                CHECK(errno == EAGAIN);
        shared->turn = !own;
        CHECK(futex(&shared->turn, FUTEX_WAKE, 1, NULL, NULL, 0) >= 0);
    }
    return NULL;
}

static void *waits_for_flag(void *argument)
{
    while (shared->flag == 0)
        if (futex(&shared->flag, FUTEX_WAIT_BITSET, 0, NULL, NULL, 1) < 0)
            CHECK(errno == EAGAIN);
    return argument;
}

int main(void)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    pthread_t waiter = spawn(waits_for_flag, NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(CTEST_SECONDS);
        play((void *)1);
        shared->flag = 1;
        while (futex(&shared->flag, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, 1) == 0 && shared->flag == 1)
            nap(1);
        _exit(0);
    }
    join(spawn(play, (void *)0));
    say("%d turns between two processes", 2 * ROUNDS);
    join(waiter);
    shared->flag = 2;
    say("a waiter was woken by the child");
    int status;
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK_IS(status, 0);

    /* A private wait and a shared wake of the same process do not meet; shared ones within it do. */
    shared->flag = 0;
    waiter = spawn(waits_for_flag, NULL);
    nap(1);
    shared->flag = 1;
    CHECK_IS(futex(&shared->flag, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0), 0);
    CHECK(futex(&shared->flag, FUTEX_WAKE, INT_MAX, NULL, NULL, 0) >= 0);
    join(waiter);
    say("within one process: shared waits and wakes meet, private wakes do not reach them");
    return 0;
}
