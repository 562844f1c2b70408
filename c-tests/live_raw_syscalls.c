/* System calls made by the instruction itself, which no hook sees, block their thread and no other: a futex wait and a read.
 * covers: syscall write
 * proof: green_threads>=4 parks>=1 kernel_threads_peak<=12
 * processors: 4
 */
#include "futex.h"

static long raw(long number, long a, long b, long c, long d)
{
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
#else
#error "a system call for this machine is missing"
#endif
}

static _Atomic uint32_t word;
static int ends[2];

static void *waits_on_futex(void *argument)
{
    while (word == 0) {
        long result = raw(SYS_futex, (long)&word, FUTEX_WAIT_PRIVATE, 0, 0);
        CHECK(result == 0 || result == -EAGAIN);
    }
    return argument;
}

static void *reads(void *argument)
{
    char byte;
    CHECK_IS(raw(SYS_read, ends[0], (long)&byte, 1, 0), 1);
    CHECK_IS(byte, 'x');
    return argument;
}

/* Wakes by the instruction, and by `syscall`, which must reach a waiter in the kernel as well. */
static void *wakes(void *by_instruction)
{
    nap(5);
    word = 1;
    if (by_instruction)
        CHECK(raw(SYS_futex, (long)&word, FUTEX_WAKE_PRIVATE, INT_MAX, 0) >= 0);
    else
        CHECK(futex_wake(&word, INT_MAX) >= 0);
    return NULL;
}

int main(void)
{
    CHECK_IS(pipe(ends), 0);
    for (int i = 0; i < 2; i++) {
        word = 0;
        pthread_t first = spawn(waits_on_futex, NULL), second = spawn(waits_on_futex, NULL);
        pthread_t waker = spawn(wakes, i ? NULL : &word);
        join(first);
        join(second);
        join(waker);
        say("a futex wait by instruction, woken by %s", i ? "syscall" : "instruction");
    }
    pthread_t reader = spawn(reads, NULL);
    nap(3);
    CHECK_IS(write(ends[1], "x", 1), 1);
    join(reader);
    say("a read by instruction");
    return 0;
}
