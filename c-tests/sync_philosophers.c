/* Five philosophers eat a hundred times each with two forks between neighbours: no deadlock, no fork in two hands.
 * covers: pthread_mutex_lock pthread_mutex_trylock pthread_mutex_unlock
 * proof: green_threads>=10 parks>=1
 * passes: pthread_mutex_trylock: a try waits for nothing: the lock's words are glibc's, and so is the try, but for robust locks and those
 *   with priorities
 */
#include "ctest.h"

enum { PHILOSOPHERS = 5, MEALS = 100 };

static pthread_mutex_t forks[PHILOSOPHERS];
static atomic_int in_hand[PHILOSOPHERS];
static int eaten;
static pthread_mutex_t table = PTHREAD_MUTEX_INITIALIZER;

static void eat(int left, int right)
{
    CHECK_IS(in_hand[left]++, 0);
    CHECK_IS(in_hand[right]++, 0);
    CHECK_IS(pthread_mutex_lock(&table), 0);
    if (eaten++ % 250 == 100)
        nap(1);
    CHECK_IS(pthread_mutex_unlock(&table), 0);
    in_hand[left]--;
    in_hand[right]--;
}

/* Takes the fork with the lower number first. */
static void *ordered(void *number)
{
    int own = (intptr_t)number, next = (own + 1) % PHILOSOPHERS;
    int low = own < next ? own : next, high = own < next ? next : own;
    for (int i = 0; i < MEALS; i++) {
        CHECK_IS(pthread_mutex_lock(&forks[low]), 0);
        CHECK_IS(pthread_mutex_lock(&forks[high]), 0);
        eat(low, high);
        CHECK_IS(pthread_mutex_unlock(&forks[low]), 0);
        CHECK_IS(pthread_mutex_unlock(&forks[high]), 0);
    }
    return NULL;
}

/* Takes its own fork, and puts it back when its neighbour's is taken. */
static void *polite(void *number)
{
    int own = (intptr_t)number, next = (own + 1) % PHILOSOPHERS;
    for (int i = 0; i < MEALS; i++) {
        for (;;) {
            CHECK_IS(pthread_mutex_lock(&forks[own]), 0);
            int error = pthread_mutex_trylock(&forks[next]);
            if (error == 0)
                break;
            CHECK_IS(error, EBUSY);
            CHECK_IS(pthread_mutex_unlock(&forks[own]), 0);
            sched_yield();
        }
        eat(own, next);
        CHECK_IS(pthread_mutex_unlock(&forks[next]), 0);
        CHECK_IS(pthread_mutex_unlock(&forks[own]), 0);
    }
    return NULL;
}

static void dine(const char *name, void *(*manners)(void *))
{
    pthread_t threads[PHILOSOPHERS];
    eaten = 0;
    for (intptr_t i = 0; i < PHILOSOPHERS; i++)
        threads[i] = spawn(manners, (void *)i);
    for (int i = 0; i < PHILOSOPHERS; i++)
        join(threads[i]);
    say("%s: %d meals", name, eaten);
}

int main(void)
{
    for (int i = 0; i < PHILOSOPHERS; i++)
        CHECK_IS(pthread_mutex_init(&forks[i], NULL), 0);
    dine("ordered", ordered);
    dine("polite", polite);
    return 0;
}
