/* A robust mutex whose owner ends tells the next one, who makes it consistent or loses it for all; private, shared, with
 * priority inheritance, while several wait, and over fork.
 * covers: pthread_mutex_lock pthread_mutex_trylock pthread_mutex_unlock pthread_mutex_timedlock
 * proof: green_threads>=8 parks>=1 kernel_threads_peak<=14
 * processors: 4
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

static void make(int shared, int protocol)
{
    pthread_mutexattr_t attributes;
    CHECK_IS(pthread_mutexattr_init(&attributes), 0);
    CHECK_IS(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
    CHECK_IS(pthread_mutexattr_setpshared(&attributes, shared), 0);
    CHECK_IS(pthread_mutexattr_setprotocol(&attributes, protocol), 0);
    CHECK_IS(pthread_mutex_init(mutex, &attributes), 0);
}

enum { WAITERS = 3 };
static atomic_int told;

static void *waits_among_others(void *argument)
{
    int result = pthread_mutex_lock(mutex);
    CHECK(result == 0 || result == EOWNERDEAD);
    if (result == EOWNERDEAD) {
        told++;
        CHECK_IS(pthread_mutex_consistent(mutex), 0);
    }
    CHECK_IS(pthread_mutex_unlock(mutex), 0);
    return argument;
}

static void *dies_while_others_wait(void *argument)
{
    pthread_t *waiters = argument;
    CHECK_IS(pthread_mutex_lock(mutex), 0);
    for (int i = 0; i < WAITERS; i++)
        waiters[i] = spawn(waits_among_others, NULL);
    nap(20);
    return argument;
}

static void in_one_process(const char *what, int shared, int protocol)
{
    make(shared, protocol);
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

    pthread_t waiters[WAITERS];
    told = 0;
    join(spawn(dies_while_others_wait, waiters));
    for (int i = 0; i < WAITERS; i++)
        join(waiters[i]);
    CHECK_IS(told, 1);
    say("%s: of those who waited one was told", what);

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
    in_one_process("private", PTHREAD_PROCESS_PRIVATE, PTHREAD_PRIO_NONE);
    in_one_process("shared", PTHREAD_PROCESS_SHARED, PTHREAD_PRIO_NONE);
    in_one_process("private, inheriting", PTHREAD_PROCESS_PRIVATE, PTHREAD_PRIO_INHERIT);
    in_one_process("shared, inheriting", PTHREAD_PROCESS_SHARED, PTHREAD_PRIO_INHERIT);

    make(PTHREAD_PROCESS_SHARED, PTHREAD_PRIO_NONE);
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
