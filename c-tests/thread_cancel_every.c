/* Every call that blocks, while its thread is cancelled: which of them are cancellation points, and that a cancelled one unwinds (its
 * cleanup handlers run, innermost first, and a mutex of pthread_cond_wait is locked again); the others go on to their end, and the next
 * cancellation point ends their thread. Then the same for a thread that may be cancelled at any moment.
 * covers: pthread_cancel read readv write writev recv recvfrom recvmsg recvmmsg send sendto sendmsg sendmmsg accept accept4 eventfd_read
 * covers: poll ppoll select pselect epoll_wait epoll_pwait epoll_pwait2 nanosleep clock_nanosleep sleep usleep thrd_sleep pause
 * covers: sigsuspend sigwait sigwaitinfo sigtimedwait sem_wait sem_timedwait sem_clockwait pthread_cond_wait pthread_cond_timedwait
 * covers: pthread_cond_clockwait pthread_mutex_lock pthread_mutex_timedlock pthread_rwlock_rdlock pthread_rwlock_wrlock
 * covers: pthread_barrier_wait pthread_join pthread_timedjoin_np waitpid wait4 waitid open openat fcntl flock msgrcv semop semtimedop
 * covers: mq_receive mq_timedreceive mq_send mq_timedsend syscall splice
 * cflags: -lrt
 * proof: green_threads>=140 parks>=50 hooks.pthread_cancel>=140
 */
#include "blocked.h"

struct victim {
    struct blocked state;
    const struct blocking_call *what;
    pthread_t thread;
    bool any_moment;
    atomic_bool entered, cleaned, done;
};

static void clean(void *it)
{
    CHECK(!atomic_exchange(&((struct victim *)it)->cleaned, true));
}

static void clean_first(void *it)
{
    CHECK(!atomic_load(&((struct victim *)it)->cleaned));
}

static void *victim(void *argument)
{
    struct victim *it = argument;
    pthread_cleanup_push(clean, it);
    pthread_cleanup_push(clean_first, it);
    if (it->any_moment)
        CHECK_IS(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL), 0);
    atomic_store(&it->entered, true);
    /* Since 2.41 libc sends its signal to whoever is cancelled, at a cancellation point or not, and some calls are never begun again. */
    while (it->what->call(&it->state) == -1 && errno == EINTR)
        ;
    pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL);
    it->state.open = true;
    atomic_store(&it->done, true);
    pthread_testcancel();
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return NULL;
}

static bool ended(struct victim *it)
{
    return atomic_load(&it->cleaned);
}

/* What the call leaves is as it must be: of a cond_wait the mutex, which its own cleanup handler unlocked. */
static void check_left(struct victim *it)
{
    if (it->what->prepare == with_free_mutex)
        CHECK_IS(pthread_mutex_trylock(&it->state.mutex), 0);
}

static void judge(struct victim *it)
{
    const char *when = it->any_moment ? "at any moment" : "deferred";
    bool point = ended(it);
    if (!point) {
        CHECK(it->what->finish);
        it->what->finish(&it->state);
    }
    CHECK(join(it->thread) == PTHREAD_CANCELED);
    CHECK(ended(it) && atomic_load(&it->done) == !point);
    check_left(it);
    say("%s: %s: %s", when, it->what->name, point ? "cancelled" : "goes on to its end");
    blocked_remove(it->what, &it->state);
}

static void all(bool any_moment)
{
    static struct victim victims[2][BLOCKING_CALLS];
    struct victim *mine = victims[any_moment];
    for (int i = 0; i < BLOCKING_CALLS; i++) {
        mine[i].what = &blocking_calls[i];
        mine[i].any_moment = any_moment;
        mine[i].what->prepare(&mine[i].state);
    }
    for (int i = 0; i < BLOCKING_CALLS; i++)
        mine[i].thread = spawn(victim, &mine[i]);
    for (int i = 0; i < BLOCKING_CALLS; i++)
        while (!atomic_load(&mine[i].entered))
            nap(1);
    nap(20);
    for (int i = 0; i < BLOCKING_CALLS; i++)
        CHECK_IS(pthread_cancel(mine[i].thread), 0);
    /* Nothing shows that a call will not end; each that will has the time that all of them take. */
    int before = -1, now = 0;
    for (int quiet = 0; quiet < 300; quiet++, nap(1)) {
        before = now, now = 0;
        for (int i = 0; i < BLOCKING_CALLS; i++)
            now += ended(&mine[i]);
        if (now != before)
            quiet = 0;
    }
    for (int i = 0; i < BLOCKING_CALLS; i++)
        judge(&mine[i]);
}

int main(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    all(false);
    all(true);
    return 0;
}
