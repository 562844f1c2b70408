/* A handler runs under the action that it was set with, while another thread changes that all the time: its mask, its flags, its
 * stack; and one that is to run once runs once, however many threads are signalled.
 * covers: sigaction pthread_sigmask pthread_kill sigaltstack
 * proof: green_threads>=7 parks>=1200 hooks.sigaction>=1000
 */
#include "ctest.h"

enum { BYTES = 64 << 10, CHANGES = 20000, ROUNDS = 200, TARGETS = 4 };

static atomic_bool over;
static atomic_long handled, torn;
static __thread char *own;

static bool blocks(int signal)
{
    sigset_t mask;
    CHECK_IS(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
    return sigismember(&mask, signal);
}

static bool on_own(void)
{
    char here;
    return &here >= own && &here < own + BYTES;
}

static void with_mask(int signal)
{
    handled++;
    torn += !blocks(SIGUSR2) || !blocks(signal) || on_own();
}

static void without(int signal)
{
    handled++;
    torn += blocks(SIGUSR2) || blocks(signal) || on_own();
}

static void on_stack(int signal)
{
    handled++;
    torn += !blocks(SIGUSR2) || !blocks(signal) || !on_own();
}

static void *changes(void *argument)
{
    struct sigaction actions[] = {
        {.sa_handler = with_mask}, {.sa_handler = without, .sa_flags = SA_NODEFER}, {.sa_handler = on_stack, .sa_flags = SA_ONSTACK}};
    sigaddset(&actions[0].sa_mask, SIGUSR2);
    sigaddset(&actions[2].sa_mask, SIGUSR2);
    for (int i = 0; i < CHANGES || handled < 1000; i++)
        CHECK_IS(sigaction(SIGUSR1, &actions[i % 3], NULL), 0);
    over = true;
    return argument;
}

static void *sends(void *argument)
{
    own = malloc(BYTES);
    CHECK_IS(sigaltstack(&(stack_t){.ss_sp = own, .ss_size = BYTES}, NULL), 0);
    while (!over)
        CHECK_IS(pthread_kill(pthread_self(), SIGUSR1), 0);
    CHECK_IS(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL), 0);
    free(own);
    return argument;
}

static atomic_int once;

static void counts(int signal)
{
    struct sigaction now;
    CHECK_IS(sigaction(signal, NULL, &now), 0);
    CHECK(now.sa_handler == SIG_DFL && now.sa_flags & SA_RESETHAND);
    once++;
}

/* SIGURG's default is to be ignored. */
static void *is_signalled(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_IS(pthread_barrier_wait(argument) & ~PTHREAD_BARRIER_SERIAL_THREAD, 0);
        CHECK_IS(pthread_kill(pthread_self(), SIGURG), 0);
        pthread_barrier_wait(argument);
        pthread_barrier_wait(argument);
    }
    return argument;
}

static void runs_once(void)
{
    pthread_barrier_t all;
    pthread_t threads[TARGETS];
    struct sigaction action = {.sa_handler = counts, .sa_flags = SA_RESETHAND};
    CHECK_IS(pthread_barrier_init(&all, NULL, TARGETS + 1), 0);
    for (int i = 0; i < TARGETS; i++)
        threads[i] = spawn(is_signalled, &all);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_IS(sigaction(SIGURG, &action, NULL), 0);
        pthread_barrier_wait(&all);
        pthread_barrier_wait(&all);
        CHECK_IS(once, i + 1);
        pthread_barrier_wait(&all);
    }
    for (int i = 0; i < TARGETS; i++)
        join(threads[i]);
    CHECK_IS(pthread_barrier_destroy(&all), 0);
}

int main(void)
{
    struct sigaction first = {.sa_handler = without, .sa_flags = SA_NODEFER};
    CHECK_IS(sigaction(SIGUSR1, &first, NULL), 0);
    pthread_t threads[3] = {spawn(changes, NULL), spawn(sends, NULL), spawn(sends, NULL)};
    for (int i = 0; i < 3; i++)
        join(threads[i]);
    CHECK_IS(torn, 0);
    say("each handler with its own mask and stack");
    runs_once();
    say("%d times once", ROUNDS);
    return 0;
}
