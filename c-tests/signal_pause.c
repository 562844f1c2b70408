/* sigpause, in its two old meanings, and pause wait for a handler; alternate stacks are each thread's own.
 * covers: sigpause __xpg_sigpause sigaltstack pause pthread_kill
 * proof: green_threads>=5 parks>=1
 */
#include "signals.h"

/* The header means the second by `sigpause`; older programs import the first. */
extern int sigpause_with_mask(int mask) __asm__("sigpause");
extern int sigpause_without(int number) __asm__("__xpg_sigpause");

static atomic_bool done;
static _Thread_local char *stack;
static _Thread_local volatile sig_atomic_t on_stack;

enum { STACK_BYTES = 64 << 10 };

static void on_alternate(int number)
{
    char local;
    (void)number;
    on_stack = &local >= stack && &local < stack + STACK_BYTES;
}

static void *waits_with_mask(void *argument)
{
    CHECK_FAILS(sigpause_with_mask(0), EINTR);
    done = true;
    return argument;
}

static void *waits_for_one(void *argument)
{
    CHECK_FAILS(sigpause_without(SIGUSR1), EINTR);
    done = true;
    return argument;
}

static void *waits_for_any(void *argument)
{
    sigset_t all;
    sigfillset(&all);
    CHECK_IS(pthread_sigmask(SIG_UNBLOCK, &all, NULL), 0);
    CHECK_FAILS(pause(), EINTR);
    done = true;
    return argument;
}

static void *own_stack(void *argument)
{
    stack_t own = {.ss_sp = stack = malloc(STACK_BYTES), .ss_size = STACK_BYTES}, old, none = {.ss_flags = SS_DISABLE};
    CHECK_IS(sigaltstack(NULL, &old), 0);
    CHECK(old.ss_flags & SS_DISABLE); /* a new thread has none */
    CHECK_IS(sigaltstack(&own, NULL), 0);
    for (int i = 0; i < 5; i++) {
        nap(1);
        on_stack = false;
        CHECK_IS(pthread_kill(pthread_self(), SIGUSR2), 0);
        CHECK(on_stack);
    }
    CHECK_IS(sigaltstack(&none, &old), 0);
    CHECK(old.ss_sp == stack);
    CHECK_IS(old.ss_size, STACK_BYTES);
    free(stack);
    return argument;
}

static void interrupt(const char *name, void *(*function)(void *))
{
    done = false;
    pthread_t thread = spawn(function, NULL);
    signal_until(thread, SIGUSR1, &done);
    join(thread);
    say("%s: interrupted", name);
}

int main(void)
{
    sigset_t usr1, usr2;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    catch_signal(SIGUSR1, 0);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &usr1, NULL), 0);
    interrupt("sigpause with a mask", waits_with_mask);
    interrupt("sigpause for a signal", waits_for_one);
    interrupt("pause", waits_for_any);

    CHECK_IS(sigaction(SIGUSR2, &(struct sigaction){.sa_handler = on_alternate, .sa_flags = SA_ONSTACK}, NULL), 0);
    pthread_t first = spawn(own_stack, NULL), second = spawn(own_stack, NULL);
    join(first);
    join(second);
    say("two alternate stacks: each thread's handler on its own");
    return 0;
}
