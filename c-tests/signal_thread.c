/* A handler runs on the thread that the signal was sent to, with its storage, whether it computes, waits or yields.
 * covers: pthread_kill raise sigaction pthread_sigmask
 * proof: green_threads>=5 parks>=1
 * passes: sigaction: called before the first thread is made
 */
#include "ctest.h"
#include <semaphore.h>

static __thread int number = 42;
static __thread volatile sig_atomic_t caught;
static sem_t never;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static void handler(int signal)
{
    int saved = errno;
    CHECK_IS(signal, SIGUSR1);
    CHECK(number != 42 && pthread_self() != 0);
    errno = 77;
    caught++;
    number++;
    errno = saved;
}

static void by_computing(void) { while (!caught) ; }
static void by_waiting(void) { CHECK_FAILS(sem_wait(&never), EINTR); }
static void by_yielding(void) { while (!caught) sched_yield(); }
static void by_locking(void) /* a mutex is not interrupted: the handler runs meanwhile */
{
    CHECK_IS(pthread_mutex_lock(&held), 0);
    CHECK_IS(pthread_mutex_unlock(&held), 0);
}
static void by_raising(void) { CHECK_IS(raise(SIGUSR1), 0); }

static const struct row { const char *name; void (*occupy)(void); bool is_sent; } rows[] = {
    {"computes", by_computing, true}, {"waits", by_waiting, true}, {"yields", by_yielding, true}, {"locks", by_locking, true},
    {"raises it itself", by_raising, false},
};

static atomic_bool entered, done;
static sigset_t all;

static void *thread(void *argument)
{
    const struct row *row = argument;
    number = 100;
    entered = true;
    row->occupy();
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &all, NULL), 0); /* so that no more are counted */
    CHECK(caught > 0);
    CHECK_IS(number, 100 + caught);
    done = true;
    return NULL;
}

int main(void)
{
    sem_init(&never, 0, 0);
    sigfillset(&all);
    CHECK_IS(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler}, NULL), 0);
    for (const struct row *row = rows; row < rows + sizeof rows / sizeof *rows; row++) {
        entered = done = false;
        CHECK_IS(pthread_mutex_lock(&held), 0);
        pthread_t target = spawn(thread, (void *)row);
        while (!entered)
            sched_yield();
        for (int sent = 0; row->is_sent && !done && sent < 3; sent += row->occupy == by_locking) {
            CHECK_IS(pthread_kill(target, SIGUSR1), 0);
            nap(1);
        }
        CHECK_IS(pthread_mutex_unlock(&held), 0);
        join(target);
        CHECK_IS(caught, 0); /* none ran on main */
        say("a thread that %s: the handler ran there", row->name);
    }
    CHECK_IS(pthread_kill(pthread_self(), 0), 0);
    say("signal 0 only asks");
    return 0;
}
