/* Every way to yield lets another thread run that makes no call itself: each waits, yielding, for what the other does.
 * covers: sched_yield __sched_yield pthread_yield thrd_yield
 * proof: green_threads>=8 parks>=2
 */
#include "ctest.h"
#include <threads.h>

enum { ROUNDS = 100 };

extern int __sched_yield(void);
/* glibc offers this name to old programs only, by its first version. */
#ifdef __x86_64__
__asm__(".symver old_pthread_yield, pthread_yield@GLIBC_2.2.5");
#else
__asm__(".symver old_pthread_yield, pthread_yield@GLIBC_2.17");
#endif
extern int old_pthread_yield(void);

static int by_thrd_yield(void)
{
    thrd_yield();
    return 0;
}

static const struct row { const char *name; int (*yield)(void); } rows[] = {
    {"sched_yield", sched_yield}, {"__sched_yield", __sched_yield}, {"pthread_yield", old_pthread_yield}, {"thrd_yield", by_thrd_yield},
};
static const struct row *row;
static atomic_int turn;

static void *player(void *own)
{
    for (int i = 0; i < ROUNDS; i++) {
        while (turn % 2 != (intptr_t)own)
            CHECK_IS(row->yield(), 0);
        turn++;
    }
    return NULL;
}

int main(void)
{
    for (row = rows; row < rows + sizeof rows / sizeof *rows; row++) {
        turn = 0;
        pthread_t threads[2] = {spawn(player, (void *)0), spawn(player, (void *)1)};
        CHECK_IS(row->yield(), 0);
        join(threads[0]);
        join(threads[1]);
        say("%s: %d turns", row->name, turn);
    }
    return 0;
}
