/* What a thread may do to pages with a protection key is its own: kept while others run, inherited by the threads that it makes.
 * covers: pkey_alloc sched_yield
 * proof: green_threads>=7 parks>=4
 * needs: pku
 */
#include "ctest.h"
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { ROUNDS = 200 };

static int key;
static sem_t allocated;

static void *inherits(void *rights)
{
    CHECK_IS(pkey_get(key), (int)(intptr_t)rights);
    return NULL;
}

static void *keeps(void *argument)
{
    int rights = (int)(intptr_t)argument;
    CHECK_IS(pkey_set(key, rights), 0);
    for (int round = 0; round < ROUNDS; round++) {
        sched_yield();
        CHECK_IS(pkey_get(key), rights);
    }
    join(spawn(inherits, argument));
    nap(1);
    CHECK_IS(pkey_get(key), rights);
    return NULL;
}

static void *never_asked(void *argument)
{
    CHECK_IS(sem_wait(&allocated), 0);
    CHECK_IS(pkey_get(key), PKEY_DISABLE_ACCESS);
    return argument;
}

int main(void)
{
    CHECK_IS(sem_init(&allocated, 0, 0), 0);
    pthread_t early = spawn(never_asked, NULL);
    key = pkey_alloc(0, PKEY_DISABLE_WRITE);
    CHECK_IS(sem_post(&allocated), 0);
    join(early);
    CHECK(key >= 0);
    CHECK_IS(pkey_get(key), PKEY_DISABLE_WRITE);
    pthread_t threads[3] = {spawn(keeps, (void *)0), spawn(keeps, (void *)PKEY_DISABLE_ACCESS), spawn(keeps, (void *)PKEY_DISABLE_WRITE)};
    for (int i = 0; i < 3; i++)
        join(threads[i]);
    CHECK_IS(pkey_get(key), PKEY_DISABLE_WRITE);
    CHECK_IS(pkey_free(key), 0);
    CHECK_FAILS(pkey_alloc(1, 0), EINVAL);
    CHECK_FAILS(syscall(SYS_pkey_alloc, 0, 16), EINVAL);
    say("every thread has its own rights");
    return 0;
}
