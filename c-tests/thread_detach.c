/* Threads are detached while they run, by themselves or by others; what cannot be joined says so: EINVAL, and EDEADLK for oneself.
 * covers: pthread_detach pthread_join
 * proof: green_threads>=53 hooks.pthread_detach>=52 parks>=1
 */
#include "ctest.h"
#include <semaphore.h>

static sem_t go, done;

static void *waits(void *argument)
{
    sem_wait(&go);
    sem_post(&done);
    return argument;
}

static void *detaches_itself(void *argument)
{
    CHECK_IS(pthread_detach(pthread_self()), 0);
    sem_post(&done);
    return argument;
}

static void *joins_itself(void *argument)
{
    CHECK_IS(pthread_join(pthread_self(), NULL), EDEADLK);
    return argument;
}

int main(void)
{
    sem_init(&go, 0, 0);
    sem_init(&done, 0, 0);

    pthread_t thread = spawn(waits, NULL);
    CHECK_IS(pthread_detach(thread), 0);
    CHECK_IS(pthread_detach(thread), EINVAL);
    CHECK_IS(pthread_join(thread, NULL), EINVAL);
    sem_post(&go);
    sem_wait(&done);
    say("detached while it waits: detached again, joined: EINVAL");

    thread = spawn(waits, NULL);
    nap(1);
    sem_post(&go);
    sem_wait(&done);
    CHECK_IS(pthread_detach(thread), 0); /* has ended or is about to: what is left of it is cleared away */
    say("detached at its end");

    CHECK_IS(pthread_join(thread, NULL), EINVAL);
    nap(5); /* It has ended by now, and no thread has been made since: what libc, or the pool, keeps of it is there yet. */
    CHECK_IS(pthread_join(thread, NULL), EINVAL);
    CHECK_IS(pthread_detach(thread), EINVAL);
    say("joined and detached after its end: EINVAL");

    for (int i = 0; i < 50; i++)
        spawn(detaches_itself, NULL);
    for (int i = 0; i < 50; i++)
        sem_wait(&done);
    say("50 threads detached themselves");

    join(spawn(joins_itself, NULL));
    CHECK_IS(pthread_join(pthread_self(), NULL), EDEADLK);
    say("joined by itself: EDEADLK");
    return 0;
}
