/* pthread_self and gettid: another value for each of fifty threads alive at once, steady over waits; a tid does not come again
 * with the next thread; main's tid is the process's id.
 * covers: gettid syscall
 * proof: green_threads>=150 parks>=50 hooks.gettid>=100 hooks.syscall>=50
 */
#include "ctest.h"
#include <sys/syscall.h>

enum { THREADS = 50 };

static pthread_barrier_t barrier;
static struct { pthread_t thread; pid_t tid; } seen[THREADS];

static void *identify(void *argument)
{
    intptr_t number = (intptr_t)argument;
    seen[number].thread = pthread_self();
    seen[number].tid = gettid();
    pthread_barrier_wait(&barrier);
    nap(1);
    CHECK(pthread_equal(pthread_self(), seen[number].thread));
    CHECK_IS(gettid(), seen[number].tid);
    CHECK_IS(syscall(SYS_gettid), seen[number].tid);
    CHECK(gettid() > 0 && gettid() != getpid());
    return NULL;
}

static void *give_tid(void *tid)
{
    *(pid_t *)tid = gettid();
    return NULL;
}

static void one_after_another(void)
{
    pid_t tids[2 * THREADS];
    for (int i = 0; i < 2 * THREADS; i++) {
        join(spawn(give_tid, &tids[i]));
        for (int k = 0; k < i; k++)
            CHECK(tids[k] != tids[i]);
    }
}

int main(void)
{
    pthread_t threads[THREADS];
    CHECK_IS(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    for (intptr_t i = 0; i < THREADS; i++)
        threads[i] = spawn(identify, (void *)i);
    for (int i = 0; i < THREADS; i++) {
        join(threads[i]);
        CHECK(pthread_equal(threads[i], seen[i].thread));
        CHECK(!pthread_equal(threads[i], pthread_self()));
        for (int k = 0; k < i; k++)
            CHECK(seen[k].tid != seen[i].tid && !pthread_equal(seen[k].thread, seen[i].thread));
    }
    say("%d threads: distinct and steady", THREADS);
    one_after_another();
    say("%d one after another: distinct too", 2 * THREADS);
    CHECK_IS(gettid(), getpid());
    CHECK_IS(syscall(SYS_gettid), getpid());
    say("main: its tid is the process's id");
    return 0;
}
