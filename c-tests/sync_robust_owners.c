/* Robust, process-shared mutexes of every type, with and without priority inheritance, whose owner goes: killed as a process of one thread
 * or of several, ended as a thread, replaced by exec. Each of those who wait, untimed and on either clock, here and in another process,
 * gets the mutex, one is told, makes it consistent and unlocks it. And the ceiling of a protecting mutex is changed.
 * covers: pthread_mutex_lock pthread_mutex_timedlock pthread_mutex_clocklock pthread_mutex_unlock pthread_mutex_consistent
 * covers: pthread_mutex_setprioceiling fork
 * proof: green_threads>=50 parks>=10 hooks.pthread_mutex_consistent>=8 hooks.pthread_mutex_setprioceiling>=1 kernel_threads_peak<=30
 * processors: 4
 */
#include "ctest.h"
#include <sched.h>
#include <semaphore.h>
#include <sys/mman.h>

enum { TYPES = 4, WAYS = 3 };

static const int types[TYPES] = {
    PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ADAPTIVE_NP,
};

static struct shared {
    pthread_mutex_t mutexes[TYPES];
    sem_t held, go;
    atomic_int told;
} *shared;

static void initialise(int protocol)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setprotocol(&attributes, protocol);
    for (int i = 0; i < TYPES; i++) {
        pthread_mutexattr_settype(&attributes, types[i]);
        CHECK_IS(pthread_mutex_init(&shared->mutexes[i], &attributes), 0);
    }
}

static int in_a_while(pthread_mutex_t *mutex, clockid_t clock)
{
    struct timespec until;
    clock_gettime(clock, &until);
    until.tv_sec += CTEST_SECONDS;
    return clock == CLOCK_REALTIME ? pthread_mutex_timedlock(mutex, &until) : pthread_mutex_clocklock(mutex, clock, &until);
}

static int take(pthread_mutex_t *mutex, int way)
{
    return way == 0 ? pthread_mutex_lock(mutex) : in_a_while(mutex, way == 1 ? CLOCK_REALTIME : CLOCK_MONOTONIC);
}

struct wait {
    pthread_mutex_t *mutex;
    int way;
};

static void *waits(void *argument)
{
    struct wait *wait = argument;
    int error = take(wait->mutex, wait->way);
    if (error == EOWNERDEAD) {
        CHECK_IS(pthread_mutex_consistent(wait->mutex), 0);
        shared->told++;
    } else
        CHECK_IS(error, 0);
    CHECK_IS(pthread_mutex_unlock(wait->mutex), 0);
    return NULL;
}

static void *holds_all(void *unused)
{
    for (int i = 0; i < TYPES; i++)
        CHECK_IS(pthread_mutex_lock(&shared->mutexes[i]), 0);
    sem_post(&shared->held);
    for (;;)
        pause();
    return unused;
}

static void is_killed(bool in_thread_of_its_own)
{
    int status;
    struct wait wanted[TYPES * WAYS];
    pthread_t threads[TYPES * WAYS];
    shared->told = 0;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(CTEST_SECONDS);
        if (in_thread_of_its_own)
            join(spawn(holds_all, NULL));
        holds_all(NULL);
    }
    sem_wait(&shared->held);
    for (int i = 0; i < TYPES * WAYS; i++) {
        wanted[i] = (struct wait){&shared->mutexes[i / WAYS], i % WAYS};
        threads[i] = spawn(waits, &wanted[i]);
    }
    nap(5);
    CHECK_IS(shared->told, 0);
    CHECK_IS(kill(child, SIGKILL), 0);
    for (int i = 0; i < TYPES * WAYS; i++)
        join(threads[i]);
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK_IS(shared->told, TYPES);
    say("an owner is killed, in %s", in_thread_of_its_own ? "a thread of its own" : "its only thread");
}

static void *holds_and_ends(void *mutex)
{
    CHECK_IS(pthread_mutex_lock(mutex), 0);
    sem_post(&shared->held);
    sem_wait(&shared->go);
    return NULL;
}

static void ends(bool waited_for_elsewhere)
{
    for (int type = 0; type < TYPES; type++) {
        int status;
        struct wait wanted[WAYS];
        pthread_t threads[WAYS], owner = spawn(holds_and_ends, &shared->mutexes[type]);
        shared->told = 0;
        sem_wait(&shared->held);
        for (int way = 0; way < WAYS; way++) {
            wanted[way] = (struct wait){&shared->mutexes[type], way};
            threads[way] = spawn(waits, &wanted[way]);
        }
        pid_t child = waited_for_elsewhere ? fork() : -1;
        if (child == 0) {
            alarm(CTEST_SECONDS);
            waits(&wanted[0]);
            _exit(0);
        }
        nap(2);
        sem_post(&shared->go);
        join(owner);
        for (int way = 0; way < WAYS; way++)
            join(threads[way]);
        if (waited_for_elsewhere) {
            CHECK_IS(waitpid(child, &status, 0), child);
            CHECK_IS(status, 0);
        }
        CHECK_IS(shared->told, 1);
    }
    say("an owner ends, as a thread: one is told%s", waited_for_elsewhere ? ", here or in another process" : "");
}

static void becomes_another(void)
{
    struct wait wanted = {&shared->mutexes[0], 0};
    shared->told = 0;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(CTEST_SECONDS);
        CHECK_IS(pthread_mutex_lock(wanted.mutex), 0);
        sem_post(&shared->held);
        sem_wait(&shared->go);
        execl("/bin/true", "true", NULL);
        _exit(1);
    }
    sem_wait(&shared->held);
    pthread_t thread = spawn(waits, &wanted);
    nap(2);
    sem_post(&shared->go);
    join(thread);
    CHECK_IS(waitpid(child, NULL, 0), child);
    CHECK_IS(shared->told, 1);
    say("an owner executes another program");
}

static void ceiling(void)
{
    int before = 0, now = 0, lowest = sched_get_priority_min(SCHED_FIFO);
    pthread_mutexattr_t attributes;
    pthread_mutex_t mutex;
    pthread_mutexattr_init(&attributes);
    CHECK_IS(pthread_mutex_init(&mutex, &attributes), 0);
    CHECK_IS(pthread_mutex_setprioceiling(&mutex, lowest, &before), EINVAL);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_PROTECT);
    pthread_mutexattr_setprioceiling(&attributes, lowest);
    CHECK_IS(pthread_mutex_init(&mutex, &attributes), 0);
    CHECK_IS(pthread_mutex_setprioceiling(&mutex, lowest + 1, &before), 0);
    CHECK_IS(pthread_mutex_getprioceiling(&mutex, &now), 0);
    CHECK(before == lowest && now == lowest + 1);
    CHECK_IS(pthread_mutex_setprioceiling(&mutex, 1000, &before), EINVAL);
    say("a ceiling is raised");
}

static void all(void)
{
    static const int protocols[] = {PTHREAD_PRIO_NONE, PTHREAD_PRIO_INHERIT};
    for (int i = 0; i < 2; i++) {
        initialise(protocols[i]);
        is_killed(false);
        is_killed(true);
        ends(protocols[i] == PTHREAD_PRIO_NONE);
        becomes_another();
    }
    ceiling();
}

int main(void)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    sem_init(&shared->held, 1, 0);
    sem_init(&shared->go, 1, 0);
    in_thread(all);
    return 0;
}
