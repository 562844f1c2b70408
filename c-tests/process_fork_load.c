/* fork while other threads lock, allocate, print into memory and make threads: each child can do all of that at once.
 * covers: fork waitpid pthread_atfork pthread_create pthread_mutex_lock pthread_mutex_unlock
 * proof: green_threads>=9 parks>=1
 */
#include "ctest.h"

enum { WORKERS = 4, FORKS = 8 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool stop;
static atomic_int progress;
static int shared[2];

/* The program keeps its own data whole over fork, as libraries do. */
static void prepare(void) { CHECK_IS(pthread_mutex_lock(&mutex), 0); }
static void after(void) { CHECK_IS(pthread_mutex_unlock(&mutex), 0); }

static void *short_lived(void *argument)
{
    return argument;
}

static void work(int number)
{
    char text[64];
    char *memory = malloc(100 + number * 37 % 5000);
    CHECK(memory != NULL);
    snprintf(text, sizeof text, "%d %g", number, number / 3.0);
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    shared[0]++;
    if (number % 16 == 0)
        sched_yield();
    shared[1]++;
    CHECK_IS(pthread_mutex_unlock(&mutex), 0);
    if (number % 8 == 0)
        join(spawn(short_lived, NULL));
    free(memory);
}

static void *worker(void *argument)
{
    for (int i = 0; !stop; i++) {
        work(i);
        progress++;
    }
    return argument;
}

static void *forks(void *argument)
{
    for (int i = 0; i < FORKS; i++) {
        int status, before = progress;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(CTEST_SECONDS);
            CHECK_IS(pthread_mutex_lock(&mutex), 0);
            CHECK_IS(shared[0], shared[1]);
            CHECK_IS(pthread_mutex_unlock(&mutex), 0);
            for (int k = 0; k < 20; k++)
                work(k);
            exit(40 + i);
        }
        CHECK_IS(waitpid(child, &status, 0), child);
        CHECK(WIFEXITED(status));
        CHECK_IS(WEXITSTATUS(status), 40 + i);
        while (progress == before)
            sched_yield();
    }
    return argument;
}

int main(void)
{
    pthread_t threads[WORKERS];
    CHECK_IS(pthread_atfork(prepare, after, after), 0);
    for (int i = 0; i < WORKERS; i++)
        threads[i] = spawn(worker, NULL);
    join(spawn(forks, NULL));
    forks(NULL);
    stop = true;
    for (int i = 0; i < WORKERS; i++)
        join(threads[i]);
    say("%d children, from a thread and from main, all sound", 2 * FORKS);
    return 0;
}
