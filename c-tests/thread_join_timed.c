/* pthread_tryjoin_np, timedjoin_np and clockjoin_np: busy and timed out while the thread lives, its value afterwards.
 * covers: pthread_tryjoin_np pthread_timedjoin_np pthread_clockjoin_np
 * proof: green_threads>=3 parks>=3 hooks.pthread_timedjoin_np>=2 hooks.pthread_clockjoin_np>=3
 */
#include "deadlines.h"
#include <semaphore.h>

static sem_t go;

static void *waits(void *value)
{
    sem_wait(&go);
    return value;
}

int main(void)
{
    sem_init(&go, 0, 0);
    void *value = NULL;

    pthread_t thread = spawn(waits, "first");
    CHECK_IS(pthread_tryjoin_np(thread, &value), EBUSY);
    struct timespec deadline = in_ms(CLOCK_REALTIME, 3);
    CHECK_IS(pthread_timedjoin_np(thread, &value, &deadline), ETIMEDOUT);
    CHECK(reached(CLOCK_REALTIME, deadline));
    deadline = in_ms(CLOCK_MONOTONIC, 3);
    CHECK_IS(pthread_clockjoin_np(thread, &value, CLOCK_MONOTONIC, &deadline), ETIMEDOUT);
    CHECK(reached(CLOCK_MONOTONIC, deadline));
    deadline = (struct timespec){1, 0};
    CHECK_IS(pthread_clockjoin_np(thread, &value, CLOCK_REALTIME, &deadline), ETIMEDOUT);
    CHECK(value == NULL);
    say("alive: EBUSY, ETIMEDOUT");

    sem_post(&go);
    int error;
    while ((error = pthread_tryjoin_np(thread, &value)) == EBUSY)
        sched_yield();
    CHECK_IS(error, 0);
    say("tryjoin: %s", (char *)value);

    thread = spawn(waits, "second");
    sem_post(&go);
    deadline = in_ms(CLOCK_REALTIME, 60000);
    CHECK_IS(pthread_timedjoin_np(thread, &value, &deadline), 0);
    say("timedjoin: %s", (char *)value);

    thread = spawn(waits, "third");
    nap(1);
    sem_post(&go);
    deadline = in_ms(CLOCK_MONOTONIC, 60000);
    CHECK_IS(pthread_clockjoin_np(thread, &value, CLOCK_MONOTONIC, &deadline), 0);
    say("clockjoin: %s", (char *)value);
    return 0;
}
