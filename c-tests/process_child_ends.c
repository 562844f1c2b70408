/* A forked child's only thread ends as threads do: by return, pthread_exit or cancellation it runs its key destructors, then the exit
 * handlers, and the process ends with 0; with threads of its own, made and joined before, and in a child's child.
 * covers: fork waitpid pthread_exit pthread_cancel pthread_testcancel pthread_create pthread_join exit
 * uncounted: pthread_exit pthread_cancel pthread_testcancel exit
 * proof: green_threads>=7 parks>=1
 */
#include "ctest.h"
#include <semaphore.h>

static pthread_key_t key;
static sem_t never;

static void destroyed(void *value) { say("  key destructor: %s", (char *)value); }
static void at_exit(void) { say("  exit handler"); }

static void *nothing(void *argument) { return argument; }
static void returns(void) {}
static void exits(void) { pthread_exit(NULL); }
static void calls_exit(void) { exit(3); }

static void is_cancelled(void)
{
    CHECK_IS(pthread_cancel(pthread_self()), 0);
    pthread_testcancel();
    _exit(9);
}

static void makes_threads(void)
{
    join(spawn(nothing, NULL));
    join(spawn(nothing, NULL));
    pthread_exit(NULL);
}

static void *forks(void *end);

static void forks_too(void)
{
    join(spawn(forks, &(void (*[1])(void)){returns}));
    exit(5);
}

static const struct row { void (*end)(void); const char *name; } rows[] = {
    {returns, "return"}, {exits, "pthread_exit"}, {calls_exit, "exit"}, {is_cancelled, "cancellation"},
    {makes_threads, "threads of its own"}, {forks_too, "a child's child"},
};

static void *forks(void *end)
{
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(CTEST_SECONDS);
        CHECK_IS(pthread_setspecific(key, "set in the child"), 0);
        (*(void (**)(void))end)();
        return NULL;
    }
    CHECK_IS(waitpid(child, &status, 0), child);
    say("  status %#x", status);
    return NULL;
}

static void *waits(void *unused)
{
    sem_wait(&never);
    return unused;
}

int main(void)
{
    sem_init(&never, 0, 0);
    CHECK_IS(pthread_key_create(&key, destroyed), 0);
    atexit(at_exit);
    spawn(waits, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        say("%s:", rows[i].name);
        join(spawn(forks, (void *)&rows[i].end));
    }
    say("main's own:");
    return 0;
}
