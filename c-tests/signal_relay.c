/* Two threads that block both signals send them to the process, each again as soon as the one before was handled: none is lost, though
 * only one thread takes them, in two handlers that interrupt each other, while it calls hooks or none.
 * covers: kill pthread_sigmask sigaction sem_post sem_wait pthread_kill
 * proof: green_threads>=3 parks>=3
 * passes: sigaction: called before the first thread is made
 */
#include "signals.h"
#include <semaphore.h>

enum { ROUNDS = 12 };

static sem_t handled[2];
static const int signals[2] = {SIGUSR1, SIGUSR2};
static atomic_int senders;

static void handler(int signal)
{
    CHECK_IS(sem_post(&handled[signal == SIGUSR2]), 0);
}

static void mask(int how)
{
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGUSR1);
    sigaddset(&both, SIGUSR2);
    CHECK_IS(pthread_sigmask(how, &both, NULL), 0);
}

static void *sends(void *argument)
{
    int which = *(const int *)argument == SIGUSR2;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_IS(kill(getpid(), signals[which]), 0);
        CHECK_IS(sem_wait(&handled[which]), 0);
    }
    senders--;
    return argument;
}

static void *takes(void *calls)
{
    mask(SIG_UNBLOCK);
    while (senders > 0) {
        if (calls)
            CHECK_IS(pthread_kill(pthread_self(), 0), 0);
    }
    return calls;
}

static void relay(void *calls)
{
    pthread_t thread[3];
    senders = 2;
    thread[0] = spawn(takes, calls);
    for (int i = 0; i < 2; i++)
        thread[i + 1] = spawn(sends, (void *)&signals[i]);
    for (int i = 0; i < 3; i++)
        join(thread[i]);
    say("%d of each were handled", ROUNDS);
}

int main(void)
{
    for (int i = 0; i < 2; i++) {
        struct sigaction action = {.sa_handler = handler};
        CHECK_IS(sigaction(signals[i], &action, NULL), 0);
        CHECK_IS(sem_init(&handled[i], 0, 0), 0);
    }
    mask(SIG_BLOCK);
    relay(NULL);
    relay(&senders);
    return 0;
}
