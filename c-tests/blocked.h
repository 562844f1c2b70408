/* Calls that block, as a table: how each is made to block, the call, and what lets it go on. For the c-tests that disturb all of them. */
#ifndef CTEST_BLOCKED_H
#define CTEST_BLOCKED_H

#include "sockets.h"
#include <linux/futex.h>
#include <mqueue.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <threads.h>

/* One call, and all that any of them needs. */
struct blocked {
    int fd[2], id;
    mqd_t queue;
    sem_t semaphore;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    pthread_rwlock_t rwlock;
    pthread_barrier_t barrier;
    pthread_t other;
    pid_t child;
    _Atomic uint32_t word;
    bool open, made_queue;
    char path[PATH_MAX];
};

#define BLOCKED_LATE 100000

static inline struct timespec blocked_deadline(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    time.tv_sec += BLOCKED_LATE;
    return time;
}

static const struct timespec blocked_long = {BLOCKED_LATE, 0};

/* How they come to block. */
static inline void with_pipe(struct blocked *it)
{
    CHECK_IS(pipe(it->fd), 0);
}

static inline void with_two_pipes(struct blocked *it)
{
    int other[2];
    with_pipe(it);
    CHECK_IS(pipe(other), 0);
    it->id = other[1];
}

static inline void with_full_pipe(struct blocked *it)
{
    static char block[4096];
    with_pipe(it);
    CHECK_IS(fcntl(it->fd[1], F_SETFL, O_NONBLOCK), 0);
    while (write(it->fd[1], block, sizeof block) > 0)
        ;
    CHECK_IS(fcntl(it->fd[1], F_SETFL, 0), 0);
}

static inline void with_pair(struct blocked *it)
{
    unix_pair(SOCK_STREAM, it->fd);
}

static inline void with_full_pair(struct blocked *it)
{
    with_pair(it);
    fill(it->fd[1]);
}

static inline void with_timed_pair(struct blocked *it)
{
    with_pair(it);
    timeout_ms(it->fd[0], SO_RCVTIMEO, BLOCKED_LATE * 1000);
}

static inline void with_listener(struct blocked *it)
{
    struct sockaddr_in address;
    it->fd[0] = tcp_listen(&address, 1);
    it->fd[1] = socket(AF_INET, SOCK_STREAM, 0);
}

static inline void with_eventfd(struct blocked *it)
{
    it->fd[0] = it->fd[1] = eventfd(0, 0);
}

static inline void with_epoll(struct blocked *it)
{
    with_pipe(it);
    it->id = epoll_create1(0);
    CHECK_IS(epoll_ctl(it->id, EPOLL_CTL_ADD, it->fd[0], &(struct epoll_event){.events = EPOLLIN}), 0);
}

static inline void with_queue(struct blocked *it)
{
    char name[64];
    static atomic_int number;
    snprintf(name, sizeof name, "/ctest-blocked-%d-%d", getpid(), atomic_fetch_add(&number, 1));
    it->queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &(struct mq_attr){.mq_maxmsg = 1, .mq_msgsize = 8});
    CHECK(it->queue >= 0);
    CHECK_IS(mq_unlink(name), 0);
}

static inline void with_full_queue(struct blocked *it)
{
    with_queue(it);
    CHECK_IS(mq_send(it->queue, "full", 4, 0), 0);
}

static inline void with_messages(struct blocked *it)
{
    it->id = msgget(IPC_PRIVATE, 0600);
    CHECK(it->id >= 0);
}

static inline void with_semaphores(struct blocked *it)
{
    it->id = semget(IPC_PRIVATE, 1, 0600);
    CHECK(it->id >= 0);
}

static inline void with_semaphore(struct blocked *it)
{
    CHECK_IS(sem_init(&it->semaphore, 0, 0), 0);
}

static inline void with_mutex(struct blocked *it)
{
    pthread_mutex_init(&it->mutex, NULL);
    pthread_cond_init(&it->cond, NULL);
    pthread_mutex_lock(&it->mutex);
}

