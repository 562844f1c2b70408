/* System calls by the instruction itself, as a statically linked libc would make them: the kernel's answer, no errno. */
#ifndef CTEST_INLINE_H
#define CTEST_INLINE_H

#include "ctest.h"
#include <sys/syscall.h>

static inline long inline_call(long number, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#else
    (void)number, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;
#error "a system call for this machine is missing"
#endif
}

/* With as many arguments as there are. */
#define INLINE(...) INLINE_7(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define INLINE_7(n, a, b, c, d, e, f, ...) \
    inline_call((long)(n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* The kernel threads of this process, as the kernel counts them. */
static inline long kernel_threads(void)
{
    char text[4096];
    long fd = INLINE(SYS_open, "/proc/self/status", O_RDONLY), length = INLINE(SYS_read, fd, text, sizeof text - 1);
    INLINE(SYS_close, fd);
    CHECK(fd >= 0 && length > 0);
    text[length] = 0;
    const char *line = strstr(text, "\nThreads:");
    CHECK(line);
    return atol(line + 9);
}

#endif
