/* fork from main and from a thread: the child has one thread, the one that forked, with its storage, and can make new ones.
 * covers: fork __fork _Fork waitpid pthread_create pthread_join gettid
 * proof: green_threads>=3 parks>=1
 */
#include "ctest.h"
#include <semaphore.h>

extern pid_t __fork(void);

static __thread int number = 42;
static sem_t go;
static atomic_int ticks;
static atomic_bool stop;

static void *ticker(void *argument)
{
    while (!stop) {
        nap(1);
        ticks++;
    }
    return argument;
}

static void *runs_in_child(void *argument)
{
    CHECK_IS(number, 42);
    nap(1);
    CHECK_IS(sem_post(&go), 0);
    return argument;
}

static void child_side(int expected, pthread_t self)
{
    alarm(CTEST_SECONDS);
    CHECK_IS(number, expected);
    CHECK(pthread_equal(pthread_self(), self));
    CHECK_IS(gettid(), getpid());
    int before = ticks;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = spawn(runs_in_child, &threads[i]);
    for (int i = 0; i < 4; i++)
        CHECK_IS(sem_wait(&go), 0);
    for (int i = 0; i < 4; i++)
        CHECK(join(threads[i]) == &threads[i]);
    nap(2);
    CHECK_IS(ticks, before); /* the ticker was not copied */
    say("  child: made threads of its own");
}

static void fork_by(const char *name, pid_t (*function)(void), int expected)
{
    int status, before = ticks;
    pthread_t self = pthread_self();
    pid_t tid = gettid();
    say("%s:", name);
    pid_t child = function();
    CHECK(child >= 0);
    if (child == 0) {
        child_side(expected, self);
        exit(expected);
    }
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_IS(WEXITSTATUS(status), expected);
    CHECK_IS(gettid(), tid);
    while (ticks < before + 3)
        nap(1);
    say("  parent: its threads go on");
}

static void *forks(void *argument)
{
    number = 7;
    fork_by("fork, from a thread", fork, 7);
    fork_by("__fork, from a thread", __fork, 7);
    return argument;
}

static void *forks_and_dies(void *argument)
{
    number = 8;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(CTEST_SECONDS);
        join(spawn(runs_in_child, NULL));
        CHECK_IS(number, 8);
        say("the thread that forked is the child's last: it ends, the process with it");
        pthread_exit(NULL);
    }
    *(pid_t *)argument = child;
    return NULL;
}

int main(void)
{
    CHECK_IS(sem_init(&go, 0, 0), 0);
    pthread_t thread = spawn(ticker, NULL);
    number = 6;
    fork_by("fork, from main", fork, 6);
    join(spawn(forks, NULL));

    pid_t child;
    int status;
    join(spawn(forks_and_dies, &child));
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK_IS(status, 0);

    child = _Fork();
    CHECK(child >= 0);
    if (child == 0)
        _exit(number);
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK_IS(WEXITSTATUS(status), 6);
    say("_Fork: the child exits");
    stop = true;
    join(thread);
    return 0;
}
