/* Threads stuck in the kernel cost a kernel thread each and three more at the most; once they are free, so are those.
 * covers: nanosleep pthread_join
 * proof: green_threads>=20 hand_overs>=1
 * processors: 4
 * stress: no
 */
#include "futex.h"

enum { STUCK = 20, BESIDES = 3 };

static _Atomic uint32_t word;
static atomic_int standing;

static void *gets_stuck(void *argument)
{
    standing++;
    while (word == 0) {
#if defined(__x86_64__)
        long result;
        register long r10 __asm__("r10") = 0;
        __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_futex), "D"(&word), "S"(FUTEX_WAIT_PRIVATE), "d"(0L), "r"(r10)
                         : "rcx", "r11", "memory");
#else
        nap(1);
#endif
    }
    return argument;
}

/* The kernel threads of this process. */
static long kernel_threads(void)
{
    char line[256];
    long threads = 0;
    FILE *status = fopen("/proc/self/status", "r");
    CHECK(status != NULL);
    while (fgets(line, sizeof line, status))
        if (strncmp(line, "Threads:", 8) == 0)
            threads = atol(line + 8);
    fclose(status);
    return threads;
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
