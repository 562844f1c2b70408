/* Signals that interrupt a blocked thread for certain: sent again and again until it says that it has seen what it waits for. */
#ifndef CTEST_SIGNALS_H
#define CTEST_SIGNALS_H

#include "ctest.h"

static atomic_int signals_caught;

static void count_signal(int signal)
{
    (void)signal;
    atomic_fetch_add(&signals_caught, 1);
}

/* Counts this signal from now on; flags: SA_RESTART or 0. */
static inline void catch_signal(int signal, int flags)
{
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags};
    CHECK_IS(sigaction(signal, &action, NULL), 0);
    atomic_store(&signals_caught, 0);
}

/* Signals the thread until it has set the flag. */
static inline void signal_until(pthread_t thread, int signal, atomic_bool *done)
{
    while (!atomic_load(done)) {
        CHECK_IS(pthread_kill(thread, signal), 0);
        nap(1);
    }
}

/* Signals the thread until so many more handlers have run, whatever it is doing. */
static inline void signal_times(pthread_t thread, int signal, int times)
{
    int target = atomic_load(&signals_caught) + times;
    while (atomic_load(&signals_caught) < target) {
        CHECK_IS(pthread_kill(thread, signal), 0);
        nap(1);
    }
}

#endif
