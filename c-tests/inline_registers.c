/* A system call instruction that parks changes what it changes natively: rax, rcx and r11, no other register, not the flags, not
 * the red zone, not errno. Two threads hand a byte to and fro, so that each finds the other's registers in the processor.
 * covers: read write
 * cflags: -masm=intel
 * options: inline=1
 * proof: inline==1 inline_calls>=400 green_threads>=2 parks>=100
 */
#include "inline.h"
#include <stddef.h>
#include <sys/socket.h>

enum { ROUNDS = 100, WORDS = 14, VECTORS = 16 };

/* Everything that can be seen of a thread around the instruction. */
struct state {
    uint64_t general[WORDS]; /* rax rbx rdx rsi rdi rbp r8 r9 r10 r12 r13 r14 r15 flags */
    uint64_t red_zone[16];
    uint8_t vectors[VECTORS][32] __attribute__((aligned(32)));
    uint32_t mxcsr;
    uint16_t x87;
    uint16_t padding;
    long double on_x87_stack __attribute__((aligned(16)));
};

/* Loads all of `before`, makes the call that its rax, rdi, rsi and rdx say, stores all into `after`. */
__attribute__((naked, noinline)) static void call_with(struct state *before __attribute__((unused)),
                                                       struct state *after __attribute__((unused)))
{
    __asm__("push rbx; push rbp; push r12; push r13; push r14; push r15\n"
            "push rsi; push rdi\n"
            "sub rsp, 264\n" /* a frame with room below, which the red zone is then part of */
            "mov rax, rdi\n"
            ".set i, 0\n .rept 16\n mov rcx, [rax + 112 + i]\n mov [rsp - 128 + i], rcx\n .set i, i + 8\n .endr\n"
            "ldmxcsr [rax + 768]\n fldcw [rax + 772]\n fld tbyte ptr [rax + 784]\n"
            "vmovdqa ymm0, [rax + 256]\n vmovdqa ymm1, [rax + 288]\n vmovdqa ymm2, [rax + 320]\n vmovdqa ymm3, [rax + 352]\n"
            "vmovdqa ymm4, [rax + 384]\n vmovdqa ymm5, [rax + 416]\n vmovdqa ymm6, [rax + 448]\n vmovdqa ymm7, [rax + 480]\n"
            "vmovdqa ymm8, [rax + 512]\n vmovdqa ymm9, [rax + 544]\n vmovdqa ymm10, [rax + 576]\n vmovdqa ymm11, [rax + 608]\n"
            "vmovdqa ymm12, [rax + 640]\n vmovdqa ymm13, [rax + 672]\n vmovdqa ymm14, [rax + 704]\n vmovdqa ymm15, [rax + 736]\n"
            "mov rbx, [rax + 8]\n mov rdx, [rax + 16]\n mov rsi, [rax + 24]\n mov rdi, [rax + 32]\n mov rbp, [rax + 40]\n"
            "mov r8, [rax + 48]\n mov r9, [rax + 56]\n mov r10, [rax + 64]\n mov r12, [rax + 72]\n mov r13, [rax + 80]\n"
            "mov r14, [rax + 88]\n mov r15, [rax + 96]\n mov rax, [rax]\n"
            "stc\n std\n"
            "syscall\n"
            "mov rcx, [rsp + 272]\n" /* after */
            "mov [rcx], rax\n mov [rcx + 8], rbx\n mov [rcx + 16], rdx\n mov [rcx + 24], rsi\n mov [rcx + 32], rdi\n"
            "mov [rcx + 40], rbp\n mov [rcx + 48], r8\n mov [rcx + 56], r9\n mov [rcx + 64], r10\n mov [rcx + 72], r12\n"
            "mov [rcx + 80], r13\n mov [rcx + 88], r14\n mov [rcx + 96], r15\n"
            ".set i, 0\n .rept 16\n mov rax, [rsp - 128 + i]\n mov [rcx + 112 + i], rax\n .set i, i + 8\n .endr\n"
            "pushfq\n pop rax\n cld\n mov [rcx + 104], rax\n"
            "stmxcsr [rcx + 768]\n fnstcw [rcx + 772]\n fstp tbyte ptr [rcx + 784]\n"
            "vmovdqa [rcx + 256], ymm0\n vmovdqa [rcx + 288], ymm1\n vmovdqa [rcx + 320], ymm2\n vmovdqa [rcx + 352], ymm3\n"
            "vmovdqa [rcx + 384], ymm4\n vmovdqa [rcx + 416], ymm5\n vmovdqa [rcx + 448], ymm6\n vmovdqa [rcx + 480], ymm7\n"
            "vmovdqa [rcx + 512], ymm8\n vmovdqa [rcx + 544], ymm9\n vmovdqa [rcx + 576], ymm10\n vmovdqa [rcx + 608], ymm11\n"
            "vmovdqa [rcx + 640], ymm12\n vmovdqa [rcx + 672], ymm13\n vmovdqa [rcx + 704], ymm14\n vmovdqa [rcx + 736], ymm15\n"
            "vzeroupper\n"
            "add rsp, 264\n"
            "pop rdi\n pop rsi\n pop r15\n pop r14\n pop r13\n pop r12\n pop rbp\n pop rbx\n"
            "ret\n");
}

