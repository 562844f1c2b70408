// The hook table: one row per symbol that greenpatch exports.
//
//     room { SCOPE FAILS CHECK WAITS symbol(arguments) -> result => handler; }
//
// room      the handler's family: door.rs names its files, `rooms`
// SCOPE     green: the handler serves green threads; every other caller gets the real call
//           early: as green, and the handler serves the program's only thread before the runtime starts
//           always: the handler sees every thread's calls once the library is loaded
//           child: as always, and the handler sees the calls of a child on its parent's memory (vfork, posix_spawn)
// FAILS     errno: -1 and errno;  code: the error number itself;  thrd: a C11 thrd_* code;  never: it cannot fail
// CHECK     typed: the arguments and result are compared with the libc crate's declaration of that name at compile time
//           bare: the libc crate declares no such function (or declares it variadic)
// WAITS     what the call may wait for, wherever it is made: ready (a descriptor, a queue, a peer), lock, time, child, disk, signal,
//           thread (its end); end: for nothing, and the program does not go on behind it; never: for nothing. `greenpatch audit` times
//           every row but the last two kinds
// handler   a function of the room: the same arguments, answering `Answer<result>`; aliases share one
//
// Symbols that one would look for and that need no row stand behind their room's rows, with the reason: `left out: symbols: why`.
// `vfork`, `__vfork` and `swapcontext` are exported beside the table, for they return twice, which only assembly may (src/arch/vfork.rs).
//
// Readers (src/rows.rs, real.rs, door.rs, the command, the tests) define their own `hooks!` and include this file.
hooks! {
    io {
        green errno typed ready read(fd: c_int, buf: *mut c_void, count: size_t) -> ssize_t => read;
        green errno bare ready __read(fd: c_int, buf: *mut c_void, count: size_t) -> ssize_t => read;
        green errno bare ready __read_chk(fd: c_int, buf: *mut c_void, count: size_t, room: size_t) -> ssize_t => read_chk;
        green errno typed ready readv(fd: c_int, iov: *const iovec, n: c_int) -> ssize_t => readv;
        green errno typed ready write(fd: c_int, buf: *const c_void, count: size_t) -> ssize_t => write;
        green errno bare ready __write(fd: c_int, buf: *const c_void, count: size_t) -> ssize_t => write;
        green errno typed ready writev(fd: c_int, iov: *const iovec, n: c_int) -> ssize_t => writev;
        green errno typed disk pread(fd: c_int, buf: *mut c_void, count: size_t, offset: off_t) -> ssize_t => pread;
        green errno typed disk pread64(fd: c_int, buf: *mut c_void, count: size_t, offset: off_t) -> ssize_t => pread;
        green errno bare disk __pread64(fd: c_int, buf: *mut c_void, count: size_t, offset: off_t) -> ssize_t => pread;
        green errno bare disk __pread_chk(fd: c_int, buf: *mut c_void, count: size_t, offset: off_t, room: size_t) -> ssize_t => pread_chk;
        green errno bare disk __pread64_chk(fd: c_int, buf: *mut c_void, count: size_t, offset: off_t, room: size_t)
            -> ssize_t => pread_chk;
        green errno typed disk pwrite(fd: c_int, buf: *const c_void, count: size_t, offset: off_t) -> ssize_t => pwrite;
        green errno typed disk pwrite64(fd: c_int, buf: *const c_void, count: size_t, offset: off_t) -> ssize_t => pwrite;
        green errno bare disk __pwrite64(fd: c_int, buf: *const c_void, count: size_t, offset: off_t) -> ssize_t => pwrite;
        green errno typed disk preadv(fd: c_int, iov: *const iovec, n: c_int, offset: off_t) -> ssize_t => preadv;
        green errno typed disk preadv64(fd: c_int, iov: *const iovec, n: c_int, offset: off_t) -> ssize_t => preadv;
        green errno typed ready preadv2(fd: c_int, iov: *const iovec, n: c_int, offset: off_t, flags: c_int) -> ssize_t => preadv2;
        green errno typed ready preadv64v2(fd: c_int, iov: *const iovec, n: c_int, offset: off_t, flags: c_int) -> ssize_t => preadv2;
        green errno typed disk pwritev(fd: c_int, iov: *const iovec, n: c_int, offset: off_t) -> ssize_t => pwritev;
        green errno typed disk pwritev64(fd: c_int, iov: *const iovec, n: c_int, offset: off_t) -> ssize_t => pwritev;
        green errno typed ready pwritev2(fd: c_int, iov: *const iovec, n: c_int, offset: off_t, flags: c_int) -> ssize_t => pwritev2;
        green errno typed ready pwritev64v2(fd: c_int, iov: *const iovec, n: c_int, offset: off_t, flags: c_int) -> ssize_t => pwritev2;
        green errno typed ready sendfile(to: c_int, from: c_int, offset: *mut off_t, count: size_t) -> ssize_t => sendfile;
        green errno typed ready sendfile64(to: c_int, from: c_int, offset: *mut off_t, count: size_t) -> ssize_t => sendfile;
        green errno typed ready splice(from: c_int, from_at: *mut off_t, to: c_int, to_at: *mut off_t, n: size_t, flags: c_uint)
            -> ssize_t => splice;
        green errno typed ready tee(from: c_int, to: c_int, n: size_t, flags: c_uint) -> ssize_t => tee;
        green errno typed ready vmsplice(fd: c_int, iov: *const iovec, n: size_t, flags: c_uint) -> ssize_t => vmsplice;
        green errno typed disk copy_file_range(from: c_int, from_at: *mut off_t, to: c_int, to_at: *mut off_t, n: size_t, flags: c_uint)
            -> ssize_t => copy_file_range;
        green errno typed ready eventfd_read(fd: c_int, value: *mut u64) -> c_int => eventfd_read;
        green errno typed ready eventfd_write(fd: c_int, value: u64) -> c_int => eventfd_write;
    }
    net {
        green errno typed ready recv(fd: c_int, buf: *mut c_void, len: size_t, flags: c_int) -> ssize_t => recv;
        green errno bare ready __recv_chk(fd: c_int, buf: *mut c_void, len: size_t, room: size_t, flags: c_int) -> ssize_t => recv_chk;
        green errno typed ready recvfrom(fd: c_int, buf: *mut c_void, len: size_t, flags: c_int, addr: *mut sockaddr,
            addr_len: *mut socklen_t)
            -> ssize_t => recvfrom;
        green errno bare ready __recvfrom_chk(fd: c_int, buf: *mut c_void, len: size_t, room: size_t, flags: c_int, addr: *mut sockaddr,
            addr_len: *mut socklen_t) -> ssize_t => recvfrom_chk;
        green errno typed ready recvmsg(fd: c_int, msg: *mut msghdr, flags: c_int) -> ssize_t => recvmsg;
        green errno typed ready recvmmsg(fd: c_int, msgs: *mut mmsghdr, n: c_uint, flags: c_int, timeout: *mut timespec)
            -> c_int => recvmmsg;
        green errno typed ready send(fd: c_int, buf: *const c_void, len: size_t, flags: c_int) -> ssize_t => send;
        green errno bare ready __send(fd: c_int, buf: *const c_void, len: size_t, flags: c_int) -> ssize_t => send;
        green errno typed ready sendto(fd: c_int, buf: *const c_void, len: size_t, flags: c_int, addr: *const sockaddr, addr_len: socklen_t)
            -> ssize_t => sendto;
        always errno typed ready sendmsg(fd: c_int, msg: *const msghdr, flags: c_int) -> ssize_t => sendmsg;
        always errno typed ready sendmmsg(fd: c_int, msgs: *mut mmsghdr, n: c_uint, flags: c_int) -> c_int => sendmmsg;
        green errno typed ready connect(fd: c_int, addr: *const sockaddr, len: socklen_t) -> c_int => connect;
        green errno bare ready __connect(fd: c_int, addr: *const sockaddr, len: socklen_t) -> c_int => connect;
        always errno typed ready accept(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> c_int => accept;
        always errno typed ready accept4(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t, flags: c_int) -> c_int => accept4;
        always errno typed ready shutdown(fd: c_int, how: c_int) -> c_int => shutdown;
    }
    poll {
        green errno typed ready poll(fds: *mut pollfd, n: nfds_t, timeout_ms: c_int) -> c_int => poll;
        green errno bare ready __poll(fds: *mut pollfd, n: nfds_t, timeout_ms: c_int) -> c_int => poll;
        green errno bare ready __poll_chk(fds: *mut pollfd, n: nfds_t, timeout_ms: c_int, room: size_t) -> c_int => poll_chk;
        green errno typed ready ppoll(fds: *mut pollfd, n: nfds_t, timeout: *const timespec, mask: *const sigset_t) -> c_int => ppoll;
        green errno bare ready __ppoll_chk(fds: *mut pollfd, n: nfds_t, timeout: *const timespec, mask: *const sigset_t, room: size_t)
            -> c_int => ppoll_chk;
        green errno typed ready select(n: c_int, r: *mut fd_set, w: *mut fd_set, x: *mut fd_set, timeout: *mut timeval) -> c_int => select;
        green errno bare ready __select(n: c_int, r: *mut fd_set, w: *mut fd_set, x: *mut fd_set, timeout: *mut timeval) -> c_int => select;
        green errno typed ready pselect(n: c_int, r: *mut fd_set, w: *mut fd_set, x: *mut fd_set, timeout: *const timespec,
            mask: *const sigset_t)
            -> c_int => pselect;
        green errno typed ready epoll_wait(fd: c_int, events: *mut epoll_event, n: c_int, timeout_ms: c_int) -> c_int => epoll_wait;
        green errno typed ready epoll_pwait(fd: c_int, events: *mut epoll_event, n: c_int, timeout_ms: c_int, mask: *const sigset_t)
            -> c_int => epoll_pwait;
        green errno bare ready epoll_pwait2(fd: c_int, events: *mut epoll_event, n: c_int, timeout: *const timespec, mask: *const sigset_t)
            -> c_int => epoll_pwait2;
    }
    fd {
        always errno typed ready close(fd: c_int) -> c_int => close;
        always errno bare ready __close(fd: c_int) -> c_int => close;
        always errno typed never close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int => close_range;
        always never bare never closefrom(first: c_int) -> () => closefrom;
        always errno typed ready dup2(from: c_int, to: c_int) -> c_int => dup2;
        always errno bare ready __dup2(from: c_int, to: c_int) -> c_int => dup2;
        always errno typed ready dup3(from: c_int, to: c_int, flags: c_int) -> c_int => dup3;
        always errno typed never dup(from: c_int) -> c_int => dup;
        always errno typed ready fclose(file: *mut FILE) -> c_int => fclose;
        always never typed ready freopen(path: *const c_char, mode: *const c_char, file: *mut FILE) -> *mut FILE => freopen;
        always never typed ready freopen64(path: *const c_char, mode: *const c_char, file: *mut FILE) -> *mut FILE => freopen64;
        always errno typed never socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int => socket;
        always errno typed never socketpair(domain: c_int, kind: c_int, protocol: c_int, fds: *mut c_int) -> c_int => socketpair;
        always errno typed never setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, len: socklen_t)
            -> c_int => setsockopt;
        always errno bare lock fcntl(fd: c_int, command: c_int, argument: usize) -> c_int => fcntl;
        always errno bare lock fcntl64(fd: c_int, command: c_int, argument: usize) -> c_int => fcntl;
        always errno bare lock __fcntl(fd: c_int, command: c_int, argument: usize) -> c_int => fcntl;
        always errno bare ready ioctl(fd: c_int, request: c_ulong, argument: usize) -> c_int => ioctl;
        always errno bare ready open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int => open;
        always errno bare ready open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int => open;
        always errno bare ready __open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int => open;
        always errno bare ready __open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int => open;
        always errno bare ready __open_2(path: *const c_char, flags: c_int) -> c_int => open_2;
        always errno bare ready __open64_2(path: *const c_char, flags: c_int) -> c_int => open_2;
        always errno bare ready openat(dir: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int => openat;
        always errno bare ready openat64(dir: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int => openat;
        always errno bare ready __openat_2(dir: c_int, path: *const c_char, flags: c_int) -> c_int => openat_2;
        always errno bare ready __openat64_2(dir: c_int, path: *const c_char, flags: c_int) -> c_int => openat_2;
        always errno typed ready creat(path: *const c_char, mode: mode_t) -> c_int => creat;
        always errno typed ready creat64(path: *const c_char, mode: mode_t) -> c_int => creat;
        green errno typed ready tcdrain(fd: c_int) -> c_int => tcdrain;
    }
    time {
        green never typed time sleep(seconds: c_uint) -> c_uint => sleep;
        green errno typed time usleep(microseconds: c_uint) -> c_int => usleep;
        green errno typed time nanosleep(time: *const timespec, left: *mut timespec) -> c_int => nanosleep;
        green errno bare time __nanosleep(time: *const timespec, left: *mut timespec) -> c_int => nanosleep;
        green code typed time clock_nanosleep(clock: clockid_t, flags: c_int, time: *const timespec, left: *mut timespec)
            -> c_int => clock_nanosleep;
        green errno typed signal pause() -> c_int => pause;
        green errno typed never sched_yield() -> c_int => sched_yield;
        green errno bare never __sched_yield() -> c_int => sched_yield;
        green code bare never pthread_yield() -> c_int => sched_yield;
        green never bare never thrd_yield() -> () => thrd_yield;
        green never bare time thrd_sleep(time: *const timespec, left: *mut timespec) -> c_int => thrd_sleep;
        // left out: alarm setitimer: the timer is the process's, and its signal meets the door of all handlers (runtime/signal/handler.rs)
    }
    timer {
        always errno bare never timer_create(clock: clockid_t, event: *mut sigevent, timer: *mut *mut c_void) -> c_int => timer_create;
        always errno bare never timer_delete(timer: *mut c_void) -> c_int => timer_delete;
        always errno bare never timer_settime(timer: *mut c_void, flags: c_int, new: *const itimerspec, old: *mut itimerspec)
            -> c_int => timer_settime;
        always errno bare never timer_gettime(timer: *mut c_void, now: *mut itimerspec) -> c_int => timer_gettime;
        // left out: timer_getoverrun: the timer that stands for one on a green thread's clock tells it
    }
    thread {
        always code typed never pthread_create(thread: *mut pthread_t, attr: *const pthread_attr_t,
            start: extern "C" fn(*mut c_void) -> *mut c_void, argument: *mut c_void) -> c_int => pthread_create;
        always code typed thread pthread_join(thread: pthread_t, result: *mut *mut c_void) -> c_int => pthread_join;
        always code bare never pthread_tryjoin_np(thread: pthread_t, result: *mut *mut c_void) -> c_int => pthread_tryjoin_np;
        always code bare thread pthread_timedjoin_np(thread: pthread_t, result: *mut *mut c_void, until: *const timespec)
            -> c_int => pthread_timedjoin_np;
        always code bare thread pthread_clockjoin_np(thread: pthread_t, result: *mut *mut c_void, clock: clockid_t, until: *const timespec)
            -> c_int => pthread_clockjoin_np;
        always code typed never pthread_detach(thread: pthread_t) -> c_int => pthread_detach;
        green never bare never pthread_exit(result: *mut c_void) -> () => pthread_exit;
        always code typed never pthread_cancel(thread: pthread_t) -> c_int => pthread_cancel;
        green never bare never pthread_testcancel() -> () => pthread_testcancel;
        green code bare never pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int => pthread_setcancelstate;
        green code bare never pthread_setcanceltype(kind: c_int, old: *mut c_int) -> c_int => pthread_setcanceltype;
        always code typed never pthread_getattr_np(thread: pthread_t, attr: *mut pthread_attr_t) -> c_int => pthread_getattr_np;
        always code typed never pthread_key_create(key: *mut pthread_key_t, destructor: Option<unsafe extern "C" fn(*mut c_void)>)
            -> c_int => pthread_key_create;
        always code bare never __pthread_key_create(key: *mut pthread_key_t, destructor: Option<unsafe extern "C" fn(*mut c_void)>)
            -> c_int => pthread_key_create;
        always code bare never pthread_setattr_default_np(attr: *const pthread_attr_t) -> c_int => pthread_setattr_default_np;
        always thrd bare never thrd_create(thread: *mut pthread_t, start: extern "C" fn(*mut c_void) -> c_int, argument: *mut c_void)
            -> c_int => thrd_create;
        always thrd bare thread thrd_join(thread: pthread_t, result: *mut c_int) -> c_int => thrd_join;
        always thrd bare never thrd_detach(thread: pthread_t) -> c_int => thrd_detach;
        green never bare never thrd_exit(result: c_int) -> () => thrd_exit;
        // left out: pthread_key_delete: a key's end is noted in glibc's own table, where the destructors are looked up
    }
    schedule {
        always code typed never pthread_setname_np(thread: pthread_t, name: *const c_char) -> c_int => pthread_setname_np;
        always code typed never pthread_getname_np(thread: pthread_t, name: *mut c_char, room: size_t) -> c_int => pthread_getname_np;
        always code typed never pthread_setaffinity_np(thread: pthread_t, size: size_t, set: *const cpu_set_t)
            -> c_int => pthread_setaffinity_np;
        always code typed never pthread_getaffinity_np(thread: pthread_t, size: size_t, set: *mut cpu_set_t)
            -> c_int => pthread_getaffinity_np;
        always errno typed never sched_setaffinity(tid: pid_t, size: size_t, set: *const cpu_set_t) -> c_int => sched_setaffinity;
        always errno typed never sched_getaffinity(tid: pid_t, size: size_t, set: *mut cpu_set_t) -> c_int => sched_getaffinity;
        always code typed never pthread_setschedparam(thread: pthread_t, policy: c_int, param: *const sched_param)
            -> c_int => pthread_setschedparam;
        always code typed never pthread_getschedparam(thread: pthread_t, policy: *mut c_int, param: *mut sched_param)
            -> c_int => pthread_getschedparam;
        always code bare never pthread_setschedprio(thread: pthread_t, priority: c_int) -> c_int => pthread_setschedprio;
        always errno typed never sched_setscheduler(tid: pid_t, policy: c_int, param: *const sched_param) -> c_int => sched_setscheduler;
        always errno typed never sched_getscheduler(tid: pid_t) -> c_int => sched_getscheduler;
        always errno typed never sched_setparam(tid: pid_t, param: *const sched_param) -> c_int => sched_setparam;
        always errno typed never sched_getparam(tid: pid_t, param: *mut sched_param) -> c_int => sched_getparam;
        always errno typed never sched_rr_get_interval(tid: pid_t, time: *mut timespec) -> c_int => sched_rr_get_interval;
        always errno bare never setpriority(which: c_uint, who: id_t, value: c_int) -> c_int => setpriority;
        always errno bare never getpriority(which: c_uint, who: id_t) -> c_int => getpriority;
        always code typed never pthread_getcpuclockid(thread: pthread_t, clock: *mut clockid_t) -> c_int => pthread_getcpuclockid;
        always errno typed never clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int => clock_gettime;
        green errno typed never nice(step: c_int) -> c_int => nice;
        green errno bare never getrusage(who: c_int, usage: *mut rusage) -> c_int => getrusage;
        always errno typed never clock_getres(clock: clockid_t, time: *mut timespec) -> c_int => clock_getres;
    }
    sync {
        early code typed lock pthread_mutex_lock(lock: *mut pthread_mutex_t) -> c_int => mutex_lock;
        early code bare lock __pthread_mutex_lock(lock: *mut pthread_mutex_t) -> c_int => mutex_lock;
        early code typed never pthread_mutex_trylock(lock: *mut pthread_mutex_t) -> c_int => mutex_trylock;
        early code bare never __pthread_mutex_trylock(lock: *mut pthread_mutex_t) -> c_int => mutex_trylock;
        early code typed lock pthread_mutex_timedlock(lock: *mut pthread_mutex_t, until: *const timespec) -> c_int => mutex_timedlock;
        early code bare lock pthread_mutex_clocklock(lock: *mut pthread_mutex_t, clock: clockid_t, until: *const timespec)
            -> c_int => mutex_clocklock;
        always code typed never pthread_mutex_unlock(lock: *mut pthread_mutex_t) -> c_int => mutex_unlock;
        always code bare never __pthread_mutex_unlock(lock: *mut pthread_mutex_t) -> c_int => mutex_unlock;
        green code typed never pthread_mutex_consistent(lock: *mut pthread_mutex_t) -> c_int => mutex_consistent;
        green code bare lock pthread_mutex_setprioceiling(lock: *mut pthread_mutex_t, ceiling: c_int, before: *mut c_int)
            -> c_int => mutex_setprioceiling;
        always code bare never pthread_cond_signal(cond: *mut pthread_cond_t) -> c_int => cond_signal;
        always code bare never pthread_cond_broadcast(cond: *mut pthread_cond_t) -> c_int => cond_broadcast;
        always code typed lock pthread_cond_wait(cond: *mut pthread_cond_t, lock: *mut pthread_mutex_t) -> c_int => cond_wait;
        always code typed lock pthread_cond_timedwait(cond: *mut pthread_cond_t, lock: *mut pthread_mutex_t, until: *const timespec)
            -> c_int => cond_timedwait;
        always code bare lock pthread_cond_clockwait(cond: *mut pthread_cond_t, lock: *mut pthread_mutex_t, clock: clockid_t,
            until: *const timespec) -> c_int => cond_clockwait;
        green code typed lock pthread_rwlock_rdlock(lock: *mut pthread_rwlock_t) -> c_int => rwlock_rdlock;
        green code bare lock __pthread_rwlock_rdlock(lock: *mut pthread_rwlock_t) -> c_int => rwlock_rdlock;
        green code bare lock pthread_rwlock_timedrdlock(lock: *mut pthread_rwlock_t, until: *const timespec) -> c_int => rwlock_timedrdlock;
        green code bare lock pthread_rwlock_clockrdlock(lock: *mut pthread_rwlock_t, clock: clockid_t, until: *const timespec)
            -> c_int => rwlock_clockrdlock;
        green code typed lock pthread_rwlock_wrlock(lock: *mut pthread_rwlock_t) -> c_int => rwlock_wrlock;
        green code bare lock __pthread_rwlock_wrlock(lock: *mut pthread_rwlock_t) -> c_int => rwlock_wrlock;
        green code bare lock pthread_rwlock_timedwrlock(lock: *mut pthread_rwlock_t, until: *const timespec) -> c_int => rwlock_timedwrlock;
        green code bare lock pthread_rwlock_clockwrlock(lock: *mut pthread_rwlock_t, clock: clockid_t, until: *const timespec)
            -> c_int => rwlock_clockwrlock;
        green code typed never pthread_rwlock_tryrdlock(lock: *mut pthread_rwlock_t) -> c_int => rwlock_tryrdlock;
        always code typed never pthread_rwlock_unlock(lock: *mut pthread_rwlock_t) -> c_int => rwlock_unlock;
        always code bare never __pthread_rwlock_unlock(lock: *mut pthread_rwlock_t) -> c_int => rwlock_unlock;
        always code typed lock pthread_barrier_wait(barrier: *mut pthread_barrier_t) -> c_int => barrier_wait;
        always code typed lock pthread_barrier_destroy(barrier: *mut pthread_barrier_t) -> c_int => barrier_destroy;
        green code typed lock pthread_spin_lock(lock: *mut pthread_spinlock_t) -> c_int => spin_lock;
        always code bare lock pthread_once(once: *mut c_int, initialise: extern "C" fn()) -> c_int => once;
        always code bare lock __pthread_once(once: *mut c_int, initialise: extern "C" fn()) -> c_int => once;
        always never bare lock call_once(once: *mut c_int, initialise: extern "C" fn()) -> () => call_once;
        green errno typed lock sem_wait(sem: *mut sem_t) -> c_int => sem_wait;
        green errno typed lock sem_timedwait(sem: *mut sem_t, until: *const timespec) -> c_int => sem_timedwait;
        green errno bare lock sem_clockwait(sem: *mut sem_t, clock: clockid_t, until: *const timespec) -> c_int => sem_clockwait;
        always errno typed never sem_post(sem: *mut sem_t) -> c_int => sem_post;
        green thrd bare lock mtx_lock(lock: *mut pthread_mutex_t) -> c_int => mutex_lock;
        green thrd bare lock mtx_timedlock(lock: *mut pthread_mutex_t, until: *const timespec) -> c_int => mutex_timedlock;
        green thrd bare never mtx_trylock(lock: *mut pthread_mutex_t) -> c_int => mutex_trylock;
        always thrd bare never mtx_unlock(lock: *mut pthread_mutex_t) -> c_int => mutex_unlock;
        always thrd bare lock cnd_wait(cond: *mut pthread_cond_t, lock: *mut pthread_mutex_t) -> c_int => cond_wait;
        always thrd bare lock cnd_timedwait(cond: *mut pthread_cond_t, lock: *mut pthread_mutex_t, until: *const timespec)
            -> c_int => cond_timedwait;
        always thrd bare never cnd_signal(cond: *mut pthread_cond_t) -> c_int => cond_signal;
        always thrd bare never cnd_broadcast(cond: *mut pthread_cond_t) -> c_int => cond_broadcast;
        // left out: pthread_mutex_init __pthread_mutex_init pthread_cond_init pthread_barrier_init: the object is glibc's and read as it is
        // left out: pthread_mutex_destroy __pthread_mutex_destroy: a thread that is parked for a mutex is not counted in it
        // left out: pthread_cond_destroy: a parked thread writes nothing into the object, so glibc finds no thread to wait for
        // left out: pthread_rwlock_trywrlock pthread_spin_trylock pthread_spin_unlock sem_trywait: they never wait
    }
    syscall {
        always errno bare ready syscall(number: c_long, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> c_long => syscall;
    }
    process {
        always errno typed never mlockall(flags: c_int) -> c_int => mlockall;
        always errno typed never fork() -> pid_t => fork;
        always errno bare never __fork() -> pid_t => fork;
        always errno bare never _Fork() -> pid_t => raw_fork;
        always errno bare never clone(function: Option<unsafe extern "C" fn(*mut c_void) -> c_int>, stack: *mut c_void, flags: c_int,
            argument: *mut c_void, parent_tid: *mut c_int, tls: *mut c_void, child_tid: *mut c_int) -> c_int => clone;
        always errno bare never __clone(function: Option<unsafe extern "C" fn(*mut c_void) -> c_int>, stack: *mut c_void, flags: c_int,
            argument: *mut c_void, parent_tid: *mut c_int, tls: *mut c_void, child_tid: *mut c_int) -> c_int => clone;
        green errno typed child pclose(file: *mut FILE) -> c_int => pclose;
        green errno typed never daemon(nochdir: c_int, noclose: c_int) -> c_int => daemon;
        always never bare end _exit(status: c_int) -> () => exit_now;
        always never bare end _Exit(status: c_int) -> () => exit_now;
        always never bare end quick_exit(status: c_int) -> () => quick_exit;
        green never typed never gettid() -> pid_t => gettid;
        always errno bare never prctl(option: c_int, a: usize, b: usize, c: usize, d: usize) -> c_int => prctl;
        always errno bare never pkey_alloc(flags: c_uint, rights: c_uint) -> c_int => pkey_alloc;
        // left out: exit: handlers run on the thread that calls it, and the library's finaliser writes the statistics
        always code typed never posix_spawn(pid: *mut pid_t, path: *const c_char, actions: *const posix_spawn_file_actions_t,
            attributes: *const posix_spawnattr_t, arguments: *const *mut c_char, environment: *const *mut c_char) -> c_int => posix_spawn;
        always code typed never posix_spawnp(pid: *mut pid_t, file: *const c_char, actions: *const posix_spawn_file_actions_t,
            attributes: *const posix_spawnattr_t, arguments: *const *mut c_char, environment: *const *mut c_char) -> c_int => posix_spawnp;
        // left out: popen: libc makes the child by posix_spawn
    }
    task {
        green errno typed never unshare(flags: c_int) -> c_int => unshare;
        green errno typed never setns(fd: c_int, kind: c_int) -> c_int => setns;
        green never typed never setfsuid(id: uid_t) -> c_int => setfsuid;
        green never typed never setfsgid(id: gid_t) -> c_int => setfsgid;
        green errno bare never capset(header: *mut c_void, sets: *const c_void) -> c_int => capset;
        green errno typed never personality(persona: c_ulong) -> c_int => personality;
        green errno bare never arch_prctl(code: c_int, address: usize) -> c_int => arch_prctl;
        green errno typed never iopl(level: c_int) -> c_int => iopl;
        green errno typed never ioperm(from: c_ulong, count: c_ulong, allow: c_int) -> c_int => ioperm;
        green errno bare never ptrace(request: c_uint, pid: pid_t, address: usize, data: usize) -> c_long => ptrace;
        child errno bare end execve(path: *const c_char, arguments: *const *const c_char, environment: *const *const c_char)
            -> c_int => execve;
        child errno bare end execv(path: *const c_char, arguments: *const *const c_char) -> c_int => execv;
        child errno bare end execvp(file: *const c_char, arguments: *const *const c_char) -> c_int => execvp;
        child errno bare end execvpe(file: *const c_char, arguments: *const *const c_char, environment: *const *const c_char)
            -> c_int => execvpe;
        child errno bare end fexecve(fd: c_int, arguments: *const *const c_char, environment: *const *const c_char) -> c_int => fexecve;
        child errno bare end execveat(dir: c_int, path: *const c_char, arguments: *const *const c_char, environment: *const *const c_char,
            flags: c_int) -> c_int => execveat;
        // left out: execl execlp execle: libc makes the call by execve
        // left out: chroot pivot_root modify_ldt: the whole process's
    }
    child {
        green errno typed child wait(status: *mut c_int) -> pid_t => wait;
        green errno bare child __wait(status: *mut c_int) -> pid_t => wait;
        green errno bare child wait3(status: *mut c_int, options: c_int, usage: *mut rusage) -> pid_t => wait3;
        green errno typed child wait4(pid: pid_t, status: *mut c_int, options: c_int, usage: *mut rusage) -> pid_t => wait4;
        green errno typed child waitpid(pid: pid_t, status: *mut c_int, options: c_int) -> pid_t => waitpid;
        green errno bare child __waitpid(pid: pid_t, status: *mut c_int, options: c_int) -> pid_t => waitpid;
        green errno typed child waitid(kind: idtype_t, id: id_t, info: *mut siginfo_t, options: c_int) -> c_int => waitid;
    }
    command {
        green errno typed child system(command: *const c_char) -> c_int => system;
    }
    file {
        green errno typed disk fsync(fd: c_int) -> c_int => fsync;
        green errno typed disk fdatasync(fd: c_int) -> c_int => fdatasync;
        green errno typed disk msync(address: *mut c_void, bytes: size_t, flags: c_int) -> c_int => msync;
        green errno typed disk sync_file_range(fd: c_int, offset: off64_t, bytes: off64_t, flags: c_uint) -> c_int => sync_file_range;
        green never typed disk sync() -> () => sync;
        green errno typed disk syncfs(fd: c_int) -> c_int => syncfs;
        green errno typed lock flock(fd: c_int, operation: c_int) -> c_int => flock;
        green errno typed lock lockf(fd: c_int, command: c_int, bytes: off_t) -> c_int => lockf;
        green errno bare lock lockf64(fd: c_int, command: c_int, bytes: off_t) -> c_int => lockf;
    }
    ipc {
        green errno typed ready mq_send(queue: mqd_t, message: *const c_char, bytes: size_t, priority: c_uint) -> c_int => mq_send;
        green errno typed ready mq_timedsend(queue: mqd_t, message: *const c_char, bytes: size_t, priority: c_uint, until: *const timespec)
            -> c_int => mq_timedsend;
        green errno typed ready mq_receive(queue: mqd_t, message: *mut c_char, bytes: size_t, priority: *mut c_uint)
            -> ssize_t => mq_receive;
        green errno typed ready mq_timedreceive(queue: mqd_t, message: *mut c_char, bytes: size_t, priority: *mut c_uint,
            until: *const timespec)
            -> ssize_t => mq_timedreceive;
        green errno typed never mq_notify(queue: mqd_t, event: *const sigevent) -> c_int => mq_notify;
        always errno typed never mq_close(queue: mqd_t) -> c_int => mq_close;
        green errno typed ready msgsnd(queue: c_int, message: *const c_void, bytes: size_t, flags: c_int) -> c_int => msgsnd;
        green errno typed ready msgrcv(queue: c_int, to: *mut c_void, bytes: size_t, kind: c_long, flags: c_int) -> ssize_t => msgrcv;
        green errno typed lock semop(set: c_int, operations: *mut sembuf, count: size_t) -> c_int => semop;
        green errno bare lock semtimedop(set: c_int, operations: *mut sembuf, count: size_t, time: *const timespec) -> c_int => semtimedop;
        green errno typed disk aio_suspend(list: *const *const aiocb, count: c_int, time: *const timespec) -> c_int => aio_suspend;
        green errno bare disk aio_suspend64(list: *const *const aiocb, count: c_int, time: *const timespec) -> c_int => aio_suspend;
        green errno typed disk lio_listio(mode: c_int, list: *const *mut aiocb, count: c_int, event: *mut sigevent) -> c_int => lio_listio;
        green errno bare disk lio_listio64(mode: c_int, list: *const *mut aiocb, count: c_int, event: *mut sigevent) -> c_int => lio_listio;
    }
    resolver {
        green never typed ready getaddrinfo(node: *const c_char, service: *const c_char, hints: *const addrinfo, found: *mut *mut addrinfo)
            -> c_int => getaddrinfo;
        green never typed ready getnameinfo(of: *const sockaddr, len: socklen_t, host: *mut c_char, host_len: socklen_t,
            service: *mut c_char,
            service_len: socklen_t, flags: c_int) -> c_int => getnameinfo;
        green never bare ready gethostbyname(name: *const c_char) -> *mut hostent => gethostbyname;
        green never bare ready gethostbyname2(name: *const c_char, family: c_int) -> *mut hostent => gethostbyname2;
        green never bare ready gethostbyaddr(address: *const c_void, len: socklen_t, family: c_int) -> *mut hostent => gethostbyaddr;
        green never bare ready gethostbyname_r(name: *const c_char, host: *mut hostent, room: *mut c_char, bytes: size_t,
            found: *mut *mut hostent, error: *mut c_int) -> c_int => gethostbyname_r;
        green never bare ready gethostbyname2_r(name: *const c_char, family: c_int, host: *mut hostent, room: *mut c_char, bytes: size_t,
            found: *mut *mut hostent, error: *mut c_int) -> c_int => gethostbyname2_r;
        green never bare ready gethostbyaddr_r(address: *const c_void, len: socklen_t, family: c_int, host: *mut hostent, room: *mut c_char,
            bytes: size_t, found: *mut *mut hostent, error: *mut c_int) -> c_int => gethostbyaddr_r;
        green never bare ready res_query(name: *const c_char, class: c_int, kind: c_int, reply: *mut c_uchar, bytes: c_int)
            -> c_int => res_query;
        green never bare ready res_search(name: *const c_char, class: c_int, kind: c_int, reply: *mut c_uchar, bytes: c_int)
            -> c_int => res_search;
        green never bare ready res_send(question: *const c_uchar, len: c_int, reply: *mut c_uchar, bytes: c_int) -> c_int => res_send;
        green never bare ready res_nquery(state: *mut c_void, name: *const c_char, class: c_int, kind: c_int, reply: *mut c_uchar,
            bytes: c_int) -> c_int => res_nquery;
        green never bare ready res_nsearch(state: *mut c_void, name: *const c_char, class: c_int, kind: c_int, reply: *mut c_uchar,
            bytes: c_int) -> c_int => res_nsearch;
        green never bare ready res_nsend(state: *mut c_void, question: *const c_uchar, len: c_int, reply: *mut c_uchar, bytes: c_int)
            -> c_int => res_nsend;
    }
    path {
        always errno typed never stat(path: *const c_char, into: *mut libc::stat) -> c_int => stat;
        always errno typed never stat64(path: *const c_char, into: *mut libc::stat64) -> c_int => stat64;
        always errno typed never lstat(path: *const c_char, into: *mut libc::stat) -> c_int => lstat;
        always errno typed never lstat64(path: *const c_char, into: *mut libc::stat64) -> c_int => lstat64;
        always errno typed never fstatat(dir: c_int, path: *const c_char, into: *mut libc::stat, flags: c_int) -> c_int => fstatat;
        always errno typed never fstatat64(dir: c_int, path: *const c_char, into: *mut libc::stat64, flags: c_int) -> c_int => fstatat64;
        always errno bare never __xstat(version: c_int, path: *const c_char, into: *mut c_void) -> c_int => xstat;
        always errno bare never __xstat64(version: c_int, path: *const c_char, into: *mut c_void) -> c_int => xstat;
        always errno bare never __lxstat(version: c_int, path: *const c_char, into: *mut c_void) -> c_int => lxstat;
        always errno bare never __lxstat64(version: c_int, path: *const c_char, into: *mut c_void) -> c_int => lxstat;
        always errno bare never __fxstatat(version: c_int, dir: c_int, path: *const c_char, into: *mut c_void, flags: c_int)
            -> c_int => fxstatat;
        always errno bare never __fxstatat64(version: c_int, dir: c_int, path: *const c_char, into: *mut c_void, flags: c_int)
            -> c_int => fxstatat;
        always errno typed never statx(dir: c_int, path: *const c_char, flags: c_int, options: c_uint, into: *mut libc::statx)
            -> c_int => statx;
        always errno typed never access(path: *const c_char, mode: c_int) -> c_int => access;
        always errno typed never faccessat(dir: c_int, path: *const c_char, mode: c_int, flags: c_int) -> c_int => faccessat;
        always errno typed never readlink(path: *const c_char, into: *mut c_char, size: size_t) -> ssize_t => readlink;
        always errno typed never readlinkat(dir: c_int, path: *const c_char, into: *mut c_char, size: size_t) -> ssize_t => readlinkat;
        always errno typed never opendir(path: *const c_char) -> *mut DIR => opendir;
        always errno typed never chdir(path: *const c_char) -> c_int => chdir;
    }
    task_list {
        always errno bare never getdents64(fd: c_int, to: *mut c_void, bytes: size_t) -> ssize_t => getdents64;
        // left out: readdir readdir64 scandir scandir64: what they call inside libc comes by getdents64's entry
    }
    tid {
        always errno typed never getpgid(pid: pid_t) -> pid_t => getpgid;
        always errno bare never __getpgid(pid: pid_t) -> pid_t => getpgid;
        always errno typed never getsid(pid: pid_t) -> pid_t => getsid;
        always errno typed never setpgid(pid: pid_t, group: pid_t) -> c_int => setpgid;
        always errno typed never prlimit(pid: pid_t, resource: c_uint, new: *const rlimit, old: *mut rlimit) -> c_int => prlimit;
        always errno typed never prlimit64(pid: pid_t, resource: c_uint, new: *const rlimit64, old: *mut rlimit64) -> c_int => prlimit64;
        always errno typed never process_vm_readv(pid: pid_t, own: *const iovec, own_count: c_ulong, its: *const iovec, its_count: c_ulong,
            flags: c_ulong) -> ssize_t => process_vm_readv;
        always errno typed never process_vm_writev(pid: pid_t, own: *const iovec, own_count: c_ulong, its: *const iovec, its_count: c_ulong,
            flags: c_ulong) -> ssize_t => process_vm_writev;
        always errno bare never capget(header: *mut c_void, sets: *mut c_void) -> c_int => capget;
        always errno bare never pidfd_open(pid: pid_t, flags: c_uint) -> c_int => pidfd_open;
    }
    modules {
        always never typed never dl_iterate_phdr(visit: Option<unsafe extern "C" fn(*mut dl_phdr_info, size_t, *mut c_void) -> c_int>,
            data: *mut c_void) -> c_int => dl_iterate_phdr;
    }
    identity {
        always errno typed never setuid(user: uid_t) -> c_int => setuid;
        always errno typed never setgid(group: gid_t) -> c_int => setgid;
        always errno typed never seteuid(user: uid_t) -> c_int => seteuid;
        always errno typed never setegid(group: gid_t) -> c_int => setegid;
        always errno typed never setreuid(user: uid_t, effective: uid_t) -> c_int => setreuid;
        always errno typed never setregid(group: gid_t, effective: gid_t) -> c_int => setregid;
        always errno typed never setresuid(user: uid_t, effective: uid_t, saved: uid_t) -> c_int => setresuid;
        always errno typed never setresgid(group: gid_t, effective: gid_t, saved: gid_t) -> c_int => setresgid;
        always errno typed never setgroups(count: size_t, groups: *const gid_t) -> c_int => setgroups;
        always errno typed never initgroups(user: *const c_char, group: gid_t) -> c_int => initgroups;
    }
    signal {
        green errno typed never sigprocmask(how: c_int, set: *const sigset_t, old: *mut sigset_t) -> c_int => sigprocmask;
        green code typed never pthread_sigmask(how: c_int, set: *const sigset_t, old: *mut sigset_t) -> c_int => sigprocmask;
        green errno typed never sigpending(set: *mut sigset_t) -> c_int => sigpending;
        always errno typed never signalfd(fd: c_int, set: *const sigset_t, flags: c_int) -> c_int => signalfd;
        always errno typed never sigaction(signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int => sigaction;
        always errno bare never __sigaction(signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int => sigaction;
        always errno typed never signal(number: c_int, handler: usize) -> usize => signal;
        always errno bare never bsd_signal(number: c_int, handler: usize) -> usize => signal;
        always errno bare never ssignal(number: c_int, handler: usize) -> usize => signal;
        always errno bare never sysv_signal(number: c_int, handler: usize) -> usize => sysv_signal;
        always errno bare never __sysv_signal(number: c_int, handler: usize) -> usize => sysv_signal;
        always errno bare never siginterrupt(number: c_int, interrupts: c_int) -> c_int => siginterrupt;
        green errno bare never sighold(number: c_int) -> c_int => sighold;
        green errno bare never sigrelse(number: c_int) -> c_int => sigrelse;
        green errno bare never sigignore(number: c_int) -> c_int => sigignore;
        green errno bare never sigset(number: c_int, handler: usize) -> usize => sigset;
        green errno bare never sigblock(mask: c_int) -> c_int => sigblock;
        green errno bare never sigsetmask(mask: c_int) -> c_int => sigsetmask;
        green errno typed never sigaltstack(new: *const stack_t, old: *mut stack_t) -> c_int => sigaltstack;
        always code typed never pthread_kill(thread: pthread_t, signal: c_int) -> c_int => pthread_kill;
        always code bare never pthread_sigqueue(thread: pthread_t, signal: c_int, value: usize) -> c_int => pthread_sigqueue;
        always errno bare never tgkill(pid: pid_t, tid: pid_t, signal: c_int) -> c_int => tgkill;
        always errno typed never kill(pid: pid_t, signal: c_int) -> c_int => kill;
        always errno bare never sigqueue(pid: pid_t, signal: c_int, value: usize) -> c_int => sigqueue;
        green errno typed never raise(signal: c_int) -> c_int => raise;
        green never bare never siglongjmp(to: *const c_void, value: c_int) -> () => jump;
        green never bare never longjmp(to: *const c_void, value: c_int) -> () => jump;
        green never bare never _longjmp(to: *const c_void, value: c_int) -> () => jump;
        green never bare never __longjmp_chk(to: *const c_void, value: c_int) -> () => jump;
        green errno typed never setcontext(to: *const ucontext_t) -> c_int => setcontext;
        green errno typed signal sigsuspend(mask: *const sigset_t) -> c_int => sigsuspend;
        green errno bare signal __sigsuspend(mask: *const sigset_t) -> c_int => sigsuspend;
        green errno bare signal sigpause(mask: c_int) -> c_int => sigpause;
        green errno bare signal __xpg_sigpause(number: c_int) -> c_int => xpg_sigpause;
        green code typed signal sigwait(set: *const sigset_t, signal: *mut c_int) -> c_int => sigwait;
        green errno typed signal sigwaitinfo(set: *const sigset_t, info: *mut siginfo_t) -> c_int => sigwaitinfo;
        green errno typed signal sigtimedwait(set: *const sigset_t, info: *mut siginfo_t, timeout: *const timespec)
            -> c_int => sigtimedwait;
    }
}
