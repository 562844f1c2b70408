/* A thread recovers from the overflow of its stack again and again, without a wait in between: its handler is left by siglongjmp,
 * longjmp, setcontext, or by the thread's end; and main does. Later handlers run on the alternate stack all the same.
 * covers: siglongjmp longjmp setcontext pthread_exit sigaltstack sigaction
 * proof: green_threads>=12
 * no_park: only main waits, for threads that may have ended before it asks
 * passes: siglongjmp longjmp setcontext: the library leaves its handlers and brings the mask back, and the jump itself is libc's
 * passes: sigaction: called before the first thread is made
 */
#include "ctest.h"
#include <setjmp.h>
#include <sys/resource.h>
#include <ucontext.h>

enum { BYTES = 64 << 10, TIMES = 3 };

static __thread char *own;
static __thread sigjmp_buf out;
static __thread ucontext_t context;
static __thread int way, other_handlers;

static bool on_own(void)
{
    char here;
    return &here >= own && &here < own + BYTES;
}

static void leave(int signal)
{
    (void)signal;
    CHECK(on_own());
    switch (way) {
    case 0:
        siglongjmp(out, 1);
    case 1:
        longjmp(out, 1);
    case 2:
        setcontext(&context);
    }
    pthread_exit(&way);
}

static void stays(int signal)
{
    (void)signal;
    CHECK(on_own());
    other_handlers++;
}

__attribute__((noinline)) static int dive(volatile int depth)
{
    volatile char frame[1024];
    frame[depth & 1023] = 1;
    return (depth >= 0 ? dive(depth + 1) : 0) + frame[depth & 1023];
}

static void recovers(void)
{
    volatile int times = 0;
    sigset_t segv;
    sigemptyset(&segv);
    sigaddset(&segv, SIGSEGV);
    if (way == 2)
        CHECK_IS(getcontext(&context), 0);
    else if (way < 2)
        sigsetjmp(out, way == 0);
    CHECK_IS(pthread_sigmask(SIG_UNBLOCK, &segv, NULL), 0);
    for (int i = 0; i < 3 && times; i++)
        CHECK_IS(pthread_kill(pthread_self(), SIGUSR1), 0);
    if (times++ < TIMES)
        dive(0);
    CHECK_IS(other_handlers, TIMES * 3 + 3);
}

static void *has_alternate(void *argument)
{
    own = malloc(BYTES);
    CHECK_IS(sigaltstack(&(stack_t){.ss_sp = own, .ss_size = BYTES}, NULL), 0);
    way = (int)(intptr_t)argument;
    other_handlers = 3;
    recovers();
    free(own);
    return argument;
}

int main(void)
{
    struct sigaction overflows = {.sa_handler = leave, .sa_flags = SA_ONSTACK};
    struct sigaction other = {.sa_handler = stays, .sa_flags = SA_ONSTACK};
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    setrlimit(RLIMIT_STACK, &(struct rlimit){1 << 20, RLIM_INFINITY});
    CHECK_IS(sigaction(SIGSEGV, &overflows, NULL), 0);
    CHECK_IS(sigaction(SIGUSR1, &other, NULL), 0);
    for (int round = 0; round < 3; round++) {
        pthread_attr_t attributes;
        pthread_t threads[4];
        void *result;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 256 << 10);
        for (intptr_t i = 0; i < 4; i++)
            CHECK_IS(pthread_create(&threads[i], &attributes, has_alternate, (void *)i), 0);
        for (intptr_t i = 0; i < 4; i++) {
            CHECK_IS(pthread_join(threads[i], &result), 0);
            CHECK(i == 3 || result == (void *)i);
        }
    }
    say("siglongjmp, longjmp, setcontext: %d times each; pthread_exit", TIMES);
    for (intptr_t i = 0; i < 3; i++)
        has_alternate((void *)i);
    sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
    say("main: %d times each", TIMES);
    return 0;
}