_Static_assert(offsetof(struct state, red_zone) == 112 && offsetof(struct state, vectors) == 256, "as the code says");
_Static_assert(offsetof(struct state, mxcsr) == 768 && offsetof(struct state, on_x87_stack) == 784, "as the code says");

static int ends[2];

static void differ(struct state *before, struct state *after, uint64_t seed)
{
    for (int i = 1; i < WORDS - 1; i++)
        CHECK_IS(after->general[i], before->general[i]);
    CHECK_IS(after->general[WORDS - 1] & 0x401, 0x401); /* carry and direction */
    CHECK(memcmp(after->red_zone, before->red_zone, sizeof after->red_zone) == 0);
    CHECK(memcmp(after->vectors, before->vectors, sizeof after->vectors) == 0);
    CHECK_IS(after->mxcsr, before->mxcsr);
    CHECK_IS(after->x87, before->x87);
    CHECK(after->on_x87_stack == (long double)seed);
}

static void *exchanges(void *end)
{
    uint64_t seed = 0x1111111111111111 * (1 + (end != ends));
    int fd = *(int *)end;
    uint32_t mxcsr;
    uint16_t x87;
    __asm__("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(x87));
    for (int round = 0; round < 2 * ROUNDS; round++) {
        static const long calls[2] = {SYS_read, SYS_write};
        struct state before, after;
        char byte = 'x';
        memset(&after, 0, sizeof after);
        for (int i = 0; i < WORDS; i++)
            before.general[i] = seed + i;
        for (int i = 0; i < 16; i++)
            before.red_zone[i] = seed * 3 + i + round;
        for (int i = 0; i < VECTORS; i++)
            memset(before.vectors[i], (int)(seed + i + round), sizeof before.vectors[i]);
        before.general[0] = calls[(round + (end != ends)) % 2];
        before.general[4] = fd;
        before.general[3] = (uint64_t)&byte;
        before.general[2] = 1;
        before.mxcsr = mxcsr | (end == ends ? 0x6000 : 0x2000); /* a rounding of its own */
        before.x87 = x87 | 0x400;
        before.on_x87_stack = seed;
        errno = 77;
        call_with(&before, &after);
        CHECK_IS(errno, 77);
        CHECK_IS(after.general[0], 1);
        differ(&before, &after, seed);
        __asm__("ldmxcsr %0; fldcw %1" ::"m"(mxcsr), "m"(x87));
    }
    /* An error is the answer, and not errno. */
    errno = 78;
    CHECK_IS(INLINE(SYS_read, -1, &seed, 1), -EBADF);
    CHECK_IS(INLINE(SYS_getppid), getppid());
    CHECK_IS(INLINE(100000), -ENOSYS);
    CHECK_IS(errno, 78);
    return NULL;
}

int main(void)
{
    if (!__builtin_cpu_supports("avx"))
        return 0;
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    pthread_t first = spawn(exchanges, &ends[0]), second = spawn(exchanges, &ends[1]);
    join(first);
    join(second);
    say("the registers, the flags and the red zone: as they were");
    return 0;
}
