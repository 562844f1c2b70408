/* Jumps out of handlers and between contexts take the signal mask with them, and leave the waits that they cut short.
 * covers: siglongjmp longjmp _longjmp __longjmp_chk setcontext sigprocmask
 * proof: green_threads>=3 parks>=1
 * passes: siglongjmp longjmp _longjmp __longjmp_chk setcontext: the library leaves its handlers and brings the mask back, and the jump
 *   itself is libc's
 */
#include "signals.h"
#include <setjmp.h>
#include <ucontext.h>

extern void __longjmp_chk(struct __jmp_buf_tag buffer[1], int value) __attribute__((noreturn));

static _Thread_local sigjmp_buf out;
static atomic_bool waiting, jumped;

static bool blocks(int number)
{
    sigset_t mask;
    CHECK_IS(sigprocmask(SIG_BLOCK, NULL, &mask), 0);
    return sigismember(&mask, number);
}

static void jump(int number)
{
    CHECK(blocks(number));
    siglongjmp(out, 5);
}

/* As old drivers do around connect. */
static void *cuts_its_wait_short(void *argument)
{
    for (int round = 0; round < 3; round++) {
        int value = sigsetjmp(out, true);
        if (value == 0) {
            waiting = true;
            nanosleep(&(struct timespec){60, 0}, NULL);
            say("FAIL: the sleep came back");
        }
        CHECK_IS(value, 5);
        CHECK(!blocks(SIGUSR1));
        waiting = false;
        nap(1); /* the thread parks on as before */
        jumped = true;
        while (jumped)
            sched_yield();
    }
    return argument;
}

static void (*const jumps[])(jmp_buf, int) = {longjmp, _longjmp, __longjmp_chk};

static void other_jumps(void)
{
    jmp_buf here;
    for (volatile int kind = 0; kind < 3; kind++) {
        volatile int count = 0;
        if (_setjmp(here) < 3)
            jumps[kind](here, ++count);
        CHECK_IS(count, 3);
    }
    CHECK(!blocks(SIGUSR1));
    say("longjmp, _longjmp, __longjmp_chk: three times");
}

static ucontext_t caller, other;
static sigset_t usr2;

static void elsewhere(void)
{
    for (int i = 0; i < 3; i++) {
        CHECK(blocks(SIGUSR2)); /* its own mask */
        nap(1);
        CHECK_IS(swapcontext(&other, &caller), 0);
    }
    CHECK_IS(setcontext(&caller), 0);
}

static void *changes_contexts(void *argument)
{
    char *stack = malloc(64 << 10);
    CHECK_IS(getcontext(&other), 0);
    other.uc_stack = (stack_t){.ss_sp = stack, .ss_size = 64 << 10};
    other.uc_sigmask = usr2;
    makecontext(&other, elsewhere, 0);
    for (int i = 0; i < 4; i++) {
        CHECK_IS(swapcontext(&caller, &other), 0);
        CHECK(!blocks(SIGUSR2));
        nap(1);
    }
    free(stack);
    return argument;
}

/* A context that was saved once may be gone back to twice: the caller's frame is the program's, still there. */
static void goes_back_twice(void)
{
    static ucontext_t saved, branch;
    volatile int came = 0;
    char *stack = malloc(64 << 10);
    CHECK_IS(getcontext(&branch), 0);
    branch.uc_stack = (stack_t){.ss_sp = stack, .ss_size = 64 << 10};
    branch.uc_link = &saved;
    makecontext(&branch, (void (*)(void))sched_yield, 0);
    CHECK_IS(swapcontext(&saved, &branch), 0);
    say("came back: %d", ++came);
    if (came < 3)
        setcontext(&saved);
    free(stack);
}

int main(void)
{
    goes_back_twice();
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    CHECK_IS(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = jump}, NULL), 0);
    pthread_t thread = spawn(cuts_its_wait_short, NULL);
    for (int round = 0; round < 3; round++) {
        while (!waiting)
            sched_yield();
        nap(1);
        CHECK_IS(pthread_kill(thread, SIGUSR1), 0);
        while (!jumped)
            nap(1);
        jumped = false;
    }
    join(thread);
    say("siglongjmp out of a sleep: three times, the mask as before");
    in_thread(other_jumps);
    join(spawn(changes_contexts, NULL));
    in_thread(goes_back_twice);
    say("swapcontext, setcontext: each context with its own mask");
    return 0;
}
