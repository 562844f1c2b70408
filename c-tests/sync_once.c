/* A hundred threads race for one initialiser, which blocks: it runs once, all wait for it; one that is cancelled or exits starts anew.
 * covers: pthread_once call_once
 * proof: green_threads>=200 parks>=2
 */
#include "ctest.h"
#include <semaphore.h>
#include <threads.h>

enum { THREADS = 100 };

static pthread_once_t once = PTHREAD_ONCE_INIT, restarted = PTHREAD_ONCE_INIT;
static once_flag flag = ONCE_FLAG_INIT;
static sem_t inside, go;
static int runs, done;

static void *helper(void *argument)
{
    nap(1);
    return argument;
}

static void initialise(void)
{
    runs++;
    nap(2);
    join(spawn(helper, NULL)); /* waits for another thread while a hundred wait for it */
    done = runs;
}

static void *by_pthread(void *argument)
{
    CHECK_IS(pthread_once(&once, initialise), 0);
    CHECK_IS(done, 1);
    return argument;
}

static void *by_c11(void *argument)
{
    call_once(&flag, initialise);
    CHECK_IS(done, 1);
    return argument;
}

static void race(const char *name, void *(*function)(void *))
{
    pthread_t threads[THREADS];
    runs = done = 0;
    for (int i = 0; i < THREADS; i++)
        threads[i] = spawn(function, NULL);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    CHECK_IS(runs, 1);
    say("%s: %d threads, the initialiser ran once", name, THREADS);
}

static void interrupted(void)
{
    runs++;
    if (runs == 1) {
        sem_post(&inside);
        sem_wait(&go); /* cancelled here */
    }
    if (runs == 2) {
        nap(1);
        pthread_exit(NULL);
    }
}

static void *runs_interrupted(void *argument)
{
    CHECK_IS(pthread_once(&restarted, interrupted), 0);
    return argument;
}

int main(void)
{
    race("pthread_once", by_pthread);
    race("call_once", by_c11);

    sem_init(&inside, 0, 0);
    sem_init(&go, 0, 0);
    runs = 0;
    pthread_t first = spawn(runs_interrupted, "first");
    sem_wait(&inside);
    pthread_t second = spawn(runs_interrupted, "second");
    nap(1);
    CHECK_IS(pthread_cancel(first), 0);
    CHECK(join(first) == PTHREAD_CANCELED);
    CHECK(join(second) == NULL);
    say("third: %s", (char *)join(spawn(runs_interrupted, "came through")));
    CHECK_IS(runs, 3);
    say("the first initialiser was cancelled, the second exited, the third came through");
    return 0;
}
