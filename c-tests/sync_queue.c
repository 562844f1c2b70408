/* Producers and consumers share a small bounded queue, by condition variables and by semaphores: nothing is lost, doubled or reordered.
 * covers: pthread_mutex_lock pthread_mutex_unlock pthread_cond_wait pthread_cond_signal sem_wait sem_post
 * proof: green_threads>=16 parks>=2
 */
#include "ctest.h"
#include <semaphore.h>

enum { PRODUCERS = 4, CONSUMERS = 4, EACH = 250, SLOTS = 3 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER;
static sem_t free_slots, full_slots;
static bool by_semaphore;
static int queue[SLOTS], first, count;

static void put(int item)
{
    if (by_semaphore)
        CHECK_IS(sem_wait(&free_slots), 0);
    pthread_mutex_lock(&mutex);
    while (!by_semaphore && count == SLOTS)
        pthread_cond_wait(&not_full, &mutex);
    CHECK(count < SLOTS);
    queue[(first + count++) % SLOTS] = item;
    pthread_cond_signal(&not_empty);
    pthread_mutex_unlock(&mutex);
    if (by_semaphore)
        CHECK_IS(sem_post(&full_slots), 0);
}

static int get(void)
{
    if (by_semaphore)
        CHECK_IS(sem_wait(&full_slots), 0);
    pthread_mutex_lock(&mutex);
    while (!by_semaphore && count == 0)
        pthread_cond_wait(&not_empty, &mutex);
    CHECK(count > 0);
    int item = queue[first];
    first = (first + 1) % SLOTS;
    count--;
    pthread_cond_signal(&not_full);
    pthread_mutex_unlock(&mutex);
    if (by_semaphore)
        CHECK_IS(sem_post(&free_slots), 0);
    return item;
}

static void *producer(void *number)
{
    for (intptr_t i = 1; i <= EACH; i++)
        put((intptr_t)number * 1000 + i);
    return NULL;
}

static void *consumer(void *sum_of_all)
{
    int last[PRODUCERS] = {0};
    for (int i = 0; i < PRODUCERS * EACH / CONSUMERS; i++) {
        int item = get();
        CHECK(item % 1000 > last[item / 1000]); /* each producer's items in their order */
        last[item / 1000] = item % 1000;
        *(atomic_int *)sum_of_all += item % 1000;
    }
    return NULL;
}

int main(void)
{
    CHECK_IS(sem_init(&free_slots, 0, SLOTS), 0);
    CHECK_IS(sem_init(&full_slots, 0, 0), 0);
    for (int way = 0; way < 2; way++) {
        pthread_t threads[PRODUCERS + CONSUMERS];
        atomic_int sum = 0;
        by_semaphore = way;
        for (intptr_t i = 0; i < PRODUCERS + CONSUMERS; i++)
            threads[i] = i < PRODUCERS ? spawn(producer, (void *)i) : spawn(consumer, &sum);
        for (int i = 0; i < PRODUCERS + CONSUMERS; i++)
            join(threads[i]);
        CHECK_IS(sum, PRODUCERS * EACH * (EACH + 1) / 2);
        CHECK_IS(count, 0);
        say("by %s: %d items went through", by_semaphore ? "semaphores" : "condition variables", PRODUCERS * EACH);
    }
    return 0;
}
