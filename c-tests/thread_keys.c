/* Thread-specific data: each thread starts with NULL, destructors run at its end for what is not NULL, in up to four rounds.
 * covers: pthread_key_create __pthread_key_create pthread_key_delete
 * proof: green_threads>=6 parks>=2
 */
#include "ctest.h"

extern int __pthread_key_create(pthread_key_t *key, void (*destructor)(void *));

static pthread_key_t once_key, again_key, deleted_key, plain_key;
static int once_runs, again_runs;

static void once_destructor(void *value)
{
    CHECK_IS(*(int *)value, 7);
    CHECK(pthread_getspecific(once_key) == NULL); /* glibc sets it to NULL before the call */
    once_runs++;
}

static void again_destructor(void *value)
{
    again_runs++;
    CHECK_IS(pthread_setspecific(again_key, value), 0); /* asks for another round, each time */
}

static void deleted_destructor(void *value)
{
    say("FAIL: the destructor of a deleted key ran (%p)", value);
}

static void *uses_all(void *argument)
{
    static int seven = 7;
    CHECK(pthread_getspecific(once_key) == NULL);
    CHECK(pthread_getspecific(again_key) == NULL);
    CHECK(pthread_getspecific(plain_key) == NULL);
    CHECK_IS(pthread_setspecific(once_key, &seven), 0);
    CHECK_IS(pthread_setspecific(again_key, &seven), 0);
    CHECK_IS(pthread_setspecific(deleted_key, &seven), 0);
    CHECK_IS(pthread_setspecific(plain_key, &seven), 0);
    CHECK_IS(pthread_key_delete(deleted_key), 0);
    sched_yield();
    usleep(1); /* parks */
    CHECK(pthread_getspecific(plain_key) == &seven);
    return argument;
}

static void *sets_to_null(void *argument)
{
    CHECK_IS(pthread_setspecific(once_key, argument), 0);
    CHECK_IS(pthread_setspecific(once_key, NULL), 0);
    return NULL;
}

static void *exits(void *argument)
{
    static int seven = 7;
    CHECK_IS(pthread_setspecific(once_key, &seven), 0);
    pthread_exit(argument);
}

static void create_keys(void)
{
    CHECK_IS(pthread_key_create(&once_key, once_destructor), 0);
    CHECK_IS(__pthread_key_create(&again_key, again_destructor), 0);
    CHECK_IS(pthread_key_create(&plain_key, NULL), 0);
}

static void create_deleted_key(void)
{
    CHECK_IS(pthread_key_create(&deleted_key, deleted_destructor), 0);
}

int main(void)
{
    in_thread(create_keys);
    for (int i = 1; i <= 3; i++) {
        in_thread(create_deleted_key);
        join(spawn(uses_all, NULL));
        CHECK_IS(once_runs, i);
        CHECK_IS(again_runs, i * PTHREAD_DESTRUCTOR_ITERATIONS);
    }
    say("destructors: once each; %d rounds for one that sets its value again; none for a deleted key", PTHREAD_DESTRUCTOR_ITERATIONS);

    join(spawn(sets_to_null, &once_runs));
    CHECK_IS(once_runs, 3);
    say("no destructor for a value set back to NULL");

    join(spawn(exits, NULL));
    CHECK_IS(once_runs, 4);
    say("pthread_exit runs destructors");

    CHECK(pthread_getspecific(once_key) == NULL);
    CHECK_IS(pthread_key_delete(once_key), 0);
    CHECK_IS(pthread_key_delete(once_key), EINVAL);
    CHECK_IS(pthread_setspecific(once_key, NULL), EINVAL);
    say("deleted twice, set after: EINVAL");

    pthread_key_t keys[PTHREAD_KEYS_MAX + 1];
    int made = 0, error;
    while ((error = pthread_key_create(&keys[made], NULL)) == 0)
        made++;
    CHECK_IS(error, EAGAIN);
    CHECK(made >= PTHREAD_KEYS_MAX - 64);
    while (made > 0)
        CHECK_IS(pthread_key_delete(keys[--made]), 0);
    say("all keys taken: EAGAIN");
    return 0;
}
