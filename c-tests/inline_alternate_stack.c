/* What the kernel keeps of a thread, set and asked for by the instruction itself, as Go's runtime does under cgo: alternate stacks hold,
 * masks are the thread's own, and its tid is the one that others know. Nobody asks for `inline`: it is on where such instructions are.
 * covers: sigaltstack sigprocmask gettid
 * needs: inline
 * proof: inline==1 inline_calls>=180 green_threads>=8 parks>=40
 */
#include "inline.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

enum { THREADS = 8, TIMES = 10, BYTES = 65536 };

static _Atomic int own, elsewhere;
static __thread char *mine;
static __thread sigjmp_buf back;

static void fault(int number, siginfo_t *info, void *context)
{
    char here;
    (void)number, (void)info, (void)context;
    if (&here >= mine && &here < mine + BYTES)
        own++;
    else
        elsewhere++;
    siglongjmp(back, 1);
}

static void *run(void *argument)
{
    unsigned long usr1 = 1UL << (SIGUSR1 - 1), now = 0;
    stack_t stack = { .ss_size = BYTES };
    stack.ss_sp = mine = malloc(BYTES);
    CHECK(INLINE(SYS_sigaltstack, &stack, 0) == 0);
    CHECK(INLINE(SYS_rt_sigprocmask, SIG_BLOCK, &usr1, 0, 8) == 0);
    long tid = INLINE(SYS_gettid);
    for (volatile int i = 0; i < TIMES; i++) {
        usleep(500);
        CHECK(INLINE(SYS_rt_sigprocmask, SIG_BLOCK, 0, &now, 8) == 0);
        CHECK(now & usr1);
        CHECK(INLINE(SYS_gettid) == tid && gettid() == tid);
        if (!sigsetjmp(back, 1))
            *(volatile int *)16 = 1;
    }
    return argument;
}

int main(void)
{
    struct sigaction faults = { .sa_sigaction = fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    pthread_t threads[THREADS];
    CHECK(sigaction(SIGSEGV, &faults, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, run, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    printf("%d on the thread's own stack, %d elsewhere\n", own, elsewhere);
    return 0;
}
