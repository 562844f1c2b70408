/* Posts race with timed waits that run out at the same moment: what was posted is taken or left, never lost or doubled.
 * covers: sem_post sem_timedwait sem_trywait sem_clockwait
 * proof: green_threads>=8 parks>=10
 */
#include "deadlines.h"
#include <semaphore.h>

enum { WAITERS = 4, POSTERS = 4, EACH = 200 };

static sem_t semaphore;
static atomic_int taken, posting = POSTERS;

static void *waiter(void *number)
{
    unsigned seed = (uintptr_t)number + 1;
    while (posting > 0) {
        clockid_t clock = random_below(2, &seed) ? CLOCK_MONOTONIC : CLOCK_REALTIME;
        struct timespec deadline = in_us(clock, random_below(100, &seed));
        if (sem_clockwait(&semaphore, clock, &deadline) == 0)
            taken++;
        else
            CHECK(errno == ETIMEDOUT);
        deadline = in_us(CLOCK_REALTIME, 0);
        if (sem_timedwait(&semaphore, &deadline) == 0)
            taken++;
    }
    return NULL;
}

static void *poster(void *argument)
{
    for (int i = 0; i < EACH; i++) {
        CHECK_IS(sem_post(&semaphore), 0);
        if (i % 16 == 0)
            usleep(50);
    }
    posting--;
    return argument;
}

int main(void)
{
    pthread_t threads[WAITERS + POSTERS];
    sem_init(&semaphore, 0, 0);
    for (intptr_t i = 0; i < WAITERS + POSTERS; i++)
        threads[i] = spawn(i < WAITERS ? waiter : poster, (void *)i);
    for (int i = 0; i < WAITERS + POSTERS; i++)
        join(threads[i]);
    int left = 0;
    while (sem_trywait(&semaphore) == 0)
        left++;
    CHECK_IS(taken + left, POSTERS * EACH);
    say("%d posts: each taken once or left", POSTERS * EACH);
    return 0;
}
