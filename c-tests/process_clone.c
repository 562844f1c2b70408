/* Children made by clone, by libc's function and by the system call's number, in every form that works natively: each writes five bytes
 * with a yield after each, takes a lock, and ends with its number, while other threads keep the processors busy. One that shares its
 * parent's memory and lets it wait leaves a word there.
 * covers: clone __clone syscall waitpid
 * proof: green_threads>=5 parks>=500 hooks.clone>=16 hooks.__clone>=8 hooks.syscall>=32
 */
#include "ctest.h"
#include <linux/sched.h>
#include <sched.h>
#include <sys/syscall.h>

enum { FORMS = 8, ROUNDS = 8, STACK = 64 << 10 };

static atomic_int stop;
static int ends[2];

static void *burn(void *naps)
{
    while (!stop) {
        for (volatile int i = 0; i < 20000; i++)
            ;
        if (naps)
            usleep(100);
    }
    return NULL;
}

static int work(void *number)
{
    pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
    for (int i = 0; i < 5; i++) {
        if (write(ends[1], "x", 1) != 1)
            _exit(99);
        sched_yield();
    }
    if (pthread_mutex_lock(&own))
        _exit(98);
    usleep(100);
    _exit((int)(intptr_t)number);
}

static volatile int left_behind;

static int leaves_a_word(void *number)
{
    left_behind = (int)(intptr_t)number;
    for (int i = 0; i < 5; i++)
        syscall(SYS_write, ends[1], "x", 1);
    return (int)(intptr_t)number;
}

static void child_on_its_stack(void)
{
    work((void *)7);
}

extern int __clone(int (*)(void *), void *, int, void *, ...);

static long by_form(int form, char *top)
{
    struct clone_args arguments = {.exit_signal = SIGCHLD};
    void *number = (void *)(intptr_t)(form + 1);
    long pid;
    switch (form) {
    case 0:
        return clone(work, top, SIGCHLD, number);
    case 1:
        return __clone(work, top, SIGCHLD | CLONE_VFORK, number);
    case 2:
        return clone(leaves_a_word, top, SIGCHLD | CLONE_VM | CLONE_VFORK, number);
    case 3:
        pid = syscall(SYS_fork);
        break;
    case 4:
        pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
        break;
    case 5:
        pid = syscall(SYS_clone3, &arguments, sizeof arguments);
        break;
    case 6: /* the child returns by what lies on its stack */
        top -= 16;
        *(void (**)(void))top = child_on_its_stack;
        return syscall(SYS_clone, SIGCHLD, top, 0, 0, 0);
    default:
        arguments.flags = CLONE_VFORK;
        pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    }
    if (pid == 0)
        work(number);
    return pid;
}

static void *forks(void *unused)
{
    char *stack = malloc(STACK), bytes[16];
    for (int i = 0; i < FORMS * ROUNDS; i++) {
        int form = i % FORMS, status, got = 0;
        CHECK_IS(pipe(ends), 0);
        long pid = by_form(form, stack + STACK - 64);
        CHECK(pid > 0);
        close(ends[1]);
        for (ssize_t n; (n = read(ends[0], bytes, sizeof bytes)) > 0;)
            got += n;
        close(ends[0]);
        CHECK_IS(waitpid(pid, &status, 0), pid);
        CHECK_IS(got, 5);
        CHECK_IS(status, W_EXITCODE(form + 1, 0));
    }
    CHECK_IS(left_behind, 3);
    CHECK_IS(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0), -1);
    CHECK_IS(errno, EINVAL);
    CHECK_IS(clone(NULL, stack + STACK, SIGCHLD, NULL), -1);
    CHECK_IS(errno, EINVAL);
    free(stack);
    return unused;
}

int main(void)
{
    pthread_t busy[4];
    for (intptr_t i = 0; i < 4; i++)
        busy[i] = spawn(burn, (void *)(i & 1));
    join(spawn(forks, NULL));
    stop = 1;
    for (int i = 0; i < 4; i++)
        join(busy[i]);
    say("%d children", FORMS * ROUNDS);
    return 0;
}
