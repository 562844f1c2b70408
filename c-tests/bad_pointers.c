/* Calls given a pointer to nothing, to a page that may not be touched, and to the last bytes of one that may, answer as libc and the kernel
 * do, whether they would have to wait or not: with the same error, the same result, or the same signal.
 * covers: nanosleep clock_nanosleep ppoll pselect select epoll_pwait2 epoll_wait poll sigtimedwait sigwaitinfo sigwait sem_timedwait
 *   sem_clockwait pthread_mutex_timedlock pthread_mutex_clocklock pthread_cond_timedwait pthread_rwlock_timedrdlock
 *   pthread_rwlock_timedwrlock pthread_timedjoin_np mq_timedreceive mq_timedsend semtimedop semop msgsnd msgrcv recvmmsg recvmsg sendmsg
 *   accept recvfrom waitpid wait4 waitid readv writev sendfile splice copy_file_range open connect fcntl sigaction sigprocmask sigaltstack
 *   sigpending sigsuspend timer_settime timer_gettime setitimer prctl sched_getaffinity sched_setaffinity pthread_join syscall
 * uncounted: nanosleep clock_nanosleep ppoll pselect select epoll_pwait2 epoll_wait poll sigtimedwait sigwaitinfo sigwait sem_timedwait
 *   sem_clockwait pthread_mutex_timedlock pthread_mutex_clocklock pthread_cond_timedwait pthread_rwlock_timedrdlock
 *   pthread_rwlock_timedwrlock pthread_timedjoin_np mq_timedreceive mq_timedsend semtimedop semop msgsnd msgrcv recvmmsg recvmsg sendmsg
 *   accept recvfrom wait4 waitid readv writev sendfile splice copy_file_range open connect fcntl sigaction sigprocmask sigaltstack
 *   sigpending sigsuspend timer_settime timer_gettime setitimer prctl sched_getaffinity sched_setaffinity pthread_join syscall
 * proof: green_threads>=1 parks>=70 hooks.waitpid>=100
 * cflags: -lrt
 */
#include "bad.h"
#include "sockets.h"
#include <mqueue.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <linux/futex.h>

static const struct timespec at_once = {0, 0}, short_time = {0, 1000000};
static int file, ready[2], silent[2], epoll_ready, epoll_silent;
static sigset_t one_signal;

static void set_up(void)
{
    char name[] = "/tmp/greenpatch-bad-pointers-XXXXXX";
    struct epoll_event event = {.events = EPOLLIN};
    CHECK((file = mkstemp(name)) >= 0);
    unlink(name);
    CHECK_IS(write(file, "0123456789", 10), 10);
    CHECK_IS(lseek(file, 0, SEEK_SET), 0);
    unix_pair(SOCK_STREAM, ready);
    unix_pair(SOCK_STREAM, silent);
    CHECK((epoll_ready = epoll_create1(0)) >= 0 && (epoll_silent = epoll_create1(0)) >= 0);
    transmit(ready[1], "ready");
    CHECK_IS(epoll_ctl(epoll_ready, EPOLL_CTL_ADD, ready[0], &event), 0);
    sigemptyset(&one_signal);
    sigaddset(&one_signal, SIGUSR1);
    CHECK_IS(pthread_sigmask(SIG_BLOCK, &one_signal, NULL), 0);
}

static int by_error(int error)
{
    errno = error;
    return error ? -1 : 0;
}

static fd_set *set_of(int fd)
{
    static fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    return &set;
}

static uint32_t word;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t *semaphore(int value)
{
    static sem_t semaphore;
    sem_init(&semaphore, 0, value);
    return &semaphore;
}

static pthread_mutex_t *locked_mutex(void)
{
    CHECK_IS(pthread_mutex_lock(&mutex), 0);
    return &mutex;
}

static pthread_rwlock_t *locked_rwlock(void)
{
    CHECK_IS(pthread_rwlock_wrlock(&rwlock), 0);
    return &rwlock;
}

