//! Calls that name a thread by its tid: one table of what becomes of a green thread's, which the kernel does not know.
//!
//! There are four ways:
//! - *served*: what the call asks for or changes is kept for each green thread, or done by the runtime (its policy, its name, its signals,
//!   its CPU clock);
//! - *stand-in*: what the call tells of is alike for all threads of a process, so the kernel is asked about a kernel thread that stands
//!   for the green one: the caller's own for itself, the one that it is alone with, or else the leader's;
//! - *alone*: what is asked for belongs to a kernel thread, so the caller stays with its own from then on;
//! - *impossible*: another's, where the kernel keeps it for a kernel thread and nobody else can: the error of a kernel without it.
//!
//! `functions` below names those that come by a symbol and stand in another room; `numbers` those that come by number only. tids that
//! are no green thread's (a child's, a foreign thread's, another process's) go to the kernel as they are.

use crate::hooks::answer::{answer, errno, Answer, Miss};
use crate::hooks::proc::{path, task_list};
use crate::hooks::process::task;
use crate::hooks::signal::action;
use crate::hooks::thread::schedule;
use crate::hooks::time::timer;
use crate::runtime::kernel::alone;
use crate::runtime::machine::green::Green;
use crate::runtime::machine::roll;
use crate::runtime::{self, current};
use crate::sys;
use libc::*;
use std::sync::atomic::Ordering::Relaxed;

/// A system call's six arguments.
pub type Arguments = [usize; 6];

/// The calls with a tid that come by number only. (By a symbol, and by its number through `same!` of room `syscall`, come:
/// gettid, sched_setscheduler, sched_getscheduler, sched_setparam, sched_getparam, sched_setaffinity, sched_rr_get_interval,
/// setpriority, kill, clock_nanosleep, fcntl and ioctl with an owner, all of them served; getpgid, getsid, prlimit64,
/// process_vm_readv, process_vm_writev: a stand-in; setpgid: for the caller itself, or refused, as natively. capset is room `task`'s.)
macro_rules! numbers {
    ($($number:ident => $answer:expr;)*) => {
        pub const NUMBERS: &[c_long] = &[$(libc::$number),*];

        /// What becomes of a call by number, whoever makes it; `None`: it is in no row.
        pub unsafe fn by_number(number: c_long, arguments: Arguments) -> Option<Answer<c_long>> {
            let way: unsafe fn(Arguments) -> Answer<c_long> = match number {
                $(libc::$number => $answer,)*
                _ => return None,
            };
            Some(if runtime::started() { way(arguments) } else { Err(Miss::Libc) })
        }
    };
}

