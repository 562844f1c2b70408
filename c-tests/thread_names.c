/* Threads have names: set and read from inside and outside, inherited from the creator, the same for prctl.
 * covers: pthread_setname_np pthread_getname_np prctl
 * proof: green_threads>=3 parks>=1 hooks.pthread_setname_np>=3 hooks.pthread_getname_np>=5
 */
#include "ctest.h"
#include <semaphore.h>
#include <sys/prctl.h>

static sem_t ready, go;

static const char *name_of(pthread_t thread)
{
    static __thread char name[16];
    CHECK_IS(pthread_getname_np(thread, name, sizeof name), 0);
    return name;
}

static void *inherits(void *argument)
{
    say("a new thread: %s", name_of(pthread_self()));
    return argument;
}

static void *named(void *argument)
{
    char name[16] = "";
    sem_post(&ready);
    sem_wait(&go);
    say("named by main: %s", name_of(pthread_self()));
    CHECK_IS(prctl(PR_GET_NAME, name), 0);
    say("the same for prctl: %s", name);
    CHECK_IS(prctl(PR_SET_NAME, "by prctl, which cuts what is too long"), 0);
    say("named by prctl: %s", name_of(pthread_self()));
    join(spawn(inherits, NULL));
    sem_post(&ready);
    sem_wait(&go);
    return argument;
}

int main(void)
{
    sem_init(&ready, 0, 0);
    sem_init(&go, 0, 0);
    CHECK_IS(pthread_setname_np(pthread_self(), "main's name"), 0);
    join(spawn(inherits, NULL));

    pthread_t thread = spawn(named, NULL);
    sem_wait(&ready);
    CHECK_IS(pthread_setname_np(thread, "fifteen letters"), 0);
    CHECK_IS(pthread_setname_np(thread, "sixteen letters!"), ERANGE);
    char small[15];
    CHECK_IS(pthread_getname_np(thread, small, sizeof small), ERANGE);
    sem_post(&go);
    sem_wait(&ready);
    say("asked from outside: %s", name_of(thread));
    sem_post(&go);
    join(thread);
    CHECK_IS(pthread_setname_np(pthread_self(), ""), 0);
    say("main: \"%s\"", name_of(pthread_self()));
    return 0;
}