static void *ends(void *argument)
{
    return argument;
}

static void *naps(void *argument)
{
    nap(5);
    return argument;
}

static mqd_t queue(int messages)
{
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 8};
    char name[64];
    make_name(name);
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
    CHECK(queue >= 0);
    mq_unlink(name);
    while (messages--)
        CHECK_IS(mq_send(queue, "message", 8, 0), 0);
    return queue;
}

static int id; /* of semaphores or of a message queue, until `removed` */

static long removed(long result)
{
    int error = errno;
    semctl(id, 0, IPC_RMID);
    msgctl(id, IPC_RMID, NULL);
    errno = error;
    return result;
}

static void semaphores(int value)
{
    id = semget(IPC_PRIVATE, 1, 0600);
    CHECK(id >= 0 && semctl(id, 0, SETVAL, value) == 0);
}

static void message_queue(void)
{
    struct { long kind; char text[8]; } message = {1, "message"};
    id = msgget(IPC_PRIVATE, 0600);
    CHECK(id >= 0 && msgsnd(id, &message, 8, 0) == 0);
}

static struct sembuf *take(void)
{
    static struct sembuf take = {0, -1, 0};
    return &take;
}

static int listening(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0), other = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(fd, (void *)&address, length) == 0 && listen(fd, 5) == 0 && getsockname(fd, (void *)&address, &length) == 0);
    CHECK(connect(other, (void *)&address, length) == 0);
    return fd;
}

static int pipe_end(void)
{
    int ends[2];
    CHECK_IS(pipe(ends), 0);
    return ends[1];
}

static pid_t ended(void)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        _exit(7);
    return child;
}

static void put_signal(void)
{
    raise(SIGUSR1);
}

