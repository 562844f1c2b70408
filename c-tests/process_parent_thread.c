/* Children that asked to die with the thread that forked them live as long as that thread, however long it waits.
 * covers: fork waitpid prctl
 * uncounted: prctl
 * proof: green_threads>=6 parks>=1
 * stress: no
 */
#include "ctest.h"
#include <semaphore.h>
#include <sys/prctl.h>

enum { PARENTS = 4 };

static sem_t forked, end;
static atomic_bool stop;
static pid_t children[PARENTS];

/* Others are ready all the time, so that threads which compute lose their places. */
static void *busy(void *argument)
{
    while (!stop)
        nap(1);
    return argument;
}

static void *parent(void *argument)
{
    char byte;
    int ready[2];
    CHECK_IS(pipe(ready), 0);
    for (long long start = now_ms(); now_ms() < start + 30;)
        ;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_IS(prctl(PR_SET_PDEATHSIG, SIGKILL), 0);
        CHECK_IS(write(ready[1], "x", 1), 1);
        for (;;)
            pause();
    }
    CHECK_IS(read(ready[0], &byte, 1), 1);
    *(pid_t *)argument = child;
    sem_post(&forked);
    sem_wait(&end);
    return NULL;
}

int main(void)
{
    pthread_t others[2], parents[PARENTS];
    sem_init(&forked, 0, 0);
    sem_init(&end, 0, 0);
    for (int i = 0; i < 2; i++)
        others[i] = spawn(busy, NULL);
    for (int i = 0; i < PARENTS; i++)
        parents[i] = spawn(parent, &children[i]);
    for (int i = 0; i < PARENTS; i++)
        sem_wait(&forked);
    stop = true;
    for (int i = 0; i < 2; i++)
        join(others[i]);
    nap(600);
    for (int i = 0; i < PARENTS; i++)
        CHECK_IS(waitpid(children[i], NULL, WNOHANG), 0);
    say("the parents wait: their children live");
    for (int i = 0; i < PARENTS; i++) {
        CHECK_IS(kill(children[i], SIGTERM), 0);
        CHECK_IS(waitpid(children[i], NULL, 0), children[i]);
        sem_post(&end);
    }
    for (int i = 0; i < PARENTS; i++)
        join(parents[i]);
    return 0;
}
