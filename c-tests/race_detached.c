/* A storm of detached threads, made faster than they end, detached by attribute, by their creator, by themselves.
 * covers: pthread_create pthread_detach sem_post sem_wait
 * proof: green_threads>=604 parks>=1
 */
#include "ctest.h"
#include <semaphore.h>

enum { CREATORS = 4, EACH = 150 };

static sem_t ended;
static pthread_attr_t detached_attribute;

static void *ends(void *argument)
{
    if (argument)
        CHECK_IS(pthread_detach(pthread_self()), 0);
    sem_post(&ended);
    return NULL;
}

static void *creator(void *argument)
{
    pthread_t thread;
    for (int i = 0; i < EACH; i++)
        switch (i % 3) {
        case 0:
            CHECK_IS(pthread_create(&thread, &detached_attribute, ends, NULL), 0);
            break;
        case 1:
            CHECK_IS(pthread_detach(spawn(ends, NULL)), 0);
            break;
        case 2:
            spawn(ends, &ended);
        }
    return argument;
}

int main(void)
{
    pthread_t creators[CREATORS];
    sem_init(&ended, 0, 0);
    CHECK_IS(pthread_attr_init(&detached_attribute), 0);
    CHECK_IS(pthread_attr_setdetachstate(&detached_attribute, PTHREAD_CREATE_DETACHED), 0);
    for (int i = 0; i < CREATORS; i++)
        creators[i] = spawn(creator, NULL);
    for (int i = 0; i < CREATORS * EACH; i++)
        CHECK_IS(sem_wait(&ended), 0);
    for (int i = 0; i < CREATORS; i++)
        join(creators[i]);
    say("%d detached threads ended", CREATORS * EACH);
    return 0;
}
