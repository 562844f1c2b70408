/* A thread without an alternate stack mends its fault in a handler with SA_ONSTACK, in the middle of which another signal comes, to a
 * handler with SA_ONSTACK, too: all that was interrupted goes on as it was.
 * covers: sigaction raise pthread_create
 * proof: green_threads>=2 hooks.raise>=20
 * no_park: only main waits, for threads that may have ended before it asks
 * passes: sigaction: called before the first thread is made
 */
#include "ctest.h"
#include <sys/mman.h>

enum { ROUNDS = 10, DEEP = 4000 };

static __thread char *page;
static __thread volatile int faults, nested;

static void another(int signal)
{
    volatile char deep[DEEP];
    memset((char *)deep, signal, sizeof deep);
    nested += deep[DEEP - 1] == signal;
}

static void mend(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    CHECK((char *)info->si_addr == page + 8);
    volatile long kept = 0x0123456789abcdef;
    CHECK_IS(raise(SIGUSR1), 0);
    sched_yield();
    CHECK_IS(raise(SIGUSR1), 0);
    CHECK(kept == 0x0123456789abcdef);
    faults++;
    CHECK_IS(mprotect(page, 4096, PROT_READ | PROT_WRITE), 0);
}

static void *faults_again_and_again(void *unused)
{
    page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    for (int round = 1; round <= ROUNDS; round++) {
        volatile double before = round * 1.5;
        page[8] = round;
        CHECK_IS(page[8], round);
        CHECK(before == round * 1.5);
        CHECK_IS(faults, round);
        CHECK_IS(nested, 2 * round);
        CHECK_IS(mprotect(page, 4096, PROT_NONE), 0);
    }
    return unused;
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = mend, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    CHECK_IS(sigaction(SIGSEGV, &action, NULL), 0);
    action = (struct sigaction){.sa_handler = another, .sa_flags = SA_ONSTACK};
    CHECK_IS(sigaction(SIGUSR1, &action, NULL), 0);
    pthread_t threads[2] = {spawn(faults_again_and_again, NULL), spawn(faults_again_and_again, NULL)};
    join(threads[0]);
    join(threads[1]);
    say("mended %d faults", 2 * ROUNDS);
    return 0;
}