static timer_t timer(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    timer_t timer;
    CHECK_IS(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    return timer;
}

static void begin_alarm(int signal)
{
    (void)signal;
}

/* A handler ends the wait after a moment. */
static void interrupt_soon(void)
{
    struct sigaction action = {.sa_handler = begin_alarm};
    struct itimerval moment = {.it_interval = {0, 5000}, .it_value = {0, 5000}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &moment, NULL);
}

#define CELL (&(struct iovec){"0123", 4})
#define IO_CELL (&(struct iovec){(char[8]){0}, 4})
#define CALLS(X)                                                                                                        \
    X(nanosleep, nanosleep(p, NULL))                                                                                    \
    X(nanosleep_left, nanosleep(&short_time, p))                                                                        \
    X(nanosleep_left_interrupted, (interrupt_soon(), nanosleep(&(struct timespec){9, 0}, p)))                           \
    X(clock_nanosleep, by_error(clock_nanosleep(CLOCK_MONOTONIC, 0, p, NULL)))                                          \
    X(clock_nanosleep_absolute, by_error(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, p, NULL)))                      \
    X(poll, poll(p, 1, 1))                                                                                              \
    X(ppoll, ppoll(&(struct pollfd){silent[0], POLLIN, 0}, 1, p ? p : &short_time, NULL))                               \
    X(ppoll_ready, ppoll(&(struct pollfd){ready[0], POLLIN, 0}, 1, p, NULL))                                            \
    X(ppoll_mask, ppoll(&(struct pollfd){silent[0], POLLIN, 0}, 1, &short_time, p))                                     \
    X(select_set, select(silent[0] + 1, p, NULL, NULL, &(struct timeval){0, 1000}))                                     \
    X(select_time, select(ready[0] + 1, set_of(ready[0]), NULL, NULL, p))                                               \
    X(select_time_silent, select(silent[0] + 1, set_of(silent[0]), NULL, NULL, p ? p : &(struct timeval){0, 1000}))     \
    X(pselect_time, pselect(ready[0] + 1, set_of(ready[0]), NULL, NULL, p, NULL))                                       \
    X(pselect_mask, pselect(silent[0] + 1, set_of(silent[0]), NULL, NULL, &short_time, p))                              \
    X(epoll_wait, epoll_wait(epoll_ready, p, 1, -1))                                                                    \
    X(epoll_wait_silent, epoll_wait(epoll_silent, p, 1, 1))                                                             \
    X(epoll_pwait2, epoll_pwait2(epoll_ready, &(struct epoll_event){0}, 1, p, NULL))                                    \
    X(epoll_pwait2_silent, epoll_pwait2(epoll_silent, &(struct epoll_event){0}, 1, p ? p : &short_time, NULL))          \
    X(epoll_pwait2_mask, epoll_pwait2(epoll_silent, &(struct epoll_event){0}, 1, &short_time, p))                       \
    X(sigtimedwait_set, sigtimedwait(p, NULL, &short_time))                                                             \
    X(sigtimedwait_info, (put_signal(), sigtimedwait(&one_signal, p, &short_time)))                                     \
    X(sigtimedwait_info_none, sigtimedwait(&one_signal, p, &short_time))                                                \
    X(sigtimedwait_time, (put_signal(), sigtimedwait(&one_signal, NULL, p)))                                            \
    X(sigtimedwait_time_none, sigtimedwait(&one_signal, NULL, p ? p : &short_time))                                     \
    X(sigwaitinfo, (put_signal(), sigwaitinfo(&one_signal, p)))                                                         \
    X(sigwait_set, (put_signal(), by_error(sigwait(p, &(int){0}))))                                                     \
    X(sem_timedwait, sem_timedwait(semaphore(1), p))                                                                    \
    X(sem_timedwait_empty, sem_timedwait(semaphore(0), p))                                                              \
    X(sem_clockwait_empty, sem_clockwait(semaphore(0), CLOCK_MONOTONIC, p))                                             \
    X(mutex_timedlock, by_error(pthread_mutex_timedlock(&mutex, p)))                                                    \
    X(mutex_timedlock_held, by_error(pthread_mutex_timedlock(locked_mutex(), p ? p : &at_once)))                                       \
    X(mutex_clocklock_held, by_error(pthread_mutex_clocklock(locked_mutex(), CLOCK_MONOTONIC, p ? p : &at_once)))                      \
    X(cond_timedwait, by_error(pthread_cond_timedwait(&cond, locked_mutex(), p)))                                       \
    X(rwlock_timedrdlock, by_error(pthread_rwlock_timedrdlock(&rwlock, p)))                                             \
    X(rwlock_timedwrlock, by_error(pthread_rwlock_timedwrlock(&rwlock, p)))                                             \
    X(rwlock_timedrdlock_held, by_error(pthread_rwlock_timedrdlock(locked_rwlock(), p)))                                \
    X(timedjoin, by_error(pthread_timedjoin_np(spawn(naps, NULL), NULL, p)))                                            \
    X(join_result, by_error(pthread_join(spawn(ends, NULL), p)))                                                        \
    X(mq_timedreceive, mq_timedreceive(queue(1), (char[8]){0}, 8, NULL, p))                                             \
    X(mq_timedreceive_buffer, mq_timedreceive(queue(1), p, 8, NULL, &at_once))                                          \
    X(mq_timedreceive_priority, mq_timedreceive(queue(1), (char[8]){0}, 8, p, &at_once))                                \
    X(mq_timedreceive_empty, mq_timedreceive(queue(0), (char[8]){0}, 8, NULL, p ? p : &at_once))                        \
    X(mq_timedsend, mq_timedsend(queue(0), "x", 1, 0, p))                                                               \
    X(mq_timedsend_buffer, mq_timedsend(queue(0), p, 8, 0, &at_once))                                                   \
    X(mq_timedsend_full, mq_timedsend(queue(1), "x", 1, 0, p ? p : &at_once))                                           \
    X(semtimedop, (semaphores(1), removed(semtimedop(id, take(), 1, p))))                                 \
    X(semtimedop_none, (semaphores(0), removed(semtimedop(id, take(), 1, p ? p : &short_time))))          \
    X(semop_operations, (semaphores(1), removed(semop(id, p, 1))))                                        \
    X(msgsnd, (message_queue(), removed(msgsnd(id, p, 8, 0))))                                         \
    X(msgrcv, (message_queue(), removed(msgrcv(id, p, 8, 0, 0))))                                      \
    X(recvmmsg_time, recvmmsg(ready[0], &(struct mmsghdr){{.msg_iov = IO_CELL, .msg_iovlen = 1}, 0}, 1, 0, p))          \
    X(recvmsg_cells, recvmsg(ready[0], &(struct msghdr){.msg_iov = p, .msg_iovlen = 1}, 0))                             \
    X(recvmsg_cells_silent, recvmsg(silent[0], &(struct msghdr){.msg_iov = p, .msg_iovlen = 1}, MSG_DONTWAIT))          \
    X(recvmsg_name, recvmsg(ready[0], &(struct msghdr){p, 16, IO_CELL, 1, NULL, 0, 0}, 0))                              \
    X(recvmsg_control, recvmsg(ready[0], &(struct msghdr){NULL, 0, IO_CELL, 1, p, 64, 0}, 0))                           \
    X(sendmsg_cells, sendmsg(ready[0], &(struct msghdr){.msg_iov = p, .msg_iovlen = 1}, 0))                             \
    X(sendmsg_control, sendmsg(ready[0], &(struct msghdr){NULL, 0, CELL, 1, p, 64, 0}, 0))                              \
    X(accept_address, accept(listening(), p, &(socklen_t){16}) < 0 ? -1 : 0)                                            \
    X(accept_length, accept(listening(), (void *)(char[16]){0}, p) < 0 ? -1 : 0)                                        \
    X(recvfrom_address, recvfrom(ready[0], (char[8]){0}, 4, 0, p, &(socklen_t){16}))                                    \
    X(recvfrom_length, recvfrom(ready[0], (char[8]){0}, 4, 0, (void *)(char[16]){0}, p))                                \
    X(connect, connect(ready[0], p, 16))                                                                                \
    X(waitpid_status, waitpid(ended(), p, 0) < 0 ? -1 : 0)                                                              \
    X(waitpid_status_none, waitpid(-1, p, 0))                                                                           \
    X(wait4_usage, wait4(ended(), NULL, 0, p) < 0 ? -1 : 0)                                                             \
    X(waitid_info, waitid(P_PID, ended(), p, WEXITED))                                                                  \
    X(waitid_info_none, waitid(P_ALL, 0, p, WEXITED))                                                                   \
    X(readv, readv(ready[0], p, 1))                                                                                     \
    X(readv_silent, readv(silent[0], p, none))                                                                          \
    X(writev, writev(ready[0], p, 1))                                                                                   \
    X(sendfile_offset, sendfile(ready[0], file, p, 4))                                                                  \
    X(splice_offset, splice(file, p, pipe_end(), NULL, 4, 0))                   \
    X(copy_file_range_offset, copy_file_range(file, p, file, &(off64_t){20}, 4, 0))                                     \
    X(open, open(p, O_RDONLY))                                                                                          \
    X(lock, fcntl(file, F_SETLKW, p))                                                                                   \
    X(lock_asked, fcntl(file, F_GETLK, p))                                                                              \
    X(owner, fcntl(ready[0], F_SETOWN_EX, p))                                                                           \
    X(sigaction, sigaction(SIGUSR2, p, NULL))                                                                           \
    X(sigaction_old, sigaction(SIGUSR2, NULL, p))                                                                       \
    X(sigprocmask, sigprocmask(SIG_BLOCK, p, NULL))                                                                     \
    X(sigprocmask_old, sigprocmask(SIG_BLOCK, &one_signal, p))                                                          \
    X(sigaltstack, sigaltstack(p, NULL))                                                                                \
    X(sigaltstack_old, sigaltstack(NULL, p))                                                                            \
    X(sigpending, sigpending(p))                                                                                        \
    X(sigsuspend, (interrupt_soon(), sigsuspend(p ? p : &one_signal)))                                                  \
    X(timer_settime, timer_settime(timer(), 0, p, NULL))                                                                \
    X(timer_settime_old, timer_settime(timer(), 0, &(struct itimerspec){0}, p))                                         \
    X(timer_gettime, timer_gettime(timer(), p))                                                                         \
    X(setitimer, setitimer(ITIMER_REAL, p, NULL))                                                                       \
    X(setitimer_old, setitimer(ITIMER_VIRTUAL, &(struct itimerval){0}, p))                                              \
    X(name, prctl(PR_SET_NAME, p))                                                                                      \
    X(name_asked, prctl(PR_GET_NAME, p))                                                                                \
    X(getaffinity, sched_getaffinity(0, 128, p))                                                                        \
    X(setaffinity, sched_setaffinity(0, 128, p))                                                                        \
    X(futex_time, syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, p ? p : &short_time))                                \
    X(futex_time_other, syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, p))                                            \
    X(futex_word, syscall(SYS_futex, p, FUTEX_WAIT_PRIVATE, 0, &short_time))                                            \
    X(futex_wake, syscall(SYS_futex, p, FUTEX_WAKE_PRIVATE, 1))                                                         \
    X(call_nanosleep, syscall(SYS_nanosleep, p, NULL))                                                                  \
    X(call_ppoll, syscall(SYS_ppoll, p, 1, &short_time, NULL, 8))                                                       \
    X(call_pselect, syscall(SYS_pselect6, ready[0] + 1, set_of(ready[0]), NULL, NULL, NULL, p))                         \
    X(call_sigtimedwait, syscall(SYS_rt_sigtimedwait, p, NULL, &short_time, 8))                                         \
    X(call_sigprocmask, syscall(SYS_rt_sigprocmask, SIG_BLOCK, p, NULL, 8))                                             \
    X(call_sigaction, syscall(SYS_rt_sigaction, SIGUSR2, p, NULL, 8))                                                   \
    X(call_waitid, syscall(SYS_waitid, P_PID, ended(), p, WEXITED, NULL))                                               \
    X(call_clock_gettime, syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, p))

