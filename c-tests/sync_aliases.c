/* The names with underscores, which older programs import by version, are the same calls.
 * covers: __pthread_mutex_init __pthread_mutex_destroy __pthread_mutex_lock __pthread_mutex_trylock __pthread_mutex_unlock
 * covers: __pthread_rwlock_rdlock __pthread_rwlock_wrlock __pthread_rwlock_unlock __pthread_once
 * proof: green_threads>=5 parks>=1
 * passes: __pthread_mutex_trylock: a try waits for nothing: the lock's words are glibc's, and so is the try, but for robust locks and those
 *   with priorities
 */
#include "ctest.h"

/* The first version of glibc for this machine; later ones no longer offer these names without it. */
#ifdef __x86_64__
#define FIRST "GLIBC_2.2.5"
#else
#define FIRST "GLIBC_2.17"
#endif
#define OLD(type, name, ...)                                \
    __asm__(".symver old_" #name ", " #name "@" FIRST);     \
    extern type old_##name(__VA_ARGS__)

OLD(int, __pthread_mutex_init, pthread_mutex_t *, const pthread_mutexattr_t *);
OLD(int, __pthread_mutex_destroy, pthread_mutex_t *);
OLD(int, __pthread_mutex_lock, pthread_mutex_t *);
OLD(int, __pthread_mutex_trylock, pthread_mutex_t *);
OLD(int, __pthread_mutex_unlock, pthread_mutex_t *);
OLD(int, __pthread_rwlock_rdlock, pthread_rwlock_t *);
OLD(int, __pthread_rwlock_wrlock, pthread_rwlock_t *);
OLD(int, __pthread_rwlock_unlock, pthread_rwlock_t *);
OLD(int, __pthread_once, pthread_once_t *, void (*)(void));

static pthread_mutex_t mutex;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int counter, initialised;

static void initialise(void)
{
    nap(1);
    initialised++;
}

static void *thread(void *argument)
{
    CHECK_IS(old___pthread_once(&once, initialise), 0);
    CHECK_IS(initialised, 1);
    for (int i = 0; i < 50; i++) {
        CHECK_IS(old___pthread_mutex_lock(&mutex), 0);
        int value = counter;
        sched_yield();
        CHECK_IS(old___pthread_mutex_trylock(&mutex), EBUSY);
        CHECK_IS(old___pthread_rwlock_wrlock(&rwlock), 0);
        counter = value + 1;
        CHECK_IS(old___pthread_rwlock_unlock(&rwlock), 0);
        CHECK_IS(old___pthread_mutex_unlock(&mutex), 0);
        CHECK_IS(old___pthread_rwlock_rdlock(&rwlock), 0);
        CHECK(counter > i);
        CHECK_IS(old___pthread_rwlock_unlock(&rwlock), 0);
    }
    return argument;
}

static void body(void)
{
    pthread_t threads[4];
    CHECK_IS(old___pthread_mutex_init(&mutex, NULL), 0);
    for (int i = 0; i < 4; i++)
        threads[i] = spawn(thread, NULL);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    CHECK_IS(counter, 4 * 50);
    CHECK_IS(old___pthread_mutex_destroy(&mutex), 0);
}

int main(void)
{
    in_thread(body);
    say("once, a mutex and a rwlock under their old names: %d increments", counter);
    return 0;
}
