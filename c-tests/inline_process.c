/* Processes and threads that a program begins and ends by its own system call instructions: fork, vfork, clone and clone3 in their
 * ways, execve, the ends of a thread and of the process.
 * covers: wait4 pthread_exit
 * options: inline=1
 * proof: inline==1 inline_calls>=10 green_threads>=3 parks>=1
 */
#include "inline.h"
#include <linux/sched.h>
#include <sys/mman.h>

static int ends[2];
static atomic_bool stop;

static void *ticks(void *argument)
{
    while (!stop)
        nap(1);
    return argument;
}

static int status_of(long child)
{
    int status = 0;
    CHECK(child > 0);
    CHECK_IS(INLINE(SYS_wait4, child, &status, 0, NULL), child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void *writes(void *argument)
{
    CHECK_IS(INLINE(SYS_write, ends[1], "x", 1), 1);
    return argument;
}

/* A child runs natively; when it makes a thread it is green, and its calls are caught again. */
__attribute__((noreturn)) static void lives_as_child(void)
{
    char byte = 0;
    CHECK_IS(pipe(ends), 0);
    pthread_t thread = spawn(writes, NULL);
    CHECK_IS(INLINE(SYS_read, ends[0], &byte, 1), 1);
    CHECK_IS(byte, 'x');
    join(thread);
    INLINE(SYS_exit_group, 7);
    __builtin_unreachable();
}

static void *forks(void *argument)
{
    struct clone_args like_fork = {.exit_signal = SIGCHLD};
    for (int way = 0; way < 3; way++) {
        alarm(CTEST_SECONDS);
        long child = way == 0   ? INLINE(SYS_fork)
                     : way == 1 ? INLINE(SYS_clone, SIGCHLD, 0, NULL, NULL, 0)
                                : INLINE(SYS_clone3, &like_fork, sizeof like_fork);
        if (child == 0)
            lives_as_child();
        if (child == -ENOSYS && way == 2) /* some containers */
            continue;
        CHECK_IS(status_of(child), 7);
    }
    return argument;
}

/* The instruction in place: a vfork's child must not return from the function that made it. */
#define VFORK() INLINE(SYS_vfork)

static void *vforks(void *argument)
{
    volatile int written = 0;
    char *command[] = {"sh", "-c", "exit 5", NULL};
    long child = VFORK();
    if (child == 0) {
        written = 1;
        close(ends[0]);
        INLINE(SYS_exit_group, 3);
    }
    CHECK_IS(written, 1);
    CHECK_IS(status_of(child), 3);
    child = VFORK();
    if (child == 0) {
        execve("/bin/sh", command, NULL); /* by the function, which is hooked */
        _exit(99);
    }
    CHECK_IS(status_of(child), 5);
    child = INLINE(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, NULL, NULL, 0);
    if (child == 0) {
        INLINE(SYS_execve, "/bin/sh", command, NULL);
        INLINE(SYS_exit_group, 98);
    }
    CHECK_IS(status_of(child), 5);
    CHECK_IS(INLINE(SYS_getpid), getpid());
    return argument;
}

static _Atomic int alive = 1;

/* A kernel thread of the program's own, on a stack and with no thread pointer of its own: it only ends. */
static void *clones(void *argument)
{
    enum { BYTES = 1 << 16 };
    const long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
    char *stack = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED);
    long child;
    register long r10 __asm__("r10") = (long)&alive, r8 __asm__("r8") = 0;
    __asm__ volatile("syscall\n"
                     "test %%rax, %%rax\n"
                     "jnz 1f\n"
                     "mov $60, %%eax\n" /* exit */
                     "xor %%edi, %%edi\n"
                     "syscall\n"
                     "1:"
                     : "=a"(child)
                     : "a"((long)SYS_clone), "D"(flags), "S"(stack + BYTES), "d"(0L), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    CHECK(child > 0);
    while (alive)
        nap(1);
    CHECK_IS(munmap(stack, BYTES), 0);
    return argument;
}

/* Not the whole process, nor the kernel thread that runs others. */
static void *exits(void *argument)
{
    INLINE(SYS_exit, 0);
    return argument;
}

int main(void)
{
    CHECK_IS(pipe(ends), 0);
    pthread_t ticker = spawn(ticks, NULL);
    join(spawn(forks, NULL));
    say("fork, clone and clone3: the child is whole");
    join(spawn(vforks, NULL));
    say("vfork, and clone in its manner: the child borrows all");
    join(spawn(clones, NULL));
    say("clone: a thread of the kernel's");
    join(spawn(exits, &stop));
    say("exit: of the thread");
    stop = true;
    join(ticker);
    return 0;
}
