/* A coroutine's stack, of some hundred bytes, is room enough for a system call instruction that parks; many coroutines wait at once.
 * covers: read
 * options: inline=1
 * proof: inline==1 inline_calls>=20 green_threads>=20 green_threads_peak>=10 parks>=20
 */
#include "inline.h"

enum { THREADS = 20, WORDS = 64 };

static int ends[2];

/* read(fd, byte, 1) with the stack pointer at `top`. */
__attribute__((naked, noinline)) static long read_on(int fd __attribute__((unused)), char *byte __attribute__((unused)),
                                                     void *top __attribute__((unused)))
{
    __asm__("push %rbx\n"
            "mov %rsp, %rbx\n"
            "mov %rdx, %rsp\n"
            "mov $1, %edx\n"
            "xor %eax, %eax\n"
            "syscall\n"
            "mov %rbx, %rsp\n"
            "pop %rbx\n"
            "ret\n");
}

static void *reads(void *argument)
{
    uint64_t stack[WORDS] __attribute__((aligned(16)));
    uint64_t *small = malloc(sizeof stack);
    for (int i = 0; i < WORDS; i++)
        small[i] = stack[i] = i * 0x0101010101010101;
    for (int turn = 0; turn < 2; turn++) {
        char byte = 0;
        CHECK_IS(read_on(ends[0], &byte, small + WORDS - 16), 1);
        CHECK_IS(byte, 'x');
        CHECK(memcmp(small, stack, sizeof stack) == 0);
    }
    free(small);
    return argument;
}

int main(void)
{
    pthread_t threads[THREADS];
    char bytes[THREADS];
    CHECK_IS(pipe(ends), 0);
    for (int i = 0; i < THREADS; i++)
        threads[i] = spawn(reads, NULL);
    memset(bytes, 'x', sizeof bytes);
    for (int turn = 0; turn < 2; turn++) {
        nap(5);
        CHECK_IS(write(ends[1], bytes, sizeof bytes), sizeof bytes);
    }
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    char byte = 0;
    uint64_t *small = malloc(WORDS * sizeof *small);
    CHECK_IS(write(ends[1], "x", 1), 1);
    CHECK_IS(read_on(ends[0], &byte, small + WORDS), 1); /* main as well */
    free(small);
    say("on a small stack: each has read, and what lies below is as it was");
    return 0;
}