static inline void with_free_mutex(struct blocked *it)
{
    with_mutex(it);
    pthread_mutex_unlock(&it->mutex);
}

static inline void with_rwlock(struct blocked *it)
{
    pthread_rwlock_init(&it->rwlock, NULL);
    pthread_rwlock_wrlock(&it->rwlock);
}

static inline void with_barrier(struct blocked *it)
{
    pthread_barrier_init(&it->barrier, NULL, 2);
}

static inline void with_nothing(struct blocked *it)
{
    it->fd[0] = it->fd[1] = -1;
}

static inline void *blocked_other(void *argument)
{
    struct blocked *it = argument;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    while (sem_wait(&it->semaphore) < 0)
        ;
    return NULL;
}

static inline void with_thread(struct blocked *it)
{
    with_semaphore(it);
    it->other = spawn(blocked_other, it);
}

static inline void with_child(struct blocked *it)
{
    with_pipe(it);
    it->child = fork();
    CHECK(it->child >= 0);
    if (it->child == 0) {
        char byte;
        close(it->fd[1]);
        while (read(it->fd[0], &byte, 1) < 0)
            ;
        _exit(7);
    }
}

static inline void with_fifo(struct blocked *it)
{
    make_directory(it->path);
    strcat(it->path, "/fifo");
    CHECK_IS(mkfifo(it->path, 0600), 0);
}

static inline void with_locked_file(struct blocked *it)
{
    make_directory(it->path);
    strcat(it->path, "/file");
    it->fd[0] = open(it->path, O_RDWR | O_CREAT, 0600);
    it->fd[1] = open(it->path, O_RDWR);
    CHECK(it->fd[0] >= 0 && it->fd[1] >= 0);
    CHECK_IS(flock(it->fd[1], LOCK_EX), 0);
    CHECK_IS(fcntl(it->fd[1], F_OFD_SETLK, &(struct flock){.l_type = F_WRLCK}), 0);
}

static inline void with_word(struct blocked *it)
{
    it->word = 0;
}

/* What lets them go on. */
static inline void let_write(struct blocked *it)
{
    CHECK_IS(write(it->fd[1], "12345678", 8), 8);
}

static inline void let_drain(struct blocked *it)
{
    char block[4096];
    CHECK_IS(fcntl(it->fd[0], F_SETFL, O_NONBLOCK), 0);
    while (!it->open) {
        while (read(it->fd[0], block, sizeof block) > 0)
            ;
        nap(1);
    }
}

static inline void let_connect(struct blocked *it)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    CHECK_IS(getsockname(it->fd[0], (struct sockaddr *)&address, &size), 0);
    CHECK_IS(connect(it->fd[1], (struct sockaddr *)&address, size), 0);
}

static inline void let_send(struct blocked *it)
{
    CHECK_IS(mq_send(it->queue, "m", 1, 0), 0);
}

static inline void let_receive(struct blocked *it)
{
    char text[8];
    CHECK(mq_receive(it->queue, text, sizeof text, NULL) > 0);
}

static inline void let_message(struct blocked *it)
{
    struct {
        long type;
        char text[4];
    } message = {1, "msg"};
    CHECK_IS(msgsnd(it->id, &message, 4, 0), 0);
}

static inline void let_semop(struct blocked *it)
{
    CHECK_IS(semop(it->id, &(struct sembuf){0, 1, 0}, 1), 0);
}

static inline void let_post(struct blocked *it)
{
    CHECK_IS(sem_post(&it->semaphore), 0);
}

static inline void let_broadcast(struct blocked *it)
{
    pthread_mutex_lock(&it->mutex);
    it->open = true;
    pthread_cond_broadcast(&it->cond);
    pthread_mutex_unlock(&it->mutex);
}

static inline void let_unlock(struct blocked *it)
{
    pthread_mutex_unlock(&it->mutex);
}

