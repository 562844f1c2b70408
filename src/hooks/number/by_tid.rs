//! Calls by number that name a thread by its tid. The kernel knows no green thread's tid, so one table has the answer of each call.
//!
//! There are four ways:
//! - *served*: the state that the call asks for or changes is kept for each green thread, or the runtime does the call's work (policy,
//!   name, signals, CPU clock);
//! - *stand-in*: the call tells of something that is alike for all threads of a process, so the kernel is asked about a kernel thread
//!   that stands for the green one: the caller's own for itself, the one that it is alone with, or else the leader's;
//! - *alone*: the state belongs to a kernel thread, so the caller stays with its own from then on;
//! - *impossible*: the call is about another thread, and only that thread's kernel thread could have what is asked for: the error of a
//!   kernel without the call.
//!
//! tids that are no green thread's (a child's, a foreign thread's, another process's) go to the kernel as they are.

use crate::hooks::answer::{errno, Answer, Arguments, Miss};
use crate::hooks::memory;
use crate::hooks::proc::{path, task_list};
use crate::hooks::process::task;
use crate::hooks::signal::send;
use crate::hooks::thread::tid::{self, for_stand_in};
use crate::hooks::thread::{clock, schedule};
use crate::hooks::time::timer;
use crate::{runtime, sys};
use libc::*;

/// `number => |arguments| answer;` for the calls with a tid that come by number only.
///
/// Other calls with a tid come by a symbol, and by their number through `same!` of `syscall.rs`:
/// - served: gettid, sched_setscheduler, sched_getscheduler, sched_setparam, sched_getparam, sched_setaffinity, sched_rr_get_interval,
///   setpriority, kill, clock_nanosleep, fcntl and ioctl with an owner;
/// - stand-in: getpgid, getsid, prlimit64, process_vm_readv, process_vm_writev;
/// - for the caller itself, or refused as natively: setpgid.
///
/// capset has its row in `process/task.rs`.
macro_rules! numbers {
    ($($number:ident => $answer:expr;)*) => {
        /// The numbers that `by_number` has a row for: a part of what `syscall::takes` answers.
        pub const NUMBERS: &[c_long] = &[$(libc::$number),*];

        /// Answers a call by number, made by any thread, before its function's hook is asked. `None`: it is in no row. Before the
        /// start every row is the kernel's: `Err(Miss::Libc)`. Errors are those of the row's function, as `Miss::Errno`.
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
    SYS_tgkill => |[pid, tid, number, ..]| send::tgkill(pid as pid_t, tid as pid_t, number as c_int).map(c_long::from);
    SYS_tkill => |[tid, number, ..]| send::tgkill(sys::process_id(), tid as pid_t, number as c_int).map(c_long::from);
    SYS_rt_sigqueueinfo => |[pid, number, info, ..]| send::rt_sigqueueinfo(pid as pid_t, number as c_int, info);
    SYS_rt_tgsigqueueinfo =>
        |[pid, tid, number, info, ..]| send::rt_tgsigqueueinfo(pid as pid_t, tid as pid_t, number as c_int, info);
    SYS_get_robust_list => |[tid, head, bytes, ..]| tid::get_robust_list(tid as pid_t, head, bytes);
    SYS_set_robust_list => |[head, bytes, ..]| tid::set_robust_list(head, bytes);
    SYS_set_tid_address => |_| tid::set_tid_address();
    SYS_ioprio_get => |[which, who, ..]| task::ioprio_get(which, who);
    SYS_ioprio_set => |[which, who, priority, ..]| task::ioprio_set(which, who, priority);
    SYS_timer_create => |[clock, event, timer, ..]| timer::create_by_number(clock as clockid_t, event as *mut sigevent, timer);
    SYS_timer_delete => |[timer, ..]| timer::timer_delete(timer_of(timer)).map(c_long::from);
    SYS_timer_settime => |[timer, flags, new, old, ..]|
        timer::timer_settime(timer_of(timer), flags as c_int, new as *const itimerspec, old as *mut itimerspec).map(c_long::from);
    SYS_timer_gettime => |[timer, now, ..]| timer::timer_gettime(timer_of(timer), now as *mut itimerspec).map(c_long::from);
    SYS_clock_gettime => |[clock, time, ..]| of_clock(clock, time, clock::clock_gettime);
    SYS_clock_getres => |[clock, time, ..]| of_clock(clock, time, clock::clock_getres);
    // stand-in
    SYS_capget => |[header, sets, ..]| tid::capget(header as *mut c_void, sets as *mut c_void).map(c_long::from);
    SYS_pidfd_open => |[pid, flags, ..]| tid::pidfd_open(pid as pid_t, flags as c_uint).map(c_long::from);
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
    SYS_perf_event_open => |arguments| tid::perf_event_open(arguments);
}

/// Returns a timer's number as libc's name of it. glibc's timer_t is the number itself, but for SIGEV_THREAD, whose timers no system
/// call of the program's makes (kernel-posix-timers.h).
fn timer_of(number: usize) -> *mut c_void {
    number as c_int as isize as *mut c_void
}

/// Asks a thread's CPU clock by number, by one of the functions of `thread/clock.rs`, which also get a null `time`. EFAULT for memory
/// that cannot be written comes first, for those functions write it themselves. All other clocks are the kernel's.
unsafe fn of_clock(
    clock: usize,
    time: usize,
    ask: unsafe fn(clockid_t, *mut timespec) -> Answer<c_int>,
) -> Answer<c_long> {
    let clock = clock as clockid_t;
    if clock >= 0 && clock != CLOCK_THREAD_CPUTIME_ID {
        return Err(Miss::Libc);
    }
    if time != 0 && !memory::can_write(time, size_of::<timespec>()) {
        return errno(EFAULT);
    }
    ask(clock, time as *mut timespec).map(c_long::from)
}
