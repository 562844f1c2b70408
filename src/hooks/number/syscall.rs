//! The function `syscall`: a number whose libc function is hooked goes the way of that function.
//!
//! The way is the exported function itself: it counts, decides whom it serves, and sets errno, so a row here is a number, a name and the
//! arguments in the function's types. Where the system call and libc's function differ (a size for the signal mask, a negated error, a
//! structure around the mask) the row says how. Numbers that block and have no hooked function are made with the slot offered; all the
//! others are the kernel's, as natively.
//!
//! The system call instructions that are trapped (runtime/trap/inline.rs) go the same way, from `called_inline` on. They are not libc's
//! functions, though: they set no errno, and are no cancellation points.
//!
//! The lists, in the order in which they are asked; a number has a row in one of them only:
//!
//! | list | serves | errors |
//! |---|---|---|
//! | AT_ONCE | any thread, before the start, too | an answer of its own |
//! | (fork, vfork, clone, clone3) | any thread after the start | an answer of its own |
//! | SAME | whom the exported function serves | -1 and errno, by the function |
//! | `by_tid::NUMBERS` | any thread after the start | an answer of its own |
//! | OTHERWISE, `task::NUMBERS` | green threads; a few of `task` bind the only thread before the start | as the row says |
//! | BLOCKING | green threads, in the kernel with the slot offered | libc's |

use crate::arch::inline::{called_inline, Call};
use crate::hooks::answer::{code, errno, Answer, Arguments, Miss};
use crate::hooks::io::poll;
use crate::hooks::memory::{self, MASK_BYTES};
use crate::hooks::number::by_tid;
use crate::hooks::process::{fork, task};
use crate::hooks::real;
use crate::hooks::signal::action;
use crate::hooks::sync::futex;
use crate::hooks::sync::word::Futex;
use crate::{glibc, runtime, statistics, sys};
use libc::{c_int, c_long, sigset_t, timespec, timeval};
use std::sync::atomic::Ordering::Relaxed;