static inline void let_unlock_rwlock(struct blocked *it)
{
    pthread_rwlock_unlock(&it->rwlock);
}

static inline void let_arrive(struct blocked *it)
{
    pthread_barrier_wait(&it->barrier);
}

static inline void let_open(struct blocked *it)
{
    it->id = open(it->path, O_RDWR | O_NONBLOCK);
    CHECK(it->id >= 0);
}

static inline void let_unlock_file(struct blocked *it)
{
    CHECK_IS(flock(it->fd[1], LOCK_UN), 0);
    CHECK_IS(fcntl(it->fd[1], F_OFD_SETLK, &(struct flock){.l_type = F_UNLCK}), 0);
}

static inline void let_wake(struct blocked *it)
{
    it->word = 1;
    syscall(SYS_futex, &it->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static inline void blocked_unlock(void *mutex)
{
    pthread_mutex_unlock(mutex);
}

/* The calls. Those that answer with an error number make it errno. */
static inline long by_number(int error)
{
    errno = error;
    return error ? -1 : 0;
}

#define CALL(name, ...)                                      \
    static inline long name(struct blocked *it)              \
    {                                                        \
        (void)it;                                            \
        __VA_ARGS__;                                         \
    }

static char blocked_buffer[1 << 16];
#define BUFFER blocked_buffer
#define PART (&(struct iovec){BUFFER, 8})
#define BIG_PART (&(struct iovec){BUFFER, 8192})
#define MESSAGE(part) (&(struct msghdr){.msg_iov = part, .msg_iovlen = 1})

CALL(do_read, return read(it->fd[0], BUFFER, 8))
CALL(do_readv, return readv(it->fd[0], PART, 1))
CALL(do_write, return write(it->fd[1], BUFFER, 8192))
CALL(do_writev, return writev(it->fd[1], BIG_PART, 1))
CALL(do_recv, return recv(it->fd[0], BUFFER, 8, 0))
CALL(do_recvfrom, return recvfrom(it->fd[0], BUFFER, 8, 0, NULL, NULL))
CALL(do_recvmsg, return recvmsg(it->fd[0], MESSAGE(PART), 0))
CALL(do_recvmmsg, return recvmmsg(it->fd[0], &(struct mmsghdr){.msg_hdr = *MESSAGE(PART)}, 1, 0, NULL))
CALL(do_send, return send(it->fd[1], BUFFER, 8192, MSG_NOSIGNAL))
CALL(do_sendto, return sendto(it->fd[1], BUFFER, 8192, MSG_NOSIGNAL, NULL, 0))
CALL(do_sendmsg, return sendmsg(it->fd[1], MESSAGE(BIG_PART), MSG_NOSIGNAL))
CALL(do_sendmmsg, return sendmmsg(it->fd[1], &(struct mmsghdr){.msg_hdr = *MESSAGE(BIG_PART)}, 1, MSG_NOSIGNAL))
CALL(do_accept, return accept(it->fd[0], NULL, NULL) < 0 ? -1 : 0)
CALL(do_accept4, return accept4(it->fd[0], NULL, NULL, SOCK_CLOEXEC) < 0 ? -1 : 0)
CALL(do_splice, return splice(it->fd[0], NULL, it->id, NULL, 8, 0))
CALL(do_eventfd_read, eventfd_t value; return eventfd_read(it->fd[0], &value))
CALL(do_poll, return poll(&(struct pollfd){it->fd[0], POLLIN, 0}, 1, -1))
CALL(do_ppoll, return ppoll(&(struct pollfd){it->fd[0], POLLIN, 0}, 1, &blocked_long, NULL))
CALL(do_select, fd_set set; FD_ZERO(&set); FD_SET(it->fd[0], &set); return select(it->fd[0] + 1, &set, NULL, NULL, NULL))
CALL(do_pselect, fd_set set; FD_ZERO(&set); FD_SET(it->fd[0], &set);
     return pselect(it->fd[0] + 1, &set, NULL, NULL, &blocked_long, NULL))
CALL(do_epoll_wait, return epoll_wait(it->id, &(struct epoll_event){0}, 1, -1))
CALL(do_epoll_pwait, return epoll_pwait(it->id, &(struct epoll_event){0}, 1, -1, NULL))
CALL(do_epoll_pwait2, return epoll_pwait2(it->id, &(struct epoll_event){0}, 1, &blocked_long, NULL))
CALL(do_nanosleep, return nanosleep(&blocked_long, NULL))
CALL(do_clock_nanosleep, return by_number(clock_nanosleep(CLOCK_MONOTONIC, 0, &blocked_long, NULL)))
CALL(do_clock_nanosleep_until, struct timespec until = blocked_deadline(CLOCK_REALTIME);
     return by_number(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL)))
CALL(do_sleep, return sleep(BLOCKED_LATE) > 0 ? by_number(EINTR) : 0)
CALL(do_usleep, return usleep(4000000000u))
CALL(do_thrd_sleep, return thrd_sleep(&blocked_long, NULL) == -1 ? by_number(EINTR) : 0)
CALL(do_pause, return pause())
CALL(do_sigsuspend, sigset_t set; pthread_sigmask(SIG_SETMASK, NULL, &set); return sigsuspend(&set))
CALL(do_sigwait, sigset_t set; int number; sigemptyset(&set); sigaddset(&set, SIGUSR2); return by_number(sigwait(&set, &number)))
CALL(do_sigwaitinfo, sigset_t set; sigemptyset(&set); sigaddset(&set, SIGUSR2); return sigwaitinfo(&set, NULL) < 0 ? -1 : 0)
CALL(do_sigtimedwait, sigset_t set; sigemptyset(&set); sigaddset(&set, SIGUSR2);
     return sigtimedwait(&set, NULL, &blocked_long) < 0 ? -1 : 0)
CALL(do_sem_wait, return sem_wait(&it->semaphore))
CALL(do_sem_timedwait, struct timespec until = blocked_deadline(CLOCK_REALTIME); return sem_timedwait(&it->semaphore, &until))
CALL(do_sem_clockwait, struct timespec until = blocked_deadline(CLOCK_MONOTONIC);
     return sem_clockwait(&it->semaphore, CLOCK_MONOTONIC, &until))
CALL(do_cond_wait, pthread_mutex_lock(&it->mutex); pthread_cleanup_push(blocked_unlock, &it->mutex);
     while (!it->open)
         CHECK_IS(pthread_cond_wait(&it->cond, &it->mutex), 0);
     pthread_cleanup_pop(1); return 0)
CALL(do_cond_timedwait, struct timespec until = blocked_deadline(CLOCK_REALTIME); pthread_mutex_lock(&it->mutex);
     pthread_cleanup_push(blocked_unlock, &it->mutex);
     while (!it->open)
         CHECK_IS(pthread_cond_timedwait(&it->cond, &it->mutex, &until), 0);
     pthread_cleanup_pop(1); return 0)
CALL(do_cond_clockwait, struct timespec until = blocked_deadline(CLOCK_MONOTONIC); pthread_mutex_lock(&it->mutex);
     pthread_cleanup_push(blocked_unlock, &it->mutex);
     while (!it->open)
         CHECK_IS(pthread_cond_clockwait(&it->cond, &it->mutex, CLOCK_MONOTONIC, &until), 0);
     pthread_cleanup_pop(1); return 0)
CALL(do_mutex_lock, return by_number(pthread_mutex_lock(&it->mutex)))
CALL(do_mutex_timedlock, struct timespec until = blocked_deadline(CLOCK_REALTIME);
     return by_number(pthread_mutex_timedlock(&it->mutex, &until)))
CALL(do_rdlock, return by_number(pthread_rwlock_rdlock(&it->rwlock)))
CALL(do_wrlock, return by_number(pthread_rwlock_wrlock(&it->rwlock)))
CALL(do_barrier_wait, return pthread_barrier_wait(&it->barrier) > 0 ? 1 : 0)
CALL(do_join, return by_number(pthread_join(it->other, NULL)))
CALL(do_timedjoin, struct timespec until = blocked_deadline(CLOCK_REALTIME);
     return by_number(pthread_timedjoin_np(it->other, NULL, &until)))
CALL(do_waitpid, int status; return waitpid(it->child, &status, 0) < 0 ? -1 : WEXITSTATUS(status))
CALL(do_wait4, int status; return wait4(it->child, &status, 0, NULL) < 0 ? -1 : WEXITSTATUS(status))
CALL(do_waitid, siginfo_t info; return waitid(P_PID, it->child, &info, WEXITED) < 0 ? -1 : info.si_status)
CALL(do_open, return open(it->path, O_RDONLY) < 0 ? -1 : 0)
CALL(do_openat, return openat(AT_FDCWD, it->path, O_WRONLY) < 0 ? -1 : 0)
CALL(do_setlkw, return fcntl(it->fd[0], F_OFD_SETLKW, &(struct flock){.l_type = F_WRLCK}))
CALL(do_flock, return flock(it->fd[0], LOCK_EX))
CALL(do_msgrcv, char message[64]; return msgrcv(it->id, message, 16, 0, 0))
CALL(do_semop, return semop(it->id, &(struct sembuf){0, -1, 0}, 1))
CALL(do_semtimedop, return semtimedop(it->id, &(struct sembuf){0, -1, 0}, 1, &blocked_long))
CALL(do_mq_receive, return mq_receive(it->queue, BUFFER, 8, NULL))
CALL(do_mq_timedreceive, struct timespec until = blocked_deadline(CLOCK_REALTIME);
     return mq_timedreceive(it->queue, BUFFER, 8, NULL, &until))
CALL(do_mq_send, return mq_send(it->queue, "m", 1, 0))
CALL(do_mq_timedsend, struct timespec until = blocked_deadline(CLOCK_REALTIME); return mq_timedsend(it->queue, "m", 1, 0, &until))
CALL(do_futex, return syscall(SYS_futex, &it->word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0))
CALL(do_futex_timed, return syscall(SYS_futex, &it->word, FUTEX_WAIT_PRIVATE, 0, &blocked_long, NULL, 0))
CALL(do_syscall_read, return syscall(SYS_read, it->fd[0], BUFFER, 8))

#undef CALL

struct blocking_call {
    const char *name;
    void (*prepare)(struct blocked *);
    long (*call)(struct blocked *);
    /* NULL: nothing does but a signal. */
    void (*finish)(struct blocked *);
};

#define PLAIN(name, prepare, finish) {#name, prepare, do_##name, finish}

static const struct blocking_call blocking_calls[] = {
    PLAIN(read, with_pipe, let_write),
    PLAIN(readv, with_pipe, let_write),
    {"read (eventfd)", with_eventfd, do_read, let_write},
    {"read (socket)", with_pair, do_read, let_write},
    {"readv (socket)", with_pair, do_readv, let_write},
    {"read (timed socket)", with_timed_pair, do_read, let_write},
    {"write", with_full_pipe, do_write, let_drain},
    {"writev", with_full_pipe, do_writev, let_drain},
    {"write (socket)", with_full_pair, do_write, let_drain},
    PLAIN(recv, with_pair, let_write),
    {"recv (timed)", with_timed_pair, do_recv, let_write},
    PLAIN(recvfrom, with_pair, let_write),
    PLAIN(recvmsg, with_pair, let_write),
    {"recvmsg (timed)", with_timed_pair, do_recvmsg, let_write},
    PLAIN(recvmmsg, with_pair, let_write),
    PLAIN(send, with_full_pair, let_drain),
    PLAIN(sendto, with_full_pair, let_drain),
    PLAIN(sendmsg, with_full_pair, let_drain),
    PLAIN(sendmmsg, with_full_pair, let_drain),
    PLAIN(accept, with_listener, let_connect),
    PLAIN(accept4, with_listener, let_connect),
    PLAIN(splice, with_two_pipes, let_write),
    PLAIN(eventfd_read, with_eventfd, let_write),
    PLAIN(poll, with_pipe, let_write),
    PLAIN(ppoll, with_pipe, let_write),
    PLAIN(select, with_pipe, let_write),
    PLAIN(pselect, with_pipe, let_write),
    PLAIN(epoll_wait, with_epoll, let_write),
    PLAIN(epoll_pwait, with_epoll, let_write),
    PLAIN(epoll_pwait2, with_epoll, let_write),
    PLAIN(nanosleep, with_nothing, NULL),
    PLAIN(clock_nanosleep, with_nothing, NULL),
    PLAIN(clock_nanosleep_until, with_nothing, NULL),
    PLAIN(sleep, with_nothing, NULL),
    PLAIN(usleep, with_nothing, NULL),
    PLAIN(thrd_sleep, with_nothing, NULL),
    PLAIN(pause, with_nothing, NULL),
    PLAIN(sigsuspend, with_nothing, NULL),
    PLAIN(sigwait, with_nothing, NULL),
    PLAIN(sigwaitinfo, with_nothing, NULL),
    PLAIN(sigtimedwait, with_nothing, NULL),
    PLAIN(sem_wait, with_semaphore, let_post),
    PLAIN(sem_timedwait, with_semaphore, let_post),
    PLAIN(sem_clockwait, with_semaphore, let_post),
    PLAIN(cond_wait, with_free_mutex, let_broadcast),
    PLAIN(cond_timedwait, with_free_mutex, let_broadcast),
    PLAIN(cond_clockwait, with_free_mutex, let_broadcast),
    PLAIN(mutex_lock, with_mutex, let_unlock),
    PLAIN(mutex_timedlock, with_mutex, let_unlock),
    PLAIN(rdlock, with_rwlock, let_unlock_rwlock),
    PLAIN(wrlock, with_rwlock, let_unlock_rwlock),
    PLAIN(barrier_wait, with_barrier, let_arrive),
    PLAIN(join, with_thread, let_post),
    PLAIN(timedjoin, with_thread, let_post),
    PLAIN(waitpid, with_child, let_write),
    PLAIN(wait4, with_child, let_write),
    PLAIN(waitid, with_child, let_write),
    PLAIN(open, with_fifo, let_open),
    PLAIN(openat, with_fifo, let_open),
    PLAIN(setlkw, with_locked_file, let_unlock_file),
    PLAIN(flock, with_locked_file, let_unlock_file),
    PLAIN(msgrcv, with_messages, let_message),
    PLAIN(semop, with_semaphores, let_semop),
    PLAIN(semtimedop, with_semaphores, let_semop),
    PLAIN(mq_receive, with_queue, let_send),
    PLAIN(mq_timedreceive, with_queue, let_send),
    PLAIN(mq_send, with_full_queue, let_receive),
    PLAIN(mq_timedsend, with_full_queue, let_receive),
    PLAIN(futex, with_word, let_wake),
    PLAIN(futex_timed, with_word, let_wake),
    {"syscall (read)", with_pipe, do_syscall_read, let_write},
};

enum { BLOCKING_CALLS = sizeof blocking_calls / sizeof *blocking_calls };

/* Removes what outlives the process. */
static inline void blocked_remove(const struct blocking_call *call, struct blocked *it)
{
    if (call->prepare == with_messages)
        msgctl(it->id, IPC_RMID, NULL);
    if (call->prepare == with_semaphores)
        semctl(it->id, 0, IPC_RMID);
    if (it->path[0]) {
        unlink(it->path);
        *strrchr(it->path, '/') = 0;
        rmdir(it->path);
    }
}

#endif
