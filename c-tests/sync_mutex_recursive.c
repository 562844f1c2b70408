/* A recursive mutex locked a thousand deep, with waits in between, is free for others only after as many unlocks.
 * covers: pthread_mutex_lock pthread_mutex_unlock pthread_mutex_trylock pthread_cond_wait pthread_cond_signal
 * proof: green_threads>=2 parks>=1
 * passes: pthread_mutex_trylock: a try waits for nothing: the lock's words are glibc's, and so is the try, but for robust locks and those
 *   with priorities
 */
#include "ctest.h"

static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static bool got_in;
static atomic_bool tried;

static void *other(void *argument)
{
    CHECK_IS(pthread_mutex_trylock(&mutex), EBUSY);
    tried = true;
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    got_in = true;
    CHECK_IS(pthread_cond_signal(&condition), 0);
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    return argument;
}

static void deep(void)
{
    for (int i = 0; i < 1000; i++)
        CHECK_IS(i % 2 ? pthread_mutex_trylock(&mutex) : pthread_mutex_lock(&mutex), 0);
    pthread_t thread = spawn(other, NULL);
    while (!tried)
        sched_yield();
    for (int i = 0; i < 999; i++) {
        if (i % 333 == 0)
            nap(1);
        CHECK(!got_in);
        CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    }
    while (!got_in)
        CHECK_IS(pthread_cond_wait(&condition, &mutex), 0);
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    CHECK_IS(pthread_mutex_unlock(&mutex), EPERM);
    join(thread);
}

int main(void)
{
    in_thread(deep);
    say("1000 deep, then the other got in");
    return 0;
}
