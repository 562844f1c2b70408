//! A thread's processors, policy, priority and nice value, by pthread_t or by tid. glibc would ask the kernel about the thread's own
//! kernel thread, which a green thread has not.
//!
//! Where the program's memory is read or written the kernel does it first, on the kernel thread at hand, so that a bad pointer or a
//! bad size gets the kernel's own answer.
//!
//! The place of each setting, and its effect:
//!
//! | setting | kept in | applied |
//! |---|---|---|
//! | processors | the green thread (`kernel_state`) | to each kernel thread that runs it |
//! | policy, priority | the green thread (`Schedule`) | in processes that it forks only |
//! | nice value | the green thread (`Schedule`) | in processes that it forks only |
//! | a deadline, a clamped utilisation | the kernel thread | at once; the thread is alone with it |

use crate::hooks::answer::{answer, errno, Answer, Miss};
use crate::hooks::named::{by_pthread, by_tid, is_me, living, me, stand_in};
use crate::runtime::kernel::alone;
use crate::runtime::machine::kernel_state;
use crate::runtime::machine::parts::Green;
use crate::runtime::machine::schedule::{is_real_time, RESET_ON_FORK};
use crate::sys;
use libc::*;

/// Keeps the processors that the thread may run on; for the caller they are in force at once, for another when it is next resumed.
/// `size` is in bytes. EFAULT for a bad pointer, EINVAL where none of them may be had (sched_setaffinity(2)): the kernel is asked on
/// the kernel thread at hand, which has its own again afterwards. Called by any thread, whichever `green` is.
fn set_processors(green: &'static Green, size: size_t, set: *const cpu_set_t) -> Answer<c_int> {
    let possible = kernel_state::possible(size, set as usize).map_err(Miss::Errno)?;
    kernel_state::set_processors(green, possible, is_me(green));
    Ok(0)
}

/// Writes the thread's processors over what the kernel tells; returns how many bytes the kernel wrote. The bytes beyond are cleared,
/// as by glibc. EINVAL for a size below the kernel's set or not a multiple of 8, EFAULT (kernel/sched/syscalls.c).
unsafe fn tell_processors(green: &Green, size: size_t, set: *mut cpu_set_t) -> Answer<size_t> {
    let told: size_t = answer(sys::call(SYS_sched_getaffinity, 0, size, set as usize, 0, 0, 0))?;
    let processors = kernel_state::processors(green);
    std::ptr::write_bytes(set as *mut u8, 0, size);
    std::ptr::copy_nonoverlapping(processors.as_ptr() as *const u8, set as *mut u8, told.min(size_of_val(&processors)));
    Ok(told)
}

/// As `tell_processors`, for functions that answer 0.
unsafe fn get_processors(green: &Green, size: size_t, set: *mut cpu_set_t) -> Answer<c_int> {
    tell_processors(green, size, set).map(|_| 0)
}

/// The system call `sched_getaffinity`: returns how many bytes the kernel has told.
pub unsafe fn raw_getaffinity(tid: pid_t, size: size_t, set: *mut cpu_set_t) -> Answer<c_long> {
    tell_processors(by_tid(tid)?, size, set).map(|told| told as c_long)
}

/// `pthread_setaffinity_np`: kept for the thread, and given to the kernel threads that run it. Returns the error number: EINVAL where
/// none of the processors may be had, EFAULT. A foreign thread's are libc's. Never waits.
pub unsafe fn pthread_setaffinity_np(thread: pthread_t, size: size_t, set: *const cpu_set_t) -> Answer<c_int> {
    set_processors(by_pthread(thread)?, size, set)
}

/// `pthread_getaffinity_np`: the processors that were set, or those of the process. Returns the error number: EINVAL for too small a
/// set, EFAULT. A foreign thread's are libc's.
pub unsafe fn pthread_getaffinity_np(thread: pthread_t, size: size_t, set: *mut cpu_set_t) -> Answer<c_int> {
    get_processors(by_pthread(thread)?, size, set)
}

/// `sched_setaffinity`: as `pthread_setaffinity_np`, by tid; 0 is the caller. A tid of no green thread's is libc's (ESRCH).
pub unsafe fn sched_setaffinity(tid: pid_t, size: size_t, set: *const cpu_set_t) -> Answer<c_int> {
    set_processors(by_tid(tid)?, size, set)
}

/// `sched_getaffinity`: as `pthread_getaffinity_np`, by tid.
pub unsafe fn sched_getaffinity(tid: pid_t, size: size_t, set: *mut cpu_set_t) -> Answer<c_int> {
    get_processors(by_tid(tid)?, size, set)
}

/// A tid that no thread can have: larger than the kernel's largest (PID_MAX_LIMIT, 1 << 22). The kernel checks a call's memory before
/// it looks for the thread, and then says ESRCH.
const NOBODY: usize = 1 << 30;