/// `syscall`: sends the number the way of its libc function, and else to the kernel. Called by any thread, before the start, too, and
/// by `answered` for a trapped instruction. The caller's result is libc's: -1 and errno. No cancellation point. Arguments that a call
/// does not have are whatever the caller's registers hold.
///
/// The first list that has the number answers, in the order of the table at the top. A foreign thread's call that is in none of the
/// first four is libc's; before the start a filter is tried first (`fork::outside`).
pub unsafe fn syscall(number: c_long, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> Answer<c_long> {
    let arguments = [a, b, c, d, e, f];
    if let Some(answer) = at_once(number, arguments) {
        return answer;
    }
    if makes_process(number) && runtime::started() {
        return fork::fork_by_number(number, arguments);
    }
    // `without_points`: the functions below are cancellation points, and the system call is none.
    runtime::waiting::cancel::without_points(|| match as_function(number, arguments) {
        Some(result) => Ok(result),
        None => match by_tid::by_number(number, arguments) {
            Some(answer) => answer,
            None if !runtime::started() && task::binds_early(number) => {
                task::by_number(number, arguments).unwrap_or(Err(Miss::Libc))
            }
            None if runtime::current().is_none() => {
                if number == libc::SYS_landlock_restrict_self {
                    // Landlock may put the statistics file out of reach: it is opened before.
                    statistics::open();
                }
                fork::outside(sets_filter(number, a), || real::syscall(number, a, b, c, d, e, f))
            }
            None => green(number, arguments),
        },
    })
}

/// Is `number` one of the system calls that make a process? clone and clone3 with CLONE_THREAD are among them: `fork_by_number` tells
/// those apart, and leaves them to the kernel.
fn makes_process(number: c_long) -> bool {
    matches!(number, libc::SYS_fork | libc::SYS_vfork | libc::SYS_clone | libc::SYS_clone3)
}

/// `LIST function: number => |arguments| answer;` makes two items: the function answers the calls of these numbers, and says `None` for
/// all others; LIST has the numbers, for TAKEN. A row stands in one list only.
macro_rules! numbers {
    ($(#[$doc:meta])* $list:ident $function:ident: $($number:ident => $answer:expr;)*) => {
        const $list: &[c_long] = &[$(libc::$number),*];

        $(#[$doc])*
        #[inline]
        unsafe fn $function(number: c_long, arguments: Arguments) -> Option<Answer<c_long>> {
            /// Gives the row's closure its types.
            #[inline(always)]
            fn called(row: impl FnOnce(Arguments) -> Answer<c_long>, arguments: Arguments) -> Answer<c_long> {
                row(arguments)
            }
            match number {
                $(libc::$number => Some(called($answer, arguments)),)*
                _ => None,
            }
        }
    };
}

numbers! {
    /// Answers the calls that are served on any thread, before anything else is looked at, and before the start. `None`: it has no row.
    AT_ONCE at_once:
    SYS_futex => |[word, operation, value, time, second, third]|
        futex::futex(Futex { word, operation, value, time, second, third });
    // rseq is refused as by a kernel without it: the kernel would write the worker's processor into a green thread's area.
    SYS_rseq => |_| errno(libc::ENOSYS);
    // The statistics are written, then the kernel ends the process.
    SYS_exit_group => |[status, ..]| fork::exit_now(status as c_int).map(|()| 0);
}

/// Is the call a seccomp that sets a mode or a filter? The operations from SECCOMP_GET_ACTION_AVAIL on only ask (seccomp(2)).
fn sets_filter(number: c_long, operation: usize) -> bool {
    const ASK: usize = libc::SECCOMP_GET_ACTION_AVAIL as usize;
    number == libc::SYS_seccomp && operation < ASK
}

/// `number => function(types of the arguments)`: the function takes the system call's arguments one for one.
macro_rules! same {
    ($($system_call:ident => $function:ident($($t:ty),*);)*) => {
        /// The numbers of `as_function`, for TAKEN.
        const SAME: &[c_long] = &[$(libc::$system_call),*];

        /// Calls the exported function of this number, which takes the system call's arguments one for one. `None`: it is in no row. The
        /// result is the function's, with -1 and errno for an error.
        unsafe fn as_function(number: c_long, arguments: Arguments) -> Option<c_long> {
            use libc::*;
            match number {
                $(libc::$system_call => {
                    #[allow(unused_mut, unused_variables)]
                    let mut next = arguments.into_iter();
                    Some($function($(take::<$t>(&mut next)),*) as c_long)
                })*
                _ => None,
            }
        }
    };
}

/// A type of argument, made of a register's content: integers are cut to their width, as the kernel cuts them, and sign or zero
/// extension follows from the type.
trait Register: Sized {
    /// Returns the register's content as this type.
    fn of_register(register: usize) -> Self;
}

macro_rules! registers {
    ($($t:ty)*) => {$(impl Register for $t { fn of_register(register: usize) -> Self { register as $t } })*};
}
registers! { i32 u32 i64 u64 usize isize }

impl<T> Register for *mut T {
    fn of_register(register: usize) -> Self {
        register as *mut T
    }
}

impl<T> Register for *const T {
    fn of_register(register: usize) -> Self {
        register as *const T
    }
}

/// Returns the next of the call's six arguments as a `T`. A missing one is 0, which no row asks for: no system call has more than
/// six.
fn take<T: Register>(arguments: &mut impl Iterator<Item = usize>) -> T {
    T::of_register(arguments.next().unwrap_or(0))
}

same! {
    // Reads and writes.
    SYS_read => read(c_int, *mut c_void, size_t);
    SYS_write => write(c_int, *const c_void, size_t);
    SYS_readv => readv(c_int, *const iovec, c_int);
    SYS_writev => writev(c_int, *const iovec, c_int);
    SYS_pread64 => pread(c_int, *mut c_void, size_t, off_t);
    SYS_pwrite64 => pwrite(c_int, *const c_void, size_t, off_t);
    SYS_preadv => preadv(c_int, *const iovec, c_int, off_t);
    SYS_pwritev => pwritev(c_int, *const iovec, c_int, off_t);
    SYS_sendfile => sendfile(c_int, c_int, *mut off_t, size_t);
    SYS_splice => splice(c_int, *mut loff_t, c_int, *mut loff_t, size_t, c_uint);
    SYS_tee => tee(c_int, c_int, size_t, c_uint);
    SYS_vmsplice => vmsplice(c_int, *const iovec, size_t, c_uint);
    // Sockets: the calls that may wait, and shutdown, which ends waits.
    SYS_recvfrom => recvfrom(c_int, *mut c_void, size_t, c_int, *mut sockaddr, *mut socklen_t);
    SYS_recvmsg => recvmsg(c_int, *mut msghdr, c_int);
    SYS_recvmmsg => recvmmsg(c_int, *mut mmsghdr, c_uint, c_int, *mut timespec);
    SYS_sendto => sendto(c_int, *const c_void, size_t, c_int, *const sockaddr, socklen_t);
    SYS_sendmsg => sendmsg(c_int, *const msghdr, c_int);
    SYS_sendmmsg => sendmmsg(c_int, *mut mmsghdr, c_uint, c_int);
    SYS_connect => connect(c_int, *const sockaddr, socklen_t);
    SYS_accept => accept(c_int, *mut sockaddr, *mut socklen_t);
    SYS_accept4 => accept4(c_int, *mut sockaddr, *mut socklen_t, c_int);
    SYS_shutdown => shutdown(c_int, c_int);
    // Waits for several descriptors.
    SYS_poll => poll(*mut pollfd, nfds_t, c_int);
    SYS_ppoll => ppoll(*mut pollfd, nfds_t, *const timespec, *const sigset_t);
    SYS_epoll_wait => epoll_wait(c_int, *mut epoll_event, c_int, c_int);
    SYS_epoll_pwait => epoll_pwait(c_int, *mut epoll_event, c_int, c_int, *const sigset_t);
    // Descriptors that begin, end or change.
    SYS_close => close(c_int);
    SYS_close_range => close_range(c_uint, c_uint, c_int);
    SYS_socket => socket(c_int, c_int, c_int);
    SYS_socketpair => socketpair(c_int, c_int, c_int, *mut c_int);
    SYS_setsockopt => setsockopt(c_int, c_int, c_int, *const c_void, socklen_t);
    SYS_mlockall => mlockall(c_int);
    SYS_dup => dup(c_int);
    SYS_dup2 => dup2(c_int, c_int);
    SYS_dup3 => dup3(c_int, c_int, c_int);
    SYS_fcntl => fcntl(c_int, c_int, usize);
    SYS_ioctl => ioctl(c_int, c_ulong, usize);
    SYS_open => open(*const c_char, c_int, mode_t);
    SYS_openat => openat(c_int, *const c_char, c_int, mode_t);
    SYS_creat => creat(*const c_char, mode_t);
    // Sleeps, and what belongs to the calling thread or process.
    SYS_nanosleep => nanosleep(*const timespec, *mut timespec);
    SYS_pause => pause();
    SYS_sched_yield => sched_yield();
    SYS_gettid => gettid();
    SYS_prctl => prctl(c_int, usize, usize, usize, usize);
    SYS_unshare => unshare(c_int);
    SYS_setns => setns(c_int, c_int);
    SYS_setfsuid => setfsuid(uid_t);
    SYS_setfsgid => setfsgid(gid_t);
    SYS_personality => personality(c_ulong);
    SYS_execve => execve(*const c_char, *const *const c_char, *const *const c_char);
    SYS_execveat => execveat(c_int, *const c_char, *const *mut c_char, *const *mut c_char, c_int);
    // Calls that name a thread by its tid.
    SYS_sched_setaffinity => sched_setaffinity(pid_t, size_t, *const cpu_set_t);
    SYS_sched_setscheduler => sched_setscheduler(pid_t, c_int, *const sched_param);
    SYS_sched_getscheduler => sched_getscheduler(pid_t);
    SYS_sched_setparam => sched_setparam(pid_t, *const sched_param);
    SYS_sched_getparam => sched_getparam(pid_t, *mut sched_param);
    SYS_sched_rr_get_interval => sched_rr_get_interval(pid_t, *mut timespec);
    SYS_setpriority => setpriority(c_uint, id_t, c_int);
    SYS_getpgid => getpgid(pid_t);
    SYS_getsid => getsid(pid_t);
    SYS_setpgid => setpgid(pid_t, pid_t);
    SYS_prlimit64 => prlimit64(pid_t, c_uint, *const rlimit64, *mut rlimit64);
    SYS_process_vm_readv => process_vm_readv(pid_t, *const iovec, c_ulong, *const iovec, c_ulong, c_ulong);
    SYS_process_vm_writev => process_vm_writev(pid_t, *const iovec, c_ulong, *const iovec, c_ulong, c_ulong);
    SYS_kill => kill(pid_t, c_int);
    SYS_getrusage => getrusage(c_int, *mut rusage);
    // Children, the alternate stack, files, queues between processes.
    SYS_wait4 => wait4(pid_t, *mut c_int, c_int, *mut rusage);
    SYS_sigaltstack => sigaltstack(*const stack_t, *mut stack_t);
    SYS_fsync => fsync(c_int);
    SYS_fdatasync => fdatasync(c_int);
    SYS_msync => msync(*mut c_void, size_t, c_int);
    SYS_syncfs => syncfs(c_int);
    SYS_sync_file_range => sync_file_range(c_int, off64_t, off64_t, c_uint);
    SYS_flock => flock(c_int, c_int);
    SYS_semop => semop(c_int, *mut sembuf, size_t);
    SYS_msgsnd => msgsnd(c_int, *const c_void, size_t, c_int);
    SYS_msgrcv => msgrcv(c_int, *mut c_void, size_t, c_long, c_int);
    SYS_mq_timedsend => mq_timedsend(mqd_t, *const c_char, size_t, c_uint, *const timespec);
    SYS_mq_timedreceive => mq_timedreceive(mqd_t, *mut c_char, size_t, *mut c_uint, *const timespec);
    SYS_copy_file_range => copy_file_range(c_int, *mut off64_t, c_int, *mut off64_t, size_t, c_uint);
}

/// Answers what is left, for a green thread:
///
/// 1. `otherwise` has a row, or `task::by_number` has: that answers.
/// 2. A number of BLOCKING is made in the kernel, with the slot offered.
/// 3. All else is the kernel's: `Err(Miss::Libc)`.
unsafe fn green(number: c_long, arguments: Arguments) -> Answer<c_long> {
    let [a, b, c, d, e, f] = arguments;
    let answer = otherwise(number, arguments).or_else(|| task::by_number(number, arguments));
    match answer {
        Some(answer) => answer,
        None if BLOCKING.contains(&number) => Ok(runtime::block(|| real::syscall(number, a, b, c, d, e, f))),
        None => Err(Miss::Libc),
    }
}

numbers! {
    /// Answers the calls that are libc's functions with other arguments, or with another answer. What differs: a signal mask has its size
    /// beside it (EINVAL for another than 8, as in kernel/signal.c), preadv2 and pwritev2 have an offset in two halves (the high one means
    /// nothing on 64 bits), clock_nanosleep returns its error negated, waitid has a rusage, exit ends the thread and not the process.
    OTHERWISE otherwise:
    SYS_preadv2 => |[fd, iov, n, low, _, flags]|
        Ok(libc::preadv2(fd as c_int, iov as _, n as c_int, low as i64, flags as c_int) as c_long);
    SYS_pwritev2 => |[fd, iov, n, low, _, flags]|
        Ok(libc::pwritev2(fd as c_int, iov as _, n as c_int, low as i64, flags as c_int) as c_long);
    SYS_pselect6 => |arguments| pselect(arguments);
    SYS_select => |arguments| select(arguments);
    // The function returns its error number, the system call a negated one.
    SYS_clock_nanosleep => |[clock, flags, time, left, ..]|
        code(libc::clock_nanosleep(clock as c_int, flags as c_int, time as _, left as _)).map(c_long::from);
    SYS_epoll_pwait2 => |[fd, events, n, time, mask, _]|
        poll::epoll_pwait2(fd as c_int, events as _, n as c_int, time as _, mask as _).map(c_long::from);
    SYS_rt_sigaction => |[number, new, old, bytes, ..]|
        action::rt_sigaction(number as c_int, new as _, old as _, bytes).map(c_long::from);
    // EFAULT for a bad set comes first: libc's function reads the set itself, and would crash.
    SYS_rt_sigprocmask => |[how, set, old, bytes, ..]| match bytes {
        MASK_BYTES if set != 0 && !memory::can_read(set, MASK_BYTES) => errno(libc::EFAULT),
        MASK_BYTES => Ok(libc::sigprocmask(how as c_int, set as _, old as _).into()),
        _ => errno(libc::EINVAL),
    };
    SYS_rt_sigsuspend => |[mask, bytes, ..]| match bytes {
        MASK_BYTES => Ok(libc::sigsuspend(mask as _).into()),
        _ => errno(libc::EINVAL),
    };
    SYS_rt_sigtimedwait => |[set, info, time, bytes, ..]| match bytes {
        MASK_BYTES => Ok(libc::sigtimedwait(set as _, info as _, time as _).into()),
        _ => errno(libc::EINVAL),
    };
    // libc's function takes no rusage: a call with one waits in the kernel, with the slot offered.
    SYS_waitid => |[kind, id, info, options, usage, _]| match usage {
        0 => Ok(libc::waitid(kind as _, id as _, info as _, options as c_int).into()),
        _ => Ok(runtime::block(|| real::syscall(libc::SYS_waitid, kind, id, info, options, usage, 0))),
    };
    SYS_pkey_alloc => |[flags, rights, ..]| fork::pkey_alloc(flags as u32, rights as u32).map(c_long::from);
    // Ends the calling thread only (_exit(2), "C library/kernel differences"): a green thread by pthread_exit, without a result.
    SYS_exit => |_| libc::pthread_exit(std::ptr::null_mut());
}

/// The numbers of calls that may sleep and wait for no descriptor. They are made in the kernel, with the slot offered. The result is
/// libc's. Numbers that are neither here nor in another list are taken for calls that do not sleep; one that does is found by the
/// monitor.
const BLOCKING: &[c_long] = &[libc::SYS_sync, libc::SYS_semtimedop, libc::SYS_io_getevents, libc::SYS_futex_waitv];

/// The system call pselect6: `pselect`, with the mask's address and size in a structure that the sixth argument points to (select(2),
/// "C library/kernel differences"). EFAULT for a bad timeout, then for a bad structure. The size is not looked at.
///
/// Differs from the kernel's: what is left of the time is not written back, as by glibc's pselect.
unsafe fn pselect([n, r, w, x, timeout, mask]: Arguments) -> Answer<c_long> {
    if timeout != 0 && !memory::can_read(timeout, size_of::<timespec>()) {
        return errno(libc::EFAULT);
    }
    let mask = match mask {
        0 => std::ptr::null(),
        pair if !memory::can_read(pair, 2 * size_of::<usize>()) => return errno(libc::EFAULT),
        pair => *(pair as *const *const sigset_t),
    };
    Ok(libc::pselect(n as c_int, r as _, w as _, x as _, timeout as *const timespec, mask) as c_long)
}

/// The system call select: `select`, but for a bad timeout, which is EFAULT. Microseconds of a second and more are carried into the
/// seconds (fs/select.c, kern_select). What is left of the time is written back, unless the place cannot be written: natively no
/// error either.
unsafe fn select([n, r, w, x, timeout, ..]: Arguments) -> Answer<c_long> {
    const SECOND_US: i64 = 1_000_000;
    if timeout == 0 {
        return Ok(libc::select(n as c_int, r as _, w as _, x as _, std::ptr::null_mut()) as c_long);
    }
    if !memory::can_read(timeout, size_of::<timeval>()) {
        return errno(libc::EFAULT);
    }
    let mut time = (timeout as *const timeval).read_unaligned();
    (time.tv_sec, time.tv_usec) = (time.tv_sec.wrapping_add(time.tv_usec / SECOND_US), time.tv_usec % SECOND_US);
    let result = libc::select(n as c_int, r as _, w as _, x as _, &mut time) as c_long;
    if memory::can_write(timeout, size_of::<timeval>()) {
        (timeout as *mut timeval).write_unaligned(time);
    }
    Ok(result)
}

/// A bit for each number that has a row in any of the lists but the calls that make a process, which `inline` and the trap see to.
/// Numbers without a bit are the kernel's.
const TAKEN: [u64; 8] = {
    let mut taken = [0; 8];
    let lists: [&[c_long]; 6] = [AT_ONCE, SAME, by_tid::NUMBERS, OTHERWISE, task::NUMBERS, BLOCKING];
    let mut list = 0;
    while list < lists.len() {
        let mut at = 0;
        while at < lists[list].len() {
            let number = lists[list][at] as usize;
            taken[number / 64] |= 1 << (number % 64);
            at += 1;
        }
        list += 1;
    }
    taken
};

/// Has this number any row? Called by the runtime for each trapped instruction, in the handler of SIGSYS, so it only reads TAKEN.
/// Numbers below 0 and beyond TAKEN have none. A number without a row is made on a bridge, in the kernel, and never comes here.
fn takes(number: c_long) -> bool {
    usize::try_from(number)
        .is_ok_and(|number| TAKEN.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 != 0))
}

// `way`: the assembly in which a trapped call enters. It lays the registers down as a `Call`, calls `inline`, and goes on behind the
// instruction with the result, and with all other registers as the kernel would leave them.
called_inline!(way, inline);

/// The runtime's knowledge of this file: which numbers it takes, and where a trapped call enters. `lib.rs` hands it over at load: the
/// runtime lies below the hooks and names none.
pub const INLINE: runtime::trap::inline::Hooks =
    runtime::trap::inline::Hooks { take: takes, way, wake: futex::wake_from_kernel };

/// Answers a thread's own system call instruction: the result is the kernel's, a negated error number for a failure, and errno is as
/// before. Called by the assembly of `way`, on the thread's own stack, outside of any handler, with all registers kept. May park. No
/// cancellation point, but for a thread whose cancellation is asynchronous.
///
/// 1. errno is noted: the hooks set it, and an instruction does not.
/// 2. A fork is made by the instruction's own arguments, so that the child goes on behind it. All else goes by `answered`.
/// 3. errno is put back. The result is in the register, as the kernel would leave it.
extern "C" fn inline(call: &Call) -> isize {
    let (number, arguments, errno) = (call.number, call.arguments(), glibc::errno());
    // SAFETY: the program's own call, with its arguments.
    let result = unsafe {
        match number {
            libc::SYS_fork | libc::SYS_clone | libc::SYS_clone3 => fork::fork_inline(|| plainly(number, arguments)),
            _ => uncancelled(|| answered(number, arguments)),
        }
    };
    glibc::set_errno(errno);
    result
}

/// Makes the call in the kernel, with the arguments as they came. Returns the kernel's result, a negated error number for a failure.
unsafe fn plainly(number: c_long, [a, b, c, d, e, f]: Arguments) -> isize {
    sys::call(number, a, b, c, d, e, f)
}

/// Makes the call as the function `syscall` would. Returns the kernel's form of the result: errno negated for -1. A call that no hook
/// answers is made here as it came, so that libc's function `syscall`, which sets errno, stays out of it.
unsafe fn answered(number: c_long, arguments: Arguments) -> isize {
    let [a, b, c, d, e, f] = arguments;
    match syscall(number, a, b, c, d, e, f) {
        Ok(-1) => -glibc::errno() as isize,
        Ok(result) => result as isize,
        Err(Miss::Errno(number)) => -number as isize,
        Err(Miss::Libc) => plainly(number, arguments),
    }
}

/// Makes the call with deferred cancellation disabled, for the green thread and for glibc: the hooked functions are cancellation
/// points, and an instruction is none. A thread with asynchronous cancellation may be cancelled anywhere, so also here.
fn uncancelled(call: impl FnOnce() -> isize) -> isize {
    let Some(me) = runtime::current().filter(|me| !me.thread.cancel_asynchronous.load(Relaxed)) else { return call() };
    let before = me.thread.cancel_disabled.swap(true, Relaxed);
    let result = glibc::uncancelled(call);
    me.thread.cancel_disabled.store(before, Relaxed);
    result
}
