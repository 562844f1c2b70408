/* ppoll, pselect, epoll_pwait and epoll_pwait2 swap the signal mask and wait as one step: a signal that was held back interrupts at once,
 * one that comes during the wait too, and afterwards the old mask is back; a descriptor that is ready goes first.
 * covers: ppoll pselect epoll_pwait epoll_pwait2 pthread_sigmask
 * proof: green_threads>=9 parks>=1 hooks.ppoll>=3 hooks.pselect>=3 hooks.epoll_pwait>=3 hooks.epoll_pwait2>=3 kernel_threads_peak<=12
 * processors: 4
 */
#include "signals.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>

static int counter, queue;
static sigset_t none, all;
static atomic_bool done;

static int a_ppoll(const sigset_t *mask)
{
    return ppoll(&(struct pollfd){counter, POLLIN, 0}, 1, &(struct timespec){60, 0}, mask);
}

static int a_pselect(const sigset_t *mask)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(counter, &set);
    return pselect(counter + 1, &set, NULL, NULL, &(struct timespec){60, 0}, mask);
}

static int an_epoll_pwait(const sigset_t *mask)
{
    return epoll_pwait(queue, &(struct epoll_event){0}, 1, 60000, mask);
}

static int an_epoll_pwait2(const sigset_t *mask)
{
    return epoll_pwait2(queue, &(struct epoll_event){0}, 1, &(struct timespec){60, 0}, mask);
}

static bool held_back(int signal)
{
    sigset_t mask;
    CHECK_IS(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
    return sigismember(&mask, signal);
}

static void *pending_first(void *call)
{
    int (*wait)(const sigset_t *) = *(int (**)(const sigset_t *))call;
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &all, NULL), 0);
    pthread_kill(pthread_self(), SIGUSR1);
    CHECK_IS(signals_caught, 0);
    CHECK_FAILS(wait(&none), EINTR);
    CHECK_IS(signals_caught, 1);
    CHECK(held_back(SIGUSR1));
    pthread_kill(pthread_self(), SIGUSR1);
    CHECK_IS(eventfd_write(counter, 1), 0);
    CHECK_IS(wait(&none), 1);
    CHECK_IS(signals_caught, 1);
    CHECK_IS(eventfd_read(counter, &(eventfd_t){0}), 0);
    CHECK_FAILS(wait(&none), EINTR);
    CHECK_IS(signals_caught, 2);
    return NULL;
}

static void *during(void *call)
{
    int (*wait)(const sigset_t *) = *(int (**)(const sigset_t *))call;
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &all, NULL), 0);
    CHECK_FAILS(wait(&none), EINTR);
    CHECK(held_back(SIGUSR1));
    atomic_store(&done, true);
    return NULL;
}

static void *held_during(void *call)
{
    int (*wait)(const sigset_t *) = *(int (**)(const sigset_t *))call;
    CHECK_IS(pthread_sigmask(SIG_SETMASK, &none, NULL), 0);
    int before = atomic_load(&signals_caught);
    atomic_store(&done, true);
    CHECK_IS(wait(&all), 1);
    CHECK(!held_back(SIGUSR1));
    CHECK(atomic_load(&signals_caught) > before);
    return NULL;
}

static void subject(int (*wait)(const sigset_t *), const char *name)
{
    catch_signal(SIGUSR1, SA_RESTART);
    join(spawn(pending_first, &wait));
    say("%s: a pending signal interrupts at once, but a ready descriptor goes first", name);
    atomic_store(&done, false);
    pthread_t thread = spawn(during, &wait);
    signal_until(thread, SIGUSR1, &done);
    join(thread);
    say("%s: so does one during the wait", name);
    atomic_store(&done, false);
    thread = spawn(held_during, &wait);
    while (!atomic_load(&done))
        nap(1);
    nap(2);
    CHECK_IS(pthread_kill(thread, SIGUSR1), 0);
    nap(1);
    CHECK_IS(eventfd_write(counter, 1), 0);
    join(thread);
    CHECK_IS(eventfd_read(counter, &(eventfd_t){0}), 0);
    say("%s: one that its mask holds back comes afterwards", name);
}

int main(void)
{
    sigemptyset(&none);
    sigemptyset(&all);
    sigaddset(&all, SIGUSR1);
    counter = eventfd(0, 0);
    queue = epoll_create1(0);
    CHECK_IS(epoll_ctl(queue, EPOLL_CTL_ADD, counter, &(struct epoll_event){.events = EPOLLIN}), 0);
    subject(a_ppoll, "ppoll");
    subject(a_pselect, "pselect");
    subject(an_epoll_pwait, "epoll_pwait");
    subject(an_epoll_pwait2, "epoll_pwait2");
    return 0;
}
