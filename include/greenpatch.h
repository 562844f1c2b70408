/* greenpatch.h: what a program may ask of the preloaded library libgreenpatch.so.
 *
 * Every function is a weak symbol: a program that includes this file links without the library and runs without it (greenpatch.pc.in is
 * the pkg-config file, with @prefix@ and @version@ to be filled in: there are flags to compile, and none to link). Ask gp_is_present()
 * before any other call; without the library the other symbols are null.
 *
 * A lent loop: a thread that multiplexes contexts of its own (coroutines, greenlets) gives the library a way to leave a context that is
 * about to block. What the context waits for stays the library's: the loop watches one eventfd, and nothing else is registered per wait.
 *
 *   loop (epoll, libev, ...)                        context
 *   gp_lend(&ops, eventfd, data) once
 *                                                   read() would block: the library arms the wait,
 *   <------------- ops.leave(data, &user) --------- and leave() switches to the loop
 *   eventfd is readable: gp_take(ready, n) -------> switch to each `user`: leave() returns, the call is tried again
 *
 * A context is left where it waits for descriptors (read, recv, connect, poll, epoll_wait, ...), for a time (sleep, nanosleep, ...), for a
 * mutex or read-write lock of this process's, or for a thread's end (pthread_join), a child's (wait, waitpid, ...) or a file's lock
 * (flock, F_SETLKW); while a FIFO is opened, a file is brought to its disk (fsync, ...), or getaddrinfo asks. Its own stack may be copied
 * away and another context's put there meanwhile. For condition variables, semaphores and futexes only where gp_range says so. Every other
 * wait (barriers, signals, System V's queues, reads of files, the other functions that look up names) blocks the thread as it did, while
 * green threads run.
 *
 * While leave(&user) has not switched away yet, what it calls may wait as well: it must answer 0 then, or call gp_pause meanwhile.
 *
 * Rules. Locks that mind their owner (recursive and error-checking mutexes, write locks) know threads, not contexts: with ops.current two
 * contexts of a thread are two owners, without it one. Signals and cancellations are the thread's, and end no context's wait. leave() may
 * not unwind (exceptions, pthread_exit), and comes back to each context that it has left. Threads beside the loop's may do anything; what
 * they do to a context's wait arrives by the eventfd.
 */
#ifndef GREENPATCH_H
#define GREENPATCH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GP_WEAK __attribute__((weak))

/* The version of this interface: one more with each release that adds to it. A later version only adds functions, numbers of enums, and
 * fields at the end of structs, which begin with their size. So a program runs with every newer library, and with an older one if it asks
 * gp_version() before it uses what came later. */
#define GP_VERSION 1

/* How the process runs. */
enum gp_mode {
    GP_NATIVE = 0, /* every call goes to libc */
    GP_GREEN = 1,  /* pthreads are green threads, or will be at the first pthread_create or gp_lend */
    GP_AUDIT = 2,  /* native, and calls that wait are recorded */
};

/* What leave() returns: how a context's wait ends that the loop has switched back to. It may switch at any time, also before the news.
 * Each answer counts for the wait that leave() was called for, so a context that is cancelled and waits again is left again.
 *
 * SHUTDOWN shuts down (SHUT_RDWR) the connection that the call waits for, and the wait goes on to its own end: read answers 0, write
 * EPIPE, poll POLLHUP; so a driver unwinds by its own error, and never takes a late answer for that to its next question. Of several
 * descriptors (poll, select) it shuts down every connection but the pairs of socketpair(). Where there is none it is as ERROR: pipes,
 * terminals, files, datagrams, sockets that listen or are not connected, epoll descriptors, connect() itself, and all that is no
 * descriptor.
 *
 * ERROR has the call fail: by ETIMEDOUT calls about a stream socket (recv, send, read, write, accept, connect), locks, condition variables
 * and joins with a timeout; by EINTR reads and writes of other files, poll, select, epoll_wait, sleeps, semaphores, futexes, waits for
 * children, locks of files, opens of FIFOs, and fsync. What has arrived meanwhile goes before that. Locks, condition variables and joins
 * without a timeout can tell no error, and neither can getaddrinfo and gp_offload: they are as IGNORE. Many libraries make a call again
 * after EINTR, and wait again. */
enum gp_cancel {
    GP_CANCEL_IGNORE = 0,    /* the wait goes on, unless its news are there */
    GP_CANCEL_ERROR = -1,    /* the call fails; so do other numbers below 0 */
    GP_CANCEL_SHUTDOWN = -2, /* the connection is shut down */
};

enum gp_loop_flag {
    GP_STACKS_STAY = 1, /* each context's stack stays where it is while the context is left; with stacks_from: EINVAL */
};

/* What a loop lends. Read by the library during gp_lend only, as far as `size` says; the struct may be freed after the call. */
struct gp_loop_ops {
    size_t size; /* sizeof(struct gp_loop_ops), as the program was compiled */
    /* Leaves the running context. Called on the thread that has lent the loop, inside a hooked call that would block, with no lock of the
     * library's held.
     *   user == NULL: asks whether a context runs that may be left; 1 yes, 0 no (the loop itself runs). Must not switch.
     *   user != NULL: writes what gp_take is to return for this context, switches to the loop, and returns when the loop switches back:
     *                 what is to become of the wait (enum gp_cancel).
     * errno is saved and restored around it by the library, so each context has its own. */
    int (*leave)(void *data, void **user);
    /* The fields from here on are taken for 0 where `size` leaves them out. */
    uint64_t flags; /* enum gp_loop_flag */
    /* Where the contexts' stacks lie that are copied away while their context is left; both null: on the thread's own stack. A wait for a
     * lock, condition variable or semaphore that lies there blocks the thread: other threads would write into another context's stack. */
    const void *stacks_from, *stacks_to;
    /* Which context runs, as the address of an object of its own; 0: none. Null: contexts own no locks by themselves. Called on the loop's
     * thread in each lock and unlock of a lock that minds its owner: must not wait, lock, or switch. */
    uintptr_t (*current)(void *data);
};