numbers! {
    // served
    SYS_sched_setattr => |[tid, attributes, flags, ..]| schedule::sched_setattr(tid as pid_t, attributes, flags);
    SYS_sched_getattr => |[tid, attributes, bytes, flags, ..]| schedule::sched_getattr(tid as pid_t, attributes, bytes, flags);
    SYS_sched_getaffinity => |[tid, size, set, ..]| schedule::raw_getaffinity(tid as pid_t, size, set as *mut cpu_set_t);
    SYS_getpriority => |[which, who, ..]| schedule::raw_getpriority(which as c_uint, who as id_t);
    SYS_tgkill => |[pid, tid, number, ..]| action::tgkill(pid as pid_t, tid as pid_t, number as c_int).map(c_long::from);
    SYS_tkill => |[tid, number, ..]| action::tgkill(sys::process_id(), tid as pid_t, number as c_int).map(c_long::from);
    SYS_rt_sigqueueinfo => |[pid, number, info, ..]| action::rt_sigqueueinfo(pid as pid_t, number as c_int, info);
    SYS_rt_tgsigqueueinfo =>
        |[pid, tid, number, info, ..]| action::rt_tgsigqueueinfo(pid as pid_t, tid as pid_t, number as c_int, info);
    SYS_get_robust_list => |[tid, head, bytes, ..]| get_robust_list(tid as pid_t, head, bytes);
    SYS_set_robust_list => |[head, bytes, ..]| set_robust_list(head, bytes);
    SYS_set_tid_address => |_| set_tid_address();
    SYS_ioprio_get => |[which, who, ..]| task::ioprio_get(which, who);
    SYS_ioprio_set => |[which, who, priority, ..]| task::ioprio_set(which, who, priority);
    SYS_timer_create => |[clock, event, timer, ..]| timer::create_by_number(clock as clockid_t, event as *mut sigevent, timer);
    SYS_timer_delete => |[timer, ..]| timer::timer_delete(timer_of(timer)).map(c_long::from);
    SYS_timer_settime => |[timer, flags, new, old, ..]|
        timer::timer_settime(timer_of(timer), flags as c_int, new as *const itimerspec, old as *mut itimerspec).map(c_long::from);
    SYS_timer_gettime => |[timer, now, ..]| timer::timer_gettime(timer_of(timer), now as *mut itimerspec).map(c_long::from);
    SYS_clock_gettime => |[clock, time, ..]| of_clock(clock, time, schedule::clock_gettime);
    SYS_clock_getres => |[clock, time, ..]| of_clock(clock, time, schedule::clock_getres);
    // stand-in
    SYS_capget => |[header, sets, ..]| capget(header as *mut c_void, sets as *mut c_void).map(c_long::from);
    SYS_pidfd_open => |[pid, flags, ..]| pidfd_open(pid as pid_t, flags as c_uint).map(c_long::from);
    SYS_kcmp => |arguments| for_stand_in(SYS_kcmp, arguments, &[0, 1]);
    SYS_move_pages => |arguments| for_stand_in(SYS_move_pages, arguments, &[0]);
    SYS_migrate_pages => |arguments| for_stand_in(SYS_migrate_pages, arguments, &[0]);
    SYS_stat => |arguments| path::by_number(SYS_stat, arguments, 0);
    SYS_lstat => |arguments| path::by_number(SYS_lstat, arguments, 0);
    SYS_newfstatat => |arguments| path::by_number(SYS_newfstatat, arguments, 1);
    SYS_statx => |arguments| path::by_number(SYS_statx, arguments, 1);
    SYS_access => |arguments| path::by_number(SYS_access, arguments, 0);
    SYS_faccessat => |arguments| path::by_number(SYS_faccessat, arguments, 1);
    SYS_faccessat2 => |arguments| path::by_number(SYS_faccessat2, arguments, 1);
    SYS_readlink => |arguments| path::by_number(SYS_readlink, arguments, 0);
    SYS_readlinkat => |arguments| path::by_number(SYS_readlinkat, arguments, 1);
    SYS_chdir => |arguments| path::by_number(SYS_chdir, arguments, 0);
    SYS_getdents64 => |arguments| task_list::by_number(arguments);
    // alone; another's: impossible
    SYS_perf_event_open => |arguments| perf_event_open(arguments);
}

/// A timer's number as libc's name of it.
fn timer_of(number: usize) -> *mut c_void {
    number as c_int as isize as *mut c_void
}

/// A thread's clock by number: the kernel is asked about memory first.
unsafe fn of_clock(
    clock: usize,
    time: usize,
    ask: unsafe fn(clockid_t, *mut timespec) -> Answer<c_int>,
) -> Answer<c_long> {
    let clock = clock as clockid_t;
    if clock >= 0 && clock != CLOCK_THREAD_CPUTIME_ID {
        return Err(Miss::Libc);
    }
    if time != 0 && !sys::can_write(time, size_of::<timespec>()) {
        return errno(EFAULT);
    }
    ask(clock, time as *mut timespec).map(c_long::from)
}

/// The green thread with this tid; 0 is the caller.
pub fn green_of(tid: pid_t) -> Result<&'static Green, Miss> {
    if !runtime::started() {
        return Err(Miss::Libc);
    }
    match tid {
        0 => current(),
        tid => roll::find(tid),
    }
    .ok_or(Miss::Libc)
}

