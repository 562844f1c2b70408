/* Threads that wait by instructions of their own, in futexes and in a read, until another wakes them all after a sleep. */
#ifndef CTEST_STANDING_H
#define CTEST_STANDING_H

#include "inline.h"
#include <linux/futex.h>

enum { WAITERS = 4, READERS = 2, STANDING = WAITERS + READERS + 1 };

static atomic_int word, here;
static int ends[2];
static pthread_t standing[STANDING];

static void *waits(void *argument)
{
    here++;
    usleep(50000);
    while (!word) {
        long answer = INLINE(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, 0);
        CHECK(answer == 0 || answer == -EAGAIN || answer == -EINTR);
    }
    return argument;
}

static void *reads(void *argument)
{
    char byte;
    here++;
    usleep(50000);
    CHECK_IS(INLINE(SYS_read, ends[0], &byte, 1), 1);
    return argument;
}

static void *wakes(void *argument)
{
    here++;
    usleep(200000);
    word = 1;
    INLINE(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 100);
    CHECK_IS(write(ends[1], "xy", READERS), READERS);
    return argument;
}

/* Until all have begun. */
static void begin_standing(void)
{
    CHECK_IS(pipe(ends), 0);
    for (int i = 0; i < STANDING; i++)
        standing[i] = spawn(i == 0 ? wakes : i <= WAITERS ? waits : reads, NULL);
    while (here < STANDING)
        usleep(1000);
}

static void join_standing(void)
{
    for (int i = 0; i < STANDING; i++)
        join(standing[i]);
}

#endif
