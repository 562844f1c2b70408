/* A wait on a condition variable goes on after a signal handler; a signal to the condition that comes while the handler runs is not
 * lost; and who waits uses its mutex, which cannot be destroyed meanwhile.
 * covers: pthread_cond_wait pthread_cond_timedwait pthread_cond_signal pthread_kill pthread_mutex_destroy
 * proof: green_threads>=2 parks>=4
 */
#include "ctest.h"

enum { SIGNALS = 20 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static atomic_int handled, waits, returns;
static atomic_bool lingers, signalled;

static void handler(int number)
{
    (void)number;
    handled++;
    while (lingers && !signalled)
        sched_yield();
}

static void *waits_once(void *timed)
{
    struct timespec far;
    clock_gettime(CLOCK_REALTIME, &far);
    far.tv_sec += 1000;
    CHECK_IS(pthread_mutex_lock(&lock), 0);
    waits++;
    if (timed)
        CHECK_IS(pthread_cond_timedwait(&condition, &lock, &far), 0);
    else
        CHECK_IS(pthread_cond_wait(&condition, &lock), 0);
    returns++;
    CHECK_IS(pthread_mutex_unlock(&lock), 0);
    return NULL;
}

static void interrupted(bool timed)
{
    waits = handled = returns = 0;
    lingers = signalled = false;
    pthread_t thread = spawn(waits_once, (void *)(intptr_t)timed);
    for (bool ready = false; !ready; sched_yield()) {
        CHECK_IS(pthread_mutex_lock(&lock), 0);
        ready = waits == 1;
        CHECK_IS(pthread_mutex_unlock(&lock), 0);
    }
    CHECK_IS(pthread_mutex_destroy(&lock), EBUSY);
    for (int i = 1; i <= SIGNALS; i++) {
        CHECK_IS(pthread_kill(thread, SIGUSR1), 0);
        while (handled < i)
            sched_yield();
    }
    CHECK_IS(returns, 0);
    lingers = true;
    CHECK_IS(pthread_kill(thread, SIGUSR1), 0);
    while (handled == SIGNALS)
        sched_yield();
    CHECK_IS(pthread_cond_signal(&condition), 0);
    signalled = true;
    join(thread);
    CHECK_IS(returns, 1);
    say("%s: %d handlers, one signal, one return", timed ? "timed" : "for ever", handled);
}

int main(void)
{
    CHECK_IS(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler}, NULL), 0);
    interrupted(false);
    interrupted(true);
    CHECK_IS(pthread_mutex_destroy(&lock), 0);
    say("nobody uses the mutex any more");
    return 0;
}