/* What was counted since the loop was lent. Read by the thread that lent it. */
struct gp_loop_statistics {
    size_t size;       /* set by the caller: sizeof(struct gp_loop_statistics) */
    uint64_t lent;     /* waits in which a context was left */
    uint64_t blocked;  /* waits in which the thread blocked: the loop's own, or while paused */
    uint64_t taken;    /* contexts that gp_take returned */
    /* The fields from here on are written as far as `size` says. */
    uint64_t offloaded; /* calls that another thread made for a context */
};

/* The library's GP_VERSION. Any thread; leaves errno alone. */
GP_WEAK int gp_version(void);
/* How the process runs (enum gp_mode). Any thread; leaves errno alone. */
GP_WEAK int gp_mode(void);
/* Lends the calling thread's loop; starts the library's runtime if this is the program's first thread. `eventfd` stays the caller's, and
 * must stay open until gp_unlend. 0, or an error number: EINVAL (ops), EBADF, EBUSY (this thread lends one already), ENOTSUP (the process,
 * or this thread, stays native). A fork child lends anew. */
GP_WEAK int gp_lend(const struct gp_loop_ops *ops, int eventfd, void *data);
/* Takes the loop back. Called by its thread, when none of its contexts waits; else EBUSY. */
GP_WEAK int gp_unlend(void);
/* Takes up to `most` contexts whose waits are over: writes what leave() stored, in the order in which they were fired, and returns how
 * many. Called by the loop's thread when the eventfd is readable; reads the eventfd empty itself. While contexts are left it stays
 * readable. */
GP_WEAK size_t gp_take(void **users, size_t most);
/* Until as many gp_resume as gp_pause, no context of this thread is left: its calls block. For the glue's own code, and for stretches of a
 * program in which no other context may run. */
GP_WEAK void gp_pause(void);
GP_WEAK void gp_resume(void);
/* What gp_range says of addresses. */
enum gp_range_meaning {
    GP_BLOCKING_OBJECTS = 0,  /* locks, condition variables, semaphores and futexes that lie here: who waits for one blocks the thread */
    GP_BLOCKING_CALLERS = 1,  /* code: whatever it calls blocks the thread */
    GP_CONDITION_CALLERS = 2, /* code: where it waits for a condition variable, semaphore or futex the context is left */
};
/* Says something of the addresses from `from` to before `to`, in addition to what was said before, for the loop that the calling thread
 * lends, until it is taken back. A wait that this forbids blocks the thread, as a wait of the loop's own does, and leave() is not called.
 *
 * Objects: those that leave() itself may want, so that a context left for one would never come back (an interpreter's lock). Callers: the
 * text of a library that keeps state of its own for each thread. Conditions: the text of a library that waits so for its own threads, and
 * gives them no pointers into the waiter's stack, or whose stacks stay. The caller is the first function, from the call outwards, that is
 * neither libc's nor this library's; its callers do not count. It is found by unwinding tables, about a microsecond a wait; code without
 * tables is found as well, if it makes the call itself. 0, or an error number: EINVAL (the thread lends no loop, `meaning`, from >= to),
 * ENOMEM, ENOTSUP (callers, with a glibc before 2.35). */
GP_WEAK int gp_range(int meaning, const void *from, const void *to);
/* Calls function(argument) on another kernel thread, on which all that it calls blocks as it does natively, while the calling context is
 * left, and returns when it is over: 1. Where no context may be left it is called here: 0. For code that computes for long or blocks in no
 * hooked call, and for libraries that keep state for each thread. That thread is another one each time. Where stacks are copied away
 * (no GP_STACKS_STAY) `argument` must not lie on the context's stack. The function must return, and does not hear of cancellation. */
GP_WEAK int gp_offload(void (*function)(void *argument), void *argument);
/* The waits that a program may make itself, as the libc calls of its libraries are made: a context is left, a green thread parks, any other
 * thread blocks. A thread is made and joined by pthread_create and pthread_join: green, where the process is. */
/* Waits until the descriptor is ready for `events` (POLLIN, POLLOUT, ... of poll.h): what it is ready for (POLLERR, POLLHUP and POLLNVAL
 * are told as well), 0 when timeout_ns nanoseconds are over (below 0: it has no end), or -1 and errno, EINTR. */
GP_WEAK int gp_wait_fd(int fd, int events, int64_t timeout_ns);
/* Sleeps for so many nanoseconds: 0, or -1 and errno, EINTR. */
GP_WEAK int gp_sleep(uint64_t ns);
/* Lets the loop run other contexts that are ready, or, where no context may be left, other green threads. Leaves errno alone. */
GP_WEAK void gp_yield(void);
/* Fills in the statistics of the calling thread's loop. 0, or EINVAL: it lends none. */
GP_WEAK int gp_loop_statistics(struct gp_loop_statistics *statistics);

/* Is the library there? */
static inline int gp_is_present(void) { return gp_version != NULL; }

#ifdef __cplusplus
}
#endif
#endif
