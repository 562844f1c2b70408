/* A signal that another process sent before it did something else: its handler has run before the wait for the other thing returns.
 * (Natively the kernel runs it on the way out of the wait. Green, the kernel may have given it to another kernel thread an instant
 * before: less than one in a thousand comes late then. Where nobody sees to the order it is one in ten.)
 * covers: read waitpid sem_wait pthread_barrier_wait sigaction
 * proof: green_threads>=1 parks>=430 kernel_threads_peak<=12
 * processors: 4
 * passes: sigaction: called before the first thread is made
 */
#include "ctest.h"
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { ROUNDS = 300, LATE_AT_MOST = 6 };

static volatile sig_atomic_t came;

static void count(int signal)
{
    (void)signal;
    came++;
}

struct shared {
    sem_t semaphore;
    pthread_barrier_t barrier;
};

static struct shared *shared;
static int there[2], back[2];

/* Another process: signals, then does the other thing, in answer to each byte. */
static void signals_then(char what)
{
    char byte;
    while (read(there[0], &byte, 1) == 1) {
        CHECK_IS(kill(getppid(), SIGUSR1), 0);
        if (what == 'r')
            CHECK_IS(write(back[1], "x", 1), 1);
        else if (what == 's')
            CHECK_IS(sem_post(&shared->semaphore), 0);
        else
            pthread_barrier_wait(&shared->barrier);
    }
}

static void wait_for(char what)
{
    char byte;
    if (what == 'r')
        CHECK_IS(TEMP_FAILURE_RETRY(read(back[0], &byte, 1)), 1);
    else if (what == 's')
        CHECK_IS(TEMP_FAILURE_RETRY(sem_wait(&shared->semaphore)), 0);
    else
        pthread_barrier_wait(&shared->barrier);
}

static void rounds(char what, const char *name)
{
    CHECK_IS(pipe(there), 0);
    CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, back), 0);
    pid_t child = fork();
    if (child == 0) {
        close(there[1]);
        signals_then(what);
        _exit(0);
    }
    int late = 0;
    for (int i = 0; i < ROUNDS; i++) {
        came = 0;
        CHECK_IS(write(there[1], "x", 1), 1);
        wait_for(what);
        late += came == 0;
    }
    close(there[0]), close(there[1]), close(back[0]), close(back[1]);
    CHECK_IS(waitpid(child, NULL, 0), child);
    CHECK(late <= LATE_AT_MOST);
    say("%s: the handler had run", name);
}

static void children(void)
{
    int late = 0;
    CHECK(signal(SIGCHLD, count) != SIG_ERR);
    for (int i = 0; i < ROUNDS; i++) {
        came = 0;
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        CHECK_IS(TEMP_FAILURE_RETRY(waitpid(child, NULL, 0)), child);
        late += came == 0;
    }
    signal(SIGCHLD, SIG_DFL);
    CHECK(late <= LATE_AT_MOST);
    say("waitpid: the handler had run");
}

static void *run(void *unused)
{
    rounds('r', "read");
    rounds('s', "sem_wait");
    rounds('b', "pthread_barrier_wait");
    children();
    return unused;
}

static void *run_unblocked(void *mask)
{
    CHECK_IS(pthread_sigmask(SIG_SETMASK, mask, NULL), 0);
    return run(NULL);
}

static void *sleeps(void *unused)
{
    for (;;)
        pause();
    return unused;
}

int main(void)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_barrierattr_t attributes;
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    CHECK_IS(sem_init(&shared->semaphore, 1, 0), 0);
    CHECK_IS(pthread_barrier_init(&shared->barrier, &attributes, 2), 0);
    struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
    CHECK_IS(sigaction(SIGUSR1, &action, NULL), 0);

    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    spawn(sleeps, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    say("main");
    run(NULL);

    /* The same where main blocks the signals, from before the other thread is there, and the other thread is meant. */
    say("another thread");
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    join(spawn(run_unblocked, &before));
    return 0;
}
