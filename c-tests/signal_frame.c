/* A handler's whole frame (its own, siginfo, context, state of the floating-point unit) lies on the stack where the handler runs, the
 * context names the thread's alternate stack, and what the handler changes in it is taken back: nested, after faults, beside jumps.
 * covers: sigaltstack sigaction pthread_kill siglongjmp
 * proof: green_threads>=6 parks>=44 hooks.sigaltstack>=10
 * passes: siglongjmp: the library leaves its handlers and brings the mask back, and the jump itself is libc's
 */
#include "ctest.h"
#include <execinfo.h>
#include <setjmp.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <ucontext.h>

enum { BYTES = 64 << 10, ROUNDS = 30 };

static __thread char *own, *interrupted;
static __thread sigjmp_buf out;
static __thread int ran, far_away, elsewhere;

static bool on_own(const void *address)
{
    return (const char *)address >= own && (const char *)address < own + BYTES;
}

static void look(siginfo_t *info, ucontext_t *context, bool on_alternate)
{
    char here;
    stack_t told;
    const void *places[] = {&here, info, context, context->uc_mcontext.fpregs};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        far_away += on_own(places[i]) != on_alternate;
        elsewhere += on_alternate ? 0 : labs((const char *)places[i] - interrupted) > 1 << 15;
    }
    far_away += context->uc_stack.ss_sp != own || context->uc_stack.ss_size != BYTES;
    CHECK_IS(sigaltstack(NULL, &told), 0);
    far_away += told.ss_flags != (on_alternate ? SS_ONSTACK : 0);
    ran++;
}

static void alternate(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    look(info, context, true);
}

static void ordinary(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    look(info, context, false);
}

/* Another one comes meanwhile, to the same stack. */
static void nests(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    look(info, context, true);
    CHECK_IS(pthread_kill(pthread_self(), SIGUSR1), 0);
    sched_yield();
    look(info, context, true);
}

static void faults(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    look(info, context, true);
    CHECK_IS((long)info->si_addr, 16);
    siglongjmp(out, 1);
}

static void set(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    CHECK_IS(sigaction(signal, &action, NULL), 0);
}

static void *frames(void *argument)
{
    char here;
    own = malloc(BYTES);
    interrupted = &here;
    CHECK_IS(sigaltstack(&(stack_t){.ss_sp = own, .ss_size = BYTES}, NULL), 0);
    for (volatile int i = 0; i < ROUNDS; i++) {
        CHECK_IS(pthread_kill(pthread_self(), SIGUSR1), 0);
        CHECK_IS(pthread_kill(pthread_self(), SIGUSR2), 0);
        CHECK_IS(pthread_kill(pthread_self(), SIGHUP), 0);
        if (sigsetjmp(out, true) == 0)
            *(volatile int *)(intptr_t)16 = 1;
        nap(i % 2);
    }
    CHECK_IS(ran, ROUNDS * 6);
    CHECK_IS(far_away, 0);
    CHECK_IS(elsewhere, 0);
    free(own);
    return argument;
}

/* What a handler writes into the context holds when it is over: a vector register, a general one, the mask. */
static void changes(int signal, siginfo_t *info, void *data)
{
    (void)signal, (void)info;
    ucontext_t *context = data;
    context->uc_mcontext.fpregs->_xmm[7].element[0] = 0x40490fdb;
    context->uc_mcontext.gregs[REG_R12] = 4711;
    sigaddset(&context->uc_sigmask, SIGUSR2);
}