/// Returns the priority that the program points to. The kernel reads it first, for a thread that does not exist, so that EFAULT and EINVAL
/// are its own; its ESRCH says that all is well.
unsafe fn read_priority(param: *const sched_param) -> Answer<c_int> {
    match sys::call(SYS_sched_setscheduler, NOBODY, SCHED_OTHER as usize, param as usize, 0, 0, 0) as c_int {
        error if error == -ESRCH => Ok((*param).sched_priority),
        error => errno(-error),
    }
}

/// Keeps policy and priority, as the kernel would check them: EINVAL, EFAULT, EPERM. A policy below 0 is EINVAL before the memory is
/// read, as in kernel/sched/syscalls.c.
unsafe fn set_policy(green: &Green, policy: c_int, param: *const sched_param) -> Answer<c_int> {
    if policy < 0 {
        return errno(EINVAL);
    }
    green.thread.schedule.set(policy, read_priority(param)?).map(|()| 0).map_err(Miss::Errno)
}

/// `pthread_getschedparam`: the policy and priority that are kept. ESRCH when the thread has ended. Both places are written without
/// asking, as by glibc.
pub unsafe fn pthread_getschedparam(thread: pthread_t, policy: *mut c_int, param: *mut sched_param) -> Answer<c_int> {
    let green = living(thread)?;
    *policy = green.thread.schedule.policy();
    (*param).sched_priority = green.thread.schedule.priority();
    Ok(0)
}

/// `pthread_setschedparam`: kept, and not applied: green threads are not scheduled by priority. Refused where the kernel would refuse
/// it. Returns the error number: EFAULT, EINVAL, EPERM; ESRCH when the thread has ended. A foreign thread's is libc's.
pub unsafe fn pthread_setschedparam(thread: pthread_t, policy: c_int, param: *const sched_param) -> Answer<c_int> {
    set_policy(living(thread)?, policy, param)
}

/// `pthread_setschedprio`: as `pthread_setschedparam`, the priority alone, by the policy that is kept.
pub unsafe fn pthread_setschedprio(thread: pthread_t, priority: c_int) -> Answer<c_int> {
    living(thread)?.thread.schedule.set_priority(priority).map(|()| 0).map_err(Miss::Errno)
}

/// `sched_setscheduler`: as `pthread_setschedparam`, by tid; 0 is the caller. A tid of no green thread's is libc's (ESRCH).
pub unsafe fn sched_setscheduler(tid: pid_t, policy: c_int, param: *const sched_param) -> Answer<c_int> {
    set_policy(by_tid(tid)?, policy, param)
}

/// `sched_getscheduler`: the policy that is kept, with SCHED_RESET_ON_FORK if that was set; by tid. Never fails for a green thread.
pub unsafe fn sched_getscheduler(tid: pid_t) -> Answer<c_int> {
    Ok(by_tid(tid)?.thread.schedule.policy())
}

/// `sched_setparam`: as `pthread_setschedprio`, by tid.
pub unsafe fn sched_setparam(tid: pid_t, param: *const sched_param) -> Answer<c_int> {
    by_tid(tid)?.thread.schedule.set_priority(read_priority(param)?).map(|()| 0).map_err(Miss::Errno)
}

/// `sched_getparam`: the priority that is kept, by tid; the kernel writes first, so a bad pointer is EFAULT.
pub unsafe fn sched_getparam(tid: pid_t, param: *mut sched_param) -> Answer<c_int> {
    let green = by_tid(tid)?;
    answer::<c_int>(sys::call(SYS_sched_getparam, 0, param as usize, 0, 0, 0, 0))?;
    (*param).sched_priority = green.thread.schedule.priority();
    Ok(0)
}

/// sched_attr of linux/sched/types.h. A program may know a beginning of it only, and `bytes` says how long its own is.
#[repr(C)]
struct Attributes {
    /// The structure's size, by the program.
    bytes: u32,
    /// SCHED_OTHER and its like, without SCHED_RESET_ON_FORK: that is a bit of `flags` here.
    policy: u32,
    flags: u64,
    /// Counts for SCHED_OTHER and SCHED_BATCH.
    nice: i32,
    /// Counts for SCHED_FIFO and SCHED_RR.
    priority: u32,
}

/// The policy that has a run time and a deadline: only the kernel can keep it.
const SCHED_DEADLINE: u32 = 6;

/// linux/sched.h: the policy stays as it is (SCHED_FLAG_KEEP_POLICY).
const KEEP_POLICY: u64 = 8;
/// Priority and nice value stay as they are (SCHED_FLAG_KEEP_PARAMS).
const KEEP_PARAMETERS: u64 = 0x10;
/// What threads and processes made by this one inherit is reset (SCHED_FLAG_RESET_ON_FORK).
const FLAG_RESET_ON_FORK: u64 = 1;

