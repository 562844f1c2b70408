/* Threads stuck in the kernel cost a kernel thread each and three more at the most; once they are free, so are those.
 * covers: nanosleep pthread_join
 * proof: green_threads>=20 parks>=13 hand_overs>=1 kernel_threads_peak<=40
 * processors: 4
 * stress: no
 */
#include "futex.h"
#include "inline.h"

enum { STUCK = 20, BESIDES = 3 };

static _Atomic uint32_t word;
static atomic_int standing;

static void *gets_stuck(void *argument)
{
    standing++;
    while (word == 0)
        INLINE(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, 0);
    return argument;
}

int main(void)
{
    cpu_set_t processors;
    CHECK_IS(sched_getaffinity(0, sizeof processors, &processors), 0);
    long workers = CPU_COUNT(&processors), most = 0;
    pthread_t threads[STUCK];
    for (int i = 0; i < STUCK; i++)
        threads[i] = spawn(gets_stuck, NULL);
    for (int i = 0; i < 200 && standing < STUCK; i++)
        nap(5);
    CHECK_IS(standing, STUCK);
    for (int i = 0; i < 50; i++) {
        long now = kernel_threads();
        most = now > most ? now : most;
        nap(1);
    }
    CHECK(most <= workers + STUCK + BESIDES);
    say("all stuck: no more kernel threads than workers, stuck and three");
    word = 1;
    futex_wake(&word, INT_MAX);
    for (int i = 0; i < STUCK; i++)
        join(threads[i]);
    long after = 0;
    for (int i = 0; i < 1000; i++) {
        after = kernel_threads();
        if (after <= workers + BESIDES)
            break;
        nap(5);
    }
    CHECK(after <= workers + BESIDES);
    say("all free: workers and three");
    return 0;
}
