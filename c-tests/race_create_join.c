/* A storm of creations and joins from several threads at once, joinable and detached mixed, with what each thread holds checked.
 * covers: pthread_create pthread_join pthread_detach pthread_key_create
 * proof: green_threads>=900 parks>=200
 */
#include "ctest.h"

enum { CREATORS = 4, EACH = 75 };

static __thread int number = 42;
static pthread_key_t key;
static atomic_int detached_left, destroyed;

static void destructor(void *value)
{
    CHECK(value != NULL);
    destroyed++;
}

static void *short_lived(void *value)
{
    CHECK_IS(number, 42);
    CHECK(pthread_getspecific(key) == NULL);
    number = (intptr_t)value;
    CHECK_IS(pthread_setspecific(key, value), 0);
    if (number % 3 == 0)
        sched_yield();
    CHECK_IS(number, (intptr_t)value);
    return value;
}

static void *detached(void *value)
{
    short_lived(value);
    detached_left--;
    return NULL;
}

static void *creator(void *own)
{
    intptr_t base = (intptr_t)own * 1000 + 1;
    for (int i = 0; i < EACH; i++) {
        pthread_t first = spawn(short_lived, (void *)(base + i)), second = spawn(short_lived, (void *)(base + i + 1));
        detached_left++;
        CHECK_IS(pthread_detach(spawn(detached, (void *)(base + i + 2))), 0);
        CHECK_IS(join(second), base + i + 1);
        CHECK_IS(join(first), base + i);
    }
    return NULL;
}

int main(void)
{
    pthread_t creators[CREATORS];
    CHECK_IS(pthread_key_create(&key, destructor), 0);
    for (intptr_t i = 0; i < CREATORS; i++)
        creators[i] = spawn(creator, (void *)i);
    for (int i = 0; i < CREATORS; i++)
        join(creators[i]);
    while (detached_left > 0 || destroyed < CREATORS * EACH * 3)
        nap(1);
    CHECK_IS(destroyed, CREATORS * EACH * 3);
    say("%d threads came and went, each with storage of its own", CREATORS * EACH * 3);
    return 0;
}
