/* A robust mutex whose owner ends tells the next one, who makes it consistent or loses it for all; private, shared, and over fork.
 * covers: pthread_mutex_lock pthread_mutex_trylock pthread_mutex_unlock pthread_mutex_timedlock
 * proof: green_threads>=8 parks>=1
 */
#include "deadlines.h"
#include <sys/mman.h>

static pthread_mutex_t *mutex;

static void *dies_as_owner(void *argument)
{
    CHECK_IS(pthread_mutex_lock(mutex), 0);
    nap(1);
    return argument;
}

static void *waits_for_the_dead(void *argument)
{
    CHECK_IS(pthread_mutex_lock(mutex), EOWNERDEAD);
    if (argument)
        CHECK_IS(pthread_mutex_consistent(mutex), 0);
    CHECK_IS(pthread_mutex_unlock(mutex), 0);
    return argument;
}

static void make(int shared)
{
    pthread_mutexattr_t attributes;
    CHECK_IS(pthread_mutexattr_init(&attributes), 0);
    CHECK_IS(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
    CHECK_IS(pthread_mutexattr_setpshared(&attributes, shared), 0);
    CHECK_IS(pthread_mutex_init(mutex, &attributes), 0);
}

static void in_one_process(const char *what, int shared)
{
    make(shared);
    join(spawn(dies_as_owner, NULL));
    struct timespec deadline = in_ms(CLOCK_REALTIME, 60000);
    CHECK_IS(pthread_mutex_timedlock(mutex, &deadline), EOWNERDEAD);
    CHECK_IS(pthread_mutex_consistent(mutex), 0);
    CHECK_IS(pthread_mutex_unlock(mutex), 0);
    CHECK_IS(pthread_mutex_lock(mutex), 0);
    pthread_t waiter = spawn(dies_as_owner, NULL); /* waits for main, then dies holding it */
    nap(1);
    CHECK_IS(pthread_mutex_unlock(mutex), 0);
    join(waiter);
    join(spawn(waits_for_the_dead, &mutex));
    CHECK_IS(pthread_mutex_trylock(mutex), 0);
    CHECK_IS(pthread_mutex_unlock(mutex), 0);
    say("%s: EOWNERDEAD, made consistent, works on", what);

    join(spawn(dies_as_owner, NULL));
    join(spawn(waits_for_the_dead, NULL));
    CHECK_IS(pthread_mutex_lock(mutex), ENOTRECOVERABLE);
    CHECK_IS(pthread_mutex_trylock(mutex), ENOTRECOVERABLE);
    say("%s: not made consistent: ENOTRECOVERABLE", what);
    CHECK_IS(pthread_mutex_destroy(mutex), 0);
}

int main(void)
{
    mutex = mmap(NULL, sizeof *mutex, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(mutex != MAP_FAILED);
    in_one_process("private", PTHREAD_PROCESS_PRIVATE);
    in_one_process("shared", PTHREAD_PROCESS_SHARED);

    make(PTHREAD_PROCESS_SHARED);
    CHECK_IS(pthread_mutex_lock(mutex), 0);
    CHECK_IS(pthread_mutex_unlock(mutex), 0);
    pid_t child = fork();
    if (child == 0) {
        alarm(CTEST_SECONDS);
        dies_as_owner(NULL);
        _exit(0);
    }
    CHECK_IS(waitpid(child, NULL, 0), child);
    join(spawn(waits_for_the_dead, &mutex));
    say("the owner was another process: EOWNERDEAD");
    return 0;
}
