/* What C++ registers for its thread_local objects runs at a thread's end, last first, before the key destructors, each time anew.
 * covers: pthread_create pthread_exit pthread_key_create
 * proof: green_threads>=4
 * no_park: only main waits, for threads that may have ended before it asks
 */
#include "ctest.h"

extern int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *library);
extern void *__dso_handle;

static pthread_key_t key;
static __thread int objects;

static void destroy(void *name)
{
    say("  object %s (%d alive)", (char *)name, objects--);
}

static void key_destructor(void *name)
{
    say("  key %s (%d objects alive)", (char *)name, objects);
}

static void construct(char *name)
{
    CHECK_IS(__cxa_thread_atexit_impl(destroy, name, &__dso_handle), 0);
    objects++;
}

static void *thread(void *way)
{
    CHECK_IS(objects, 0);
    CHECK_IS(pthread_setspecific(key, "value"), 0);
    construct("first");
    construct("second");
    construct("third");
    if (way)
        pthread_exit(NULL);
    return NULL;
}

int main(void)
{
    CHECK_IS(pthread_key_create(&key, key_destructor), 0);
    for (int i = 0; i < 2; i++) {
        say("returns:");
        join(spawn(thread, NULL));
        say("pthread_exit:");
        join(spawn(thread, &key));
    }
    return 0;
}