/// The system call sched_setattr: keeps policy, priority and nice value, as `sched_setscheduler`. Returns 0, or the kernel's error:
/// EINVAL, E2BIG, EFAULT, EPERM. Called by any thread; a tid of no green thread's is the kernel's.
///
/// Only a kernel thread can have a deadline or a clamped utilisation. A thread may set them for itself, and is alone from then on;
/// for another it is EPERM.
pub unsafe fn sched_setattr(tid: pid_t, attributes: usize, flags: usize) -> Answer<c_long> {
    // The kernel reads the structure, whose size may be any version's, before it looks for the thread.
    match sys::call(SYS_sched_setattr, NOBODY, attributes, flags, 0, 0, 0) as c_int {
        error if error == -ESRCH && tid >= 0 => {}
        _ if tid < 0 => return errno(EINVAL),
        error => return errno(-error),
    }
    let (green, wanted) = (by_tid(tid)?, &*(attributes as *const Attributes));
    if wanted.policy == SCHED_DEADLINE || wanted.flags & !(FLAG_RESET_ON_FORK | KEEP_POLICY | KEEP_PARAMETERS) != 0 {
        if !is_me(green) {
            return errno(EPERM);
        }
        let done = answer(sys::call(SYS_sched_setattr, 0, attributes, flags, 0, 0, 0))?;
        alone::stay();
        return Ok(done);
    }
    let schedule = &green.thread.schedule;
    let reset = if wanted.flags & FLAG_RESET_ON_FORK != 0 { RESET_ON_FORK } else { 0 };
    // A policy that is kept keeps its flag, too.
    let policy = if wanted.flags & KEEP_POLICY != 0 { schedule.policy() } else { wanted.policy as c_int | reset };
    let (priority, nice) = if wanted.flags & KEEP_PARAMETERS != 0 {
        (schedule.priority(), None)
    } else {
        (wanted.priority as c_int, Some(wanted.nice))
    };
    schedule.set_all(policy, priority, nice).map(|()| 0).map_err(Miss::Errno)
}

/// The system call sched_getattr: the kernel tells of the stand-in, in the size that is asked for, with its errors. Policy,
/// priority, nice value and the reset flag that are kept for the green thread go over it; a SCHED_DEADLINE policy is the kernel's.
pub unsafe fn sched_getattr(tid: pid_t, attributes: usize, bytes: usize, flags: usize) -> Answer<c_long> {
    let green = by_tid(tid)?;
    let kernel_tid = stand_in(green.tid()) as usize;
    let told = answer(sys::call(SYS_sched_getattr, kernel_tid, attributes, bytes, flags, 0, 0))?;
    let attributes = &mut *(attributes as *mut Attributes);
    if attributes.policy == SCHED_DEADLINE {
        return Ok(told);
    }
    let policy = green.thread.schedule.policy();
    let is_real_time = is_real_time(policy & !RESET_ON_FORK);
    attributes.policy = (policy & !RESET_ON_FORK) as u32;
    attributes.flags &= !FLAG_RESET_ON_FORK;
    attributes.flags |= if policy & RESET_ON_FORK != 0 { FLAG_RESET_ON_FORK } else { 0 };
    attributes.nice = if is_real_time { 0 } else { green.thread.schedule.nice() };
    attributes.priority = green.thread.schedule.priority() as u32;
    Ok(told)
}

/// `setpriority`: the nice value of one thread is kept; those of groups and users are the kernel's. EACCES for a lower value that
/// neither RLIMIT_NICE nor a capability allows. A value beyond -20 … 19 is cut, as by the kernel.
pub unsafe fn setpriority(which: c_uint, who: id_t, value: c_int) -> Answer<c_int> {
    if which != PRIO_PROCESS as c_uint {
        return Err(Miss::Libc);
    }
    by_tid(who as pid_t)?.thread.schedule.set_nice(value).map(|()| 0).map_err(Miss::Errno)
}

/// `getpriority`: the nice value that is kept, or the process's. A result of -1 is a value, as natively: errno tells
/// (getpriority(2)).
pub unsafe fn getpriority(which: c_uint, who: id_t) -> Answer<c_int> {
    if which != PRIO_PROCESS as c_uint {
        return Err(Miss::Libc);
    }
    Ok(by_tid(who as pid_t)?.thread.schedule.nice())
}

/// The system call getpriority: 20 less the nice value, for its answer is never negative (getpriority(2), "C library/kernel
/// differences").
pub unsafe fn raw_getpriority(which: c_uint, who: id_t) -> Answer<c_long> {
    getpriority(which, who).map(|nice| 20 - nice as c_long)
}

/// `sched_rr_get_interval`: the interval of the kernel thread at hand, for policies are kept and not applied.
pub unsafe fn sched_rr_get_interval(tid: pid_t, time: *mut timespec) -> Answer<c_int> {
    by_tid(tid)?;
    answer(sys::call(SYS_sched_rr_get_interval, 0, time as usize, 0, 0, 0, 0))
}

/// `nice`: changes the caller's own nice value, and returns the new one. EPERM where the kernel would refuse it: glibc turns EACCES
/// into EPERM (sysdeps/posix/nice.c). A foreign thread's call is libc's.
pub unsafe fn nice(step: c_int) -> Answer<c_int> {
    let schedule = &me()?.thread.schedule;
    // The sum wraps as in glibc.
    match schedule.set_nice(schedule.nice().wrapping_add(step)) {
        Ok(()) => Ok(schedule.nice()),
        Err(_) => errno(EPERM),
    }
}
