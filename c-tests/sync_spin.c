/* Spin locks exclude, also when their holder sleeps, which on one worker must not stop the holder from waking.
 * covers: pthread_spin_lock pthread_spin_trylock pthread_spin_unlock
 * proof: green_threads>=5 parks>=1
 */
#include "ctest.h"

enum { THREADS = 4, ROUNDS = 500 };

static pthread_spinlock_t lock;
static atomic_bool held, tried;
static long counter;

static void *increments(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_IS(pthread_spin_lock(&lock), 0);
        counter++;
        CHECK_IS(pthread_spin_unlock(&lock), 0);
        if (i % 50 == 0)
            sched_yield();
    }
    return argument;
}

static void *holds_and_sleeps(void *argument)
{
    CHECK_IS(pthread_spin_lock(&lock), 0);
    held = true;
    while (!tried)
        sched_yield();
    nap(3);
    counter = -1;
    CHECK_IS(pthread_spin_unlock(&lock), 0);
    return argument;
}

int main(void)
{
    pthread_t threads[THREADS];
    CHECK_IS(pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE), 0);
    for (int i = 0; i < THREADS; i++)
        threads[i] = spawn(increments, NULL);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    CHECK_IS(counter, THREADS * ROUNDS);
    say("%d threads: %d increments", THREADS, THREADS * ROUNDS);

    pthread_t holder = spawn(holds_and_sleeps, NULL);
    while (!held)
        sched_yield();
    CHECK_IS(pthread_spin_trylock(&lock), EBUSY);
    tried = true;
    CHECK_IS(pthread_spin_lock(&lock), 0);
    CHECK_IS(counter, -1);
    CHECK_IS(pthread_spin_trylock(&lock), EBUSY);
    CHECK_IS(pthread_spin_unlock(&lock), 0);
    join(holder);
    say("the holder slept: spun until it gave the lock back");
    CHECK_IS(pthread_spin_destroy(&lock), 0);
    return 0;
}
