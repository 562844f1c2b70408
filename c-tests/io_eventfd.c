/* eventfd: reading waits for a count and takes it, or one of it in semaphore mode; writing waits while the count would overflow.
 * covers: eventfd_read eventfd_write read write
 * proof: green_threads>=5 parks>=2 hooks.eventfd_read>=3 hooks.eventfd_write>=3
 */
#include "ctest.h"
#include <sys/eventfd.h>

static int fd;

static void *late_write(void *value)
{
    nap(2);
    CHECK_IS(eventfd_write(fd, (uintptr_t)value), 0);
    return NULL;
}

static void counter(void)
{
    eventfd_t value = 0;
    char small[4];
    fd = eventfd(0, 0);
    pthread_t thread = spawn(late_write, (void *)3);
    CHECK_IS(eventfd_read(fd, &value), 0);
    say("waited for %llu", (unsigned long long)value);
    join(thread);
    CHECK_IS(eventfd_write(fd, 2), 0);
    CHECK_IS(write(fd, &(eventfd_t){5}, sizeof value), sizeof value);
    CHECK_IS(read(fd, &value, sizeof value), sizeof value);
    say("2 and 5: %llu", (unsigned long long)value);
    CHECK_FAILS(read(fd, small, sizeof small), EINVAL);
    CHECK_FAILS(write(fd, small, sizeof small), EINVAL);
    CHECK_FAILS(eventfd_write(fd, UINT64_MAX), EINVAL);
    close(fd);
    CHECK_FAILS(eventfd_read(fd, &value), EBADF);
}

static atomic_int taken;

static void *take(void *unused)
{
    eventfd_t value = 0;
    CHECK_IS(eventfd_read(fd, &value), 0);
    CHECK_IS(value, 1);
    atomic_fetch_add(&taken, 1);
    return unused;
}

static void semaphore(void)
{
    enum { TAKERS = 10 };
    pthread_t thread[TAKERS];
    eventfd_t value;
    fd = eventfd(0, EFD_SEMAPHORE);
    for (int i = 0; i < TAKERS; i++)
        thread[i] = spawn(take, NULL);
    CHECK_IS(eventfd_write(fd, TAKERS / 2), 0);
    while (atomic_load(&taken) < TAKERS / 2)
        nap(1);
    nap(1);
    CHECK_IS(taken, TAKERS / 2);
    say("semaphore: half of them got theirs");
    CHECK_IS(eventfd_write(fd, TAKERS / 2), 0);
    for (int i = 0; i < TAKERS; i++)
        join(thread[i]);
    CHECK_IS(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    CHECK_FAILS(eventfd_read(fd, &value), EAGAIN);
    say("then the others, and nothing is left");
    close(fd);
}

static void *late_read(void *unused)
{
    eventfd_t value;
    nap(2);
    CHECK_IS(eventfd_read(fd, &value), 0);
    CHECK_IS(value, UINT64_MAX - 1);
    return unused;
}

static void full(void)
{
    eventfd_t value;
    fd = eventfd(0, 0);
    CHECK_IS(eventfd_write(fd, UINT64_MAX - 1), 0);
    pthread_t thread = spawn(late_read, NULL);
    CHECK_IS(eventfd_write(fd, 7), 0);
    join(thread);
    CHECK_IS(eventfd_read(fd, &value), 0);
    say("a full one: waited until it was read, then %llu", (unsigned long long)value);
    CHECK_IS(eventfd_write(fd, UINT64_MAX - 1), 0);
    CHECK_IS(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    CHECK_FAILS(eventfd_write(fd, 1), EAGAIN);
    close(fd);
}

int main(void)
{
    in_thread(counter);
    in_thread(semaphore);
    in_thread(full);
    return 0;
}