/// The kernel thread that a green thread has for itself, or runs on now.
fn kernel_thread_of(green: &Green) -> Option<pid_t> {
    let is_me = current().is_some_and(|me| std::ptr::eq(me, green));
    (is_me || green.bound.get()).then(|| green.worker().kernel_tid.load(Relaxed))
}

/// The kernel thread that stands for the green thread with this tid. Any other tid stands for itself.
pub fn stand_in(tid: pid_t) -> pid_t {
    match green_of(tid) {
        Ok(green) if tid != 0 => kernel_thread_of(green).unwrap_or_else(sys::process_id),
        _ => tid,
    }
}

unsafe fn for_stand_in(number: c_long, mut arguments: Arguments, tids: &[usize]) -> Answer<c_long> {
    for &at in tids {
        arguments[at] = stand_in(arguments[at] as pid_t) as usize;
    }
    let [a, b, c, d, e, f] = arguments;
    answer(sys::call(number, a, b, c, d, e, f))
}

/// A counter belongs to one kernel thread: whoever counts itself stays with its own. What another does is counted nowhere by itself.
unsafe fn perf_event_open([attributes, tid, processor, group, flags, last]: Arguments) -> Answer<c_long> {
    const PERF_FLAG_PID_CGROUP: usize = 4;
    if flags & PERF_FLAG_PID_CGROUP != 0 || (tid as pid_t) < 0 {
        return Err(Miss::Libc);
    }
    let named = green_of(tid as pid_t)?;
    let Some(kernel_tid) = kernel_thread_of(named) else { return errno(ESRCH) };
    let arguments = (attributes, kernel_tid as usize, processor, group, flags, last);
    let (attributes, tid, processor, group, flags, last) = arguments;
    let counter = answer(sys::call(SYS_perf_event_open, attributes, tid, processor, group, flags, last))?;
    if current().is_some_and(|me| std::ptr::eq(me, named)) {
        alone::stay();
    }
    Ok(counter)
}

/// A robust list's head takes so much.
const ROBUST_HEAD_BYTES: usize = 24;

/// The list's length is written first, as the kernel does.
unsafe fn get_robust_list(tid: pid_t, head: usize, bytes: usize) -> Answer<c_long> {
    let list = green_of(tid)?.robust_list();
    for (at, value) in [(bytes, ROBUST_HEAD_BYTES), (head, list)] {
        if !sys::can_write(at, size_of::<usize>()) {
            return errno(EFAULT);
        }
        (at as *mut usize).write_unaligned(value);
    }
    Ok(0)
}

unsafe fn set_robust_list(head: usize, bytes: usize) -> Answer<c_long> {
    let me = current().ok_or(Miss::Libc)?;
    if bytes != ROBUST_HEAD_BYTES {
        return errno(EINVAL);
    }
    runtime::waiting::pin::set_robust_list(me, head);
    Ok(0)
}

/// The word would be zeroed when the kernel thread ends, which is not when the green thread does.
unsafe fn set_tid_address() -> Answer<c_long> {
    current().map(|me| me.tid() as c_long).ok_or(Miss::Libc)
}

pub unsafe fn getpgid(pid: pid_t) -> Answer<pid_t> {
    answer(sys::call(SYS_getpgid, stand_in(pid) as usize, 0, 0, 0, 0, 0))
}

pub unsafe fn getsid(pid: pid_t) -> Answer<pid_t> {
    answer(sys::call(SYS_getsid, stand_in(pid) as usize, 0, 0, 0, 0, 0))
}

/// The kernel moves processes only, and says EINVAL of a thread that does not stand for one.
pub unsafe fn setpgid(pid: pid_t, _: pid_t) -> Answer<c_int> {
    match green_of(pid) {
        Ok(green) if pid != 0 && !green.is_main => errno(EINVAL),
        _ => Err(Miss::Libc),
    }
}

