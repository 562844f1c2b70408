/* A signal handler interrupts read and write on pipes, eventfds and the like: EINTR without SA_RESTART, unnoticed with it; a write that
 * has written something gives its count.
 * covers: read write readv eventfd_read splice
 * proof: green_threads>=8 parks>=1 hooks.read>=1 hooks.write>=1 hooks.eventfd_read>=1 hooks.splice>=1
 */
#include "signals.h"
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

static int line[2], out[2], counter, timer;
static atomic_bool done;
static char block[1 << 20];

static ssize_t a_read(void) { return read(line[0], block, 1); }
static ssize_t a_readv(void) { return readv(line[0], &(struct iovec){block, 1}, 1); }
static ssize_t a_splice(void) { return splice(line[0], NULL, out[1], NULL, 1, 0); }
static ssize_t an_eventfd_read(void) { return eventfd_read(counter, &(eventfd_t){0}); }
static ssize_t a_timer(void) { return read(timer, block, 8); }
static ssize_t a_write(void) { return write(line[1], block, 1); }

static void *until_interrupted(void *call)
{
    CHECK_FAILS((*(ssize_t(**)(void))call)(), EINTR);
    atomic_store(&done, true);
    return NULL;
}

static void interrupted(ssize_t (*call)(void), const char *what)
{
    atomic_store(&done, false);
    pthread_t thread = spawn(until_interrupted, &call);
    signal_until(thread, SIGUSR1, &done);
    join(thread);
    say("%s: EINTR", what);
}

static void *waits_on(void *unused)
{
    char text[8] = "";
    CHECK_IS(read(line[0], text, sizeof text), 4);
    CHECK_IS(eventfd_read(counter, &(eventfd_t){0}), 0);
    return unused;
}

static void restarted(void)
{
    catch_signal(SIGUSR1, SA_RESTART);
    pthread_t thread = spawn(waits_on, NULL);
    signal_times(thread, SIGUSR1, 3);
    CHECK_IS(write(line[1], "data", 4), 4);
    signal_times(thread, SIGUSR1, 3);
    CHECK_IS(eventfd_write(counter, 1), 0);
    join(thread);
    say("SA_RESTART: read and eventfd_read go on");
}

static void *partly_written(void *unused)
{
    ssize_t written = write(line[1], block, sizeof block);
    CHECK(written > 0 && written < (ssize_t)sizeof block);
    atomic_store(&done, true);
    return unused;
}

int main(void)
{
    CHECK_IS(pipe(line), 0);
    CHECK_IS(pipe(out), 0);
    counter = eventfd(0, 0);
    timer = timerfd_create(CLOCK_MONOTONIC, 0);
    catch_signal(SIGUSR1, 0);
    interrupted(a_read, "read");
    interrupted(a_readv, "readv");
    interrupted(a_splice, "splice");
    interrupted(an_eventfd_read, "eventfd_read");
    interrupted(a_timer, "read of a timer that never ends");
    restarted();
    catch_signal(SIGUSR1, 0);
    atomic_store(&done, false);
    pthread_t thread = spawn(partly_written, NULL);
    CHECK_IS(poll(&(struct pollfd){line[0], POLLIN, 0}, 1, -1), 1);
    nap(2);
    signal_until(thread, SIGUSR1, &done);
    join(thread);
    say("a long write: what went");
    interrupted(a_write, "write to a full pipe");
    return 0;
}
