/* A storm of forks: sixty threads fork at once, by fork and _Fork, while others wake each other, make threads and are signalled; each
 * child locks, allocates, makes a thread, and runs no handler for what was sent to its parent.
 * covers: fork _Fork waitpid pthread_mutex_lock pthread_cond_wait kill pthread_create
 * proof: green_threads>=66 parks>=100 hooks.fork>=100 hooks._Fork>=30
 */
#include "ctest.h"

enum { FORKERS = 60, FORKS = 4, PLAYERS = 4 };

static pthread_mutex_t mutex[PLAYERS / 2];
static pthread_cond_t turned[PLAYERS / 2];
static int turn[PLAYERS / 2];
static atomic_bool stop;
static atomic_int handled;
static pid_t parent;

static void handle(int signal)
{
    (void)signal;
    if (getpid() != parent)
        _exit(77);
    handled++;
}

static void *grandson(void *argument)
{
    return argument;
}

static void *forks(void *number)
{
    for (int i = 0; i < FORKS; i++) {
        int status, wanted = 1 + (i + (intptr_t)number) % 50;
        bool raw = i % 4 == 3;
        pid_t child = raw ? _Fork() : fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(CTEST_SECONDS);
            if (!raw) { /* after _Fork libc's own locks may be held for ever */
                free(malloc(1000));
                pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
                CHECK_IS(pthread_mutex_lock(&own), 0);
                if (i % 3 == 0)
                    CHECK(join(spawn(grandson, &own)) == &own);
            }
            _exit(wanted);
        }
        CHECK_IS(waitpid(child, &status, 0), child);
        CHECK_IS(status, W_EXITCODE(wanted, 0));
    }
    return NULL;
}

/* Two and two hand a turn to each other. */
static void *plays(void *argument)
{
    int number = (intptr_t)argument, table = number / 2, mine = number % 2;
    CHECK_IS(pthread_mutex_lock(&mutex[table]), 0);
    while (!stop) {
        turn[table] = !mine;
        pthread_cond_signal(&turned[table]);
        while (turn[table] != mine && !stop)
            pthread_cond_wait(&turned[table], &mutex[table]);
    }
    pthread_cond_signal(&turned[table]);
    CHECK_IS(pthread_mutex_unlock(&mutex[table]), 0);
    return NULL;
}

static void *signals(void *unused)
{
    while (!stop) {
        CHECK_IS(kill(parent, SIGUSR2), 0);
        nap(1);
    }
    return unused;
}

static void *creates(void *unused)
{
    while (!stop)
        join(spawn(grandson, NULL));
    return unused;
}

int main(void)
{
    pthread_t forkers[FORKERS], players[PLAYERS];
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    parent = getpid();
    CHECK_IS(sigaction(SIGUSR2, &action, NULL), 0);
    for (int i = 0; i < PLAYERS / 2; i++) {
        pthread_mutex_init(&mutex[i], NULL);
        pthread_cond_init(&turned[i], NULL);
    }
    for (intptr_t i = 0; i < PLAYERS; i++)
        players[i] = spawn(plays, (void *)i);
    pthread_t signaller = spawn(signals, NULL), creator = spawn(creates, NULL);
    for (intptr_t i = 0; i < FORKERS; i++)
        forkers[i] = spawn(forks, (void *)i);
    for (int i = 0; i < FORKERS; i++)
        join(forkers[i]);
    stop = true;
    for (int i = 0; i < PLAYERS; i++)
        join(players[i]);
    join(signaller);
    join(creator);
    CHECK(handled > 0);
    say("%d children, all sound", FORKERS * FORKS);
    return 0;
}
