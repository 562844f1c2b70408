/* Handlers interrupt handlers as they begin, wait and end, on alternate stacks and off them: each ends where it came, with its
 * stack whole, and those of one kind come in order.
 * covers: sigaction sigaltstack pthread_kill pthread_sigqueue kill nanosleep sched_yield
 * proof: green_threads>=6 parks>=50 hooks.pthread_kill>=40000
 * passes: sigaction: called before the first thread is made
 */
#include "ctest.h"

enum { TARGETS = 4, STACK = 128 << 10, TURNS = 20000 };

static const int signals[] = {SIGUSR1, SIGUSR2, SIGINT, SIGHUP};
static __thread pthread_t self;
static __thread int counted;
static atomic_bool over;
static pthread_t targets[TARGETS];
static atomic_int begun;

static void handler(int signal)
{
    int error = errno;
    char local[512];
    memset(local, signal, sizeof local);
    if (signal % 2)
        sched_yield();
    else
        nanosleep(&(struct timespec){0, 10000}, NULL);
    for (size_t i = 0; i < sizeof local; i++)
        CHECK_IS(local[i], signal);
    CHECK(self == 0 || pthread_equal(self, pthread_self()));
    errno = error;
}

/* Its values are 1, 2, 3, … */
static void count(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    CHECK_IS(info->si_value.sival_int, ++counted);
}

static void *is_interrupted(void *alternate)
{
    self = pthread_self();
    stack_t stack = {.ss_sp = alternate, .ss_size = STACK}, off = {.ss_flags = SS_DISABLE};
    if (alternate)
        CHECK_IS(sigaltstack(&stack, NULL), 0);
    begun++;
    while (!over || counted % TURNS)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    if (alternate)
        CHECK_IS(sigaltstack(&off, NULL), 0);
    return alternate;
}

static void *interrupts(void *own)
{
    for (unsigned i = 0; i < TURNS; i++) {
        if (i % 500 == 0)
            usleep(1); /* parks */
        while ((errno = pthread_sigqueue(*(pthread_t *)own, SIGRTMIN, (union sigval){.sival_int = i + 1})) == EAGAIN)
            nap(1);
        CHECK_IS(errno, 0);
        CHECK_IS(pthread_kill(targets[i % TARGETS], signals[i / TARGETS % 4]), 0);
        if (i % 2 == 0)
            CHECK_IS(kill(getpid(), signals[i / 2 % 4]), 0);
    }
    return own;
}

int main(void)
{
    static char stacks[TARGETS / 2][STACK];
    for (int i = 0; i < 4; i++) {
        struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART | (i % 2 ? SA_ONSTACK : 0)};
        CHECK_IS(sigaction(signals[i], &action, NULL), 0);
    }
    struct sigaction counting = {.sa_sigaction = count, .sa_flags = SA_RESTART | SA_SIGINFO};
    CHECK_IS(sigaction(SIGRTMIN, &counting, NULL), 0);
    for (int i = 0; i < TARGETS; i++)
        targets[i] = spawn(is_interrupted, i % 2 ? stacks[i / 2] : NULL);
    while (begun < TARGETS)
        nap(1);
    pthread_t senders[2] = {spawn(interrupts, &targets[0]), spawn(interrupts, &targets[1])};
    join(senders[0]);
    join(senders[1]);
    over = true;
    for (int i = 0; i < TARGETS; i++)
        join(targets[i]);
    say("all handlers ended where they began");
    return 0;
}