#define FUNCTION(name, expression)                        \
    static long call_##name(void *p)                      \
    {                                                     \
        return expression;                                \
    }
CALLS(FUNCTION)

#define ROW(name, expression) {#name, call_##name},
static const struct { const char *name; long (*call)(void *p); } calls[] = {CALLS(ROW)};

static struct { long value; int error; } *told;

/* In a child of its own, which a signal may end. */
static void answer_of(const char *name, long (*call)(void *), void *pointer)
{
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(10);
        set_up();
        errno = 0;
        long value = call(pointer);
        told->error = errno;
        told->value = value;
        _exit(0);
    }
    CHECK_IS(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        answers_end();
        say("  %s: signal %d", name, WTERMSIG(status));
        return;
    }
    CHECK_IS(WEXITSTATUS(status), 0);
    answers_add(name, told->value, told->error);
}

static void *all(void *unused)
{
    struct { const char *name; void *pointer; } pointers[] = {
        {"nothing", null}, {"a page that may not be touched", unmapped()}, {"the last four bytes", unmapped() - 4},
    };
    for (int i = 0; i < 3; i++) {
        say("%s:", pointers[i].name);
        for (size_t k = 0; k < sizeof calls / sizeof *calls; k++)
            answer_of(calls[k].name, calls[k].call, pointers[i].pointer);
        answers_end();
    }
    return unused;
}

int main(void)
{
    CHECK((told = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED);
    join(spawn(all, NULL));
    return 0;
}