pub unsafe fn prlimit(pid: pid_t, resource: c_uint, new: *const rlimit, old: *mut rlimit) -> Answer<c_int> {
    let (new, old) = (new as usize, old as usize);
    answer(sys::call(SYS_prlimit64, stand_in(pid) as usize, resource as usize, new, old, 0, 0))
}

pub unsafe fn prlimit64(pid: pid_t, resource: c_uint, new: *const rlimit64, old: *mut rlimit64) -> Answer<c_int> {
    prlimit(pid, resource, new as *const rlimit, old as *mut rlimit)
}

/// `process_vm_readv` and `process_vm_writev`: (pid, own vectors, their count, its vectors, their count, flags).
unsafe fn process_vm(
    number: c_long,
    pid: pid_t,
    [own, own_count, its, its_count, flags]: [usize; 5],
) -> Answer<ssize_t> {
    answer(sys::call(number, stand_in(pid) as usize, own, own_count, its, its_count, flags))
}

pub unsafe fn process_vm_readv(
    pid: pid_t,
    own: *const iovec,
    own_count: c_ulong,
    its: *const iovec,
    its_count: c_ulong,
    flags: c_ulong,
) -> Answer<ssize_t> {
    let vectors = [own as usize, own_count as usize, its as usize, its_count as usize, flags as usize];
    process_vm(SYS_process_vm_readv, pid, vectors)
}

pub unsafe fn process_vm_writev(
    pid: pid_t,
    own: *const iovec,
    own_count: c_ulong,
    its: *const iovec,
    its_count: c_ulong,
    flags: c_ulong,
) -> Answer<ssize_t> {
    let vectors = [own as usize, own_count as usize, its as usize, its_count as usize, flags as usize];
    process_vm(SYS_process_vm_writev, pid, vectors)
}

/// capget's and capset's header: version and tid (linux/capability.h). With a green thread's tid: that of its stand-in.
unsafe fn translated_header(header: *mut c_void) -> Option<[u32; 2]> {
    if !runtime::started() || !sys::can_read(header as usize, size_of::<[u32; 2]>()) {
        return None;
    }
    let [version, tid] = (header as *const [u32; 2]).read_unaligned();
    let kernel_tid = stand_in(tid as pid_t) as u32;
    (kernel_tid != tid).then_some([version, kernel_tid])
}

/// The kernel writes the version that it knows into a header with another.
pub unsafe fn capget(header: *mut c_void, sets: *mut c_void) -> Answer<c_int> {
    let mut translated = translated_header(header).ok_or(Miss::Libc)?;
    let told = sys::call(SYS_capget, translated.as_mut_ptr() as usize, sets as usize, 0, 0, 0, 0);
    (header as *mut u32).write_unaligned(translated[0]);
    answer(told)
}

/// A header for capset: only the caller may be named in it.
pub unsafe fn own_header(header: *mut c_void) -> Option<[u32; 2]> {
    translated_header(header).filter(|[_, tid]| *tid as pid_t == sys::kernel_thread_id())
}

/// A descriptor of a thread tells when its kernel thread ends: only who is alone has one of its own. Without the flag the kernel
/// refuses each thread that does not stand for its process.
pub unsafe fn pidfd_open(pid: pid_t, flags: c_uint) -> Answer<c_int> {
    const PIDFD_THREAD: c_uint = O_EXCL as c_uint;
    let named = green_of(pid)?;
    if pid == 0 || named.is_main {
        return Err(Miss::Libc);
    }
    let kernel_tid = match kernel_thread_of(named) {
        Some(kernel_tid) if named.alone.get() || flags & PIDFD_THREAD == 0 => kernel_tid,
        _ => return errno(EINVAL),
    };
    if kernel_tid == sys::process_id() {
        return errno(EINVAL);
    }
    answer(sys::call(SYS_pidfd_open, kernel_tid as usize, flags as usize, 0, 0, 0, 0))
}