static void *is_changed(void *argument)
{
    sigset_t mask;
    for (int i = 0; i < ROUNDS; i++) {
        register long general __asm__("r12") = 1;
        register float vector __asm__("xmm7") = 1;
        /* It faults, and the handler passes over it. */
        __asm__ volatile("movb $0, 16" : "+r"(general), "+x"(vector) : : "memory");
        CHECK_IS(general, 4711);
        CHECK(vector > 3.14159f && vector < 3.1416f);
        CHECK_IS(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
        CHECK(sigismember(&mask, SIGUSR2));
        sigemptyset(&mask);
        CHECK_IS(pthread_sigmask(SIG_SETMASK, &mask, NULL), 0);
    }
    return argument;
}

static void passes_over(int signal, siginfo_t *info, void *data)
{
    changes(signal, info, data);
    ((ucontext_t *)data)->uc_mcontext.gregs[REG_RIP] += 8; /* the instruction's bytes */
}

/* An unwinder comes through the frame to who was interrupted. */
static __thread int depth_before, depth_inside;
static __thread void *places[64];

static void unwinds(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info;
    depth_inside = backtrace(places, 64);
    bool found = false;
    for (int i = 0; i < depth_inside; i++)
        found |= places[i] == (void *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    CHECK(found);
}

static void *is_unwound(void *argument)
{
    depth_before = backtrace(places, 64);
    CHECK_IS(pthread_kill(pthread_self(), SIGTERM), 0);
    nap(1);
    CHECK(depth_inside > depth_before);
    return argument;
}

/* A stack that is too small for the kernel's frame ends the process. */
static void *has_no_room(void *argument)
{
    size_t bytes = MINSIGSTKSZ;
    char *small = malloc(1 << 16);
    CHECK_IS(sigaltstack(&(stack_t){.ss_sp = small + (1 << 15), .ss_size = bytes}, NULL), 0);
    CHECK_IS(pthread_kill(pthread_self(), SIGUSR1), 0);
    nap(1);
    say("there was room");
    return argument;
}

static void in_a_child(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    signal(SIGSEGV, SIG_DFL);
    join(spawn(has_no_room, NULL));
}

/* SS_AUTODISARM: the stack is nobody's while a handler runs there, and the thread's again after it. */
static atomic_int disarmed;

static void is_disarmed(int signal)
{
    (void)signal;
    char here;
    stack_t told;
    CHECK(on_own(&here));
    CHECK_IS(sigaltstack(NULL, &told), 0);
    CHECK_IS(told.ss_flags, SS_DISABLE);
    if (++disarmed == 4) /* another one instead, which holds: the handler runs on it */
        CHECK_IS(sigaltstack(&(stack_t){.ss_sp = own, .ss_size = BYTES}, NULL), 0);
}

static void *disarms(void *argument)
{
    stack_t told;
    own = malloc(BYTES);
    stack_t stack = {.ss_sp = own, .ss_size = BYTES, .ss_flags = 1 << 31};
    CHECK_IS(sigaltstack(&stack, NULL), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_IS(pthread_kill(pthread_self(), SIGINT), 0);
        nap(1);
        CHECK_IS(sigaltstack(NULL, &told), 0);
        CHECK(told.ss_sp == own && told.ss_size == BYTES && told.ss_flags == 1 << 31);
    }
    CHECK_IS(pthread_kill(pthread_self(), SIGINT), 0);
    CHECK_IS(sigaltstack(NULL, &told), 0);
    CHECK(told.ss_sp == own && told.ss_flags == 0);
    CHECK_IS(disarmed, 4);
    free(own);
    return argument;
}

int main(void)
{
    set(SIGUSR1, alternate, SA_ONSTACK);
    set(SIGUSR2, ordinary, 0);
    set(SIGHUP, nests, SA_ONSTACK);
    set(SIGSEGV, faults, SA_ONSTACK);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = spawn(frames, NULL);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    frames(NULL);
    sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
    say("frames lie where their handlers run");
    set(SIGSEGV, passes_over, SA_ONSTACK);
    join(spawn(is_changed, NULL));
    set(SIGSEGV, passes_over, 0);
    join(spawn(is_changed, NULL));
    say("what a handler changes in its context holds");
    set(SIGTERM, unwinds, SA_ONSTACK);
    join(spawn(is_unwound, NULL));
    set(SIGTERM, unwinds, 0);
    join(spawn(is_unwound, NULL));
    say("an unwinder comes through");
    CHECK_IS(sigaction(SIGINT, &(struct sigaction){.sa_handler = is_disarmed, .sa_flags = SA_ONSTACK}, NULL), 0);
    join(spawn(disarms, NULL));
    say("a disarmed stack comes back");
    int status = in_child(in_a_child);
    bool fits = (long)getauxval(AT_MINSIGSTKSZ) + 256 < MINSIGSTKSZ;
    CHECK(fits || WIFSIGNALED(status));
    say("a stack without room: signal %d", fits ? SIGSEGV : WTERMSIG(status));
    return 0;
}
