/* A descriptor whose transfer was left in the middle, by a jump out of a signal handler, is closed at once: by the thread that jumped, or
 * by another while that one computes. (So often that the time limit would end this if each close waited for something.)
 * covers: siglongjmp recv send close pthread_kill
 * proof: green_threads>=1 parks>=2900 hooks.recv>=1000
 * passes: siglongjmp: the library leaves its handlers and brings the mask back, and the jump itself is libc's
 * came: siglongjmp>=1000: they pass, as said
 */
#include "signals.h"
#include "sockets.h"
#include <setjmp.h>

enum { ROUNDS = 2000 };

static sigjmp_buf back;
static int ends[2];
static atomic_bool may_jump, jumped;
static atomic_int closed;
static pthread_barrier_t barrier;

static bool by_main(int round)
{
    return round % 50 == 0;
}

static void leave(int signal)
{
    (void)signal;
    if (atomic_exchange(&may_jump, false))
        siglongjmp(back, 1);
}

static void *receiver(void *unused)
{
    for (volatile int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&barrier);
        if (!sigsetjmp(back, 1)) {
            char text[8];
            atomic_store(&may_jump, true);
            recv(ends[0], text, sizeof text, MSG_WAITALL);
            CHECK(!"the handler leaves this");
        }
        if (!by_main(i))
            CHECK_IS(close(ends[0]), 0);
        atomic_store(&jumped, true);
        while (by_main(i) && atomic_load(&closed) <= i)
            ;
    }
    return unused;
}

int main(void)
{
    struct sigaction action = {.sa_handler = leave, .sa_flags = SA_RESTART};
    CHECK_IS(sigaction(SIGUSR1, &action, NULL), 0);
    CHECK_IS(pthread_barrier_init(&barrier, NULL, 2), 0);
    pthread_t thread = spawn(receiver, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        unix_pair(SOCK_STREAM, ends);
        transmit(ends[1], "half");
        atomic_store(&jumped, false);
        pthread_barrier_wait(&barrier);
        wait_taken(ends[0]);
        while (!atomic_load(&jumped)) {
            CHECK_IS(pthread_kill(thread, SIGUSR1), 0);
            sched_yield();
        }
        if (by_main(i))
            CHECK_IS(close(ends[0]), 0);
        close(ends[1]);
        atomic_store(&closed, i + 1);
    }
    join(thread);
    say("%d transfers left, %d descriptors closed", ROUNDS, ROUNDS);
    return 0;
}
