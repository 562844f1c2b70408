/* signalfd: what all threads block is read from the descriptor, by whatever thread, as it was sent; to a thread: by that thread.
 * covers: signalfd read poll kill sigqueue raise pthread_kill
 * proof: green_threads>=3 parks>=2
 * passes: kill sigqueue: a signal to another process, or one that no handler waits for, is the kernel's to send
 */
#include "ctest.h"
#include <sys/signalfd.h>

static int signals;

static void never(int number)
{
    say("FAIL: a handler ran (%d)", number);
}

static void told(int code)
{
    struct signalfd_siginfo info;
    CHECK_IS(read(signals, &info, sizeof info), sizeof info);
    CHECK_IS(info.ssi_signo, SIGUSR1);
    CHECK_IS(info.ssi_code, code);
    CHECK_IS(info.ssi_pid, getpid());
    if (code == SI_QUEUE)
        CHECK_IS(info.ssi_int, 7);
}

static void *reads(void *argument)
{
    told((intptr_t)argument);
    return NULL;
}

static void *sends_to_itself(void *argument)
{
    struct signalfd_siginfo info;
    CHECK_IS(raise(SIGUSR1), 0);
    CHECK_IS(read(signals, &info, sizeof info), sizeof info);
    CHECK_IS(info.ssi_signo, SIGUSR1);
    CHECK_IS(pthread_kill(pthread_self(), SIGUSR1), 0);
    CHECK_IS(poll(&(struct pollfd){signals, POLLIN, 0}, 1, 60000), 1);
    CHECK_IS(read(signals, &info, sizeof info), sizeof info);
    CHECK_IS(info.ssi_signo, SIGUSR1);
    return argument;
}

int main(void)
{
    sigset_t usr1;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    CHECK_IS(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = never}, NULL), 0);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &usr1, NULL), 0);
    signals = signalfd(-1, &usr1, SFD_CLOEXEC);
    CHECK(signals >= 0);
    for (int i = 0; i < 3; i++) {
        pthread_t thread = spawn(reads, (void *)(intptr_t)(i == 1 ? SI_QUEUE : SI_USER));
        nap(i);
        if (i == 1)
            CHECK_IS(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 7}), 0);
        else
            CHECK_IS(kill(getpid(), SIGUSR1), 0);
        join(thread);
    }
    say("sent to the process: read by a thread, as it was sent");
    join(spawn(sends_to_itself, NULL));
    say("sent to a thread: read by that thread");
    return 0;
}
