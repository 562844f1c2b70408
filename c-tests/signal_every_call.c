/* Every call that blocks, disturbed by signal handlers, with SA_RESTART and without: which end with EINTR and which go on is as signal(7)
 * says, and those that go on get what they waited for.
 * covers: read readv write writev recv recvfrom recvmsg recvmmsg send sendto sendmsg sendmmsg accept accept4 eventfd_read poll ppoll
 * covers: select pselect epoll_wait epoll_pwait epoll_pwait2 nanosleep clock_nanosleep sleep usleep thrd_sleep pause sigsuspend sigwait
 * covers: sigwaitinfo sigtimedwait sem_wait sem_timedwait sem_clockwait pthread_cond_wait pthread_cond_timedwait pthread_cond_clockwait
 * covers: pthread_mutex_lock pthread_mutex_timedlock pthread_rwlock_rdlock pthread_rwlock_wrlock pthread_barrier_wait pthread_join
 * covers: pthread_timedjoin_np waitpid wait4 waitid open openat fcntl flock msgrcv semop semtimedop mq_receive mq_timedreceive mq_send
 * covers: mq_timedsend syscall pthread_kill
 * cflags: -lrt
 * proof: green_threads>=140 parks>=100 hooks.pthread_kill>=1000
 */
#include "blocked.h"

enum { HANDLERS = 25 };

struct victim {
    struct blocked state;
    const struct blocking_call *what;
    pthread_t thread;
    atomic_int handlers;
    atomic_bool done;
    long result;
    int error;
};

static __thread struct victim *self;

static void disturb(int signal)
{
    if (signal == SIGUSR1)
        atomic_fetch_add(&self->handlers, 1);
}

static void *victim(void *argument)
{
    self = argument;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_IS(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    self->result = self->what->call(&self->state);
    self->error = errno;
    self->state.open = true;
    atomic_store(&self->done, true);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    return NULL;
}

static void judge(struct victim *it, const char *how)
{
    if (atomic_load(&it->done)) {
        say("%s: %s: %ld %s", how, it->what->name, it->result, it->result < 0 ? error_name(it->error) : "");
        if (it->what->finish && it->what->finish != let_drain && it->what->finish != let_connect)
            it->what->finish(&it->state);
        join(it->thread);
        return;
    }
    if (it->what->finish) {
        it->what->finish(&it->state);
        join(it->thread);
        say("%s: %s goes on: %ld %s", how, it->what->name, it->result, it->result < 0 ? error_name(it->error) : "");
        return;
    }
    CHECK_IS(pthread_kill(it->thread, SIGUSR2), 0);
    join(it->thread);
    say("%s: %s goes on, until another signal: %ld %s", how, it->what->name, it->result, it->result < 0 ? error_name(it->error) : "");
}

static void all(int flags, const char *how)
{
    static struct victim victims[2][BLOCKING_CALLS];
    struct victim *mine = victims[flags != 0];
    struct sigaction action = {.sa_handler = disturb, .sa_flags = flags};
    CHECK_IS(sigaction(SIGUSR1, &action, NULL), 0);
    CHECK_IS(sigaction(SIGUSR2, &action, NULL), 0);
    for (int i = 0; i < BLOCKING_CALLS; i++) {
        mine[i].what = &blocking_calls[i];
        mine[i].what->prepare(&mine[i].state);
        mine[i].thread = spawn(victim, &mine[i]);
    }
    for (bool again = true; again;) {
        again = false;
        for (int i = 0; i < BLOCKING_CALLS; i++)
            if (!atomic_load(&mine[i].done) && atomic_load(&mine[i].handlers) < HANDLERS) {
                CHECK_IS(pthread_kill(mine[i].thread, SIGUSR1), 0);
                again = true;
            }
        nap(1);
    }
    for (int i = 0; i < BLOCKING_CALLS; i++) {
        judge(&mine[i], how);
        blocked_remove(mine[i].what, &mine[i].state);
    }
}

int main(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    all(0, "without SA_RESTART");
    all(SA_RESTART, "with SA_RESTART");
    return 0;
}
