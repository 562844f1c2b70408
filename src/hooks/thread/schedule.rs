//! What a thread is asked about itself where glibc would ask the kernel about the thread's own kernel thread, which a green thread has
//! not: its name, its processors, its policy, priority and nice value, its CPU time. By pthread_t, or by tid.
//!
//! Where the program's memory is read or written the kernel does it first, on the kernel thread at hand, so that a bad pointer or a
//! bad size gets the kernel's own answer.

use crate::hooks::answer::{answer, errno, Answer, Miss};
use crate::hooks::real;
use crate::hooks::thread::create::green;
use crate::runtime::current;
use crate::runtime::kernel::alone;
use crate::runtime::machine::green::Green;
use crate::runtime::machine::schedule::{is_real_time, RESET_ON_FORK};
use crate::runtime::machine::{kernel_state, roll};
use crate::sys;
use libc::*;

/// One that lives: natively the kernel knows no other.
unsafe fn living(thread: pthread_t) -> Result<&'static Green, Miss> {
    match green(thread)? {
        green if green.has_ended() => errno(ESRCH),
        green => Ok(green),
    }
}

fn me() -> Result<&'static Green, Miss> {
    current().ok_or(Miss::Libc)
}

/// The green thread with this tid; 0 is the caller.
fn by_tid(tid: pid_t) -> Result<&'static Green, Miss> {
    if tid == 0 {
        return me();
    }
    roll::find(tid).ok_or(Miss::Libc)
}

/// A thread's name, with its end.
const NAME_BYTES: usize = 16;

pub type Name = [u8; NAME_BYTES];

/// What ps and /proc show of the process is its first kernel thread's name.
const NAME_OF_PROCESS: &std::ffi::CStr = c"/proc/self/comm";

fn open_name_of_process() -> Answer<usize> {
    let flags = (O_RDWR | O_CLOEXEC) as usize;
    // SAFETY: the kernel reads the string.
    let fd = unsafe { sys::call(SYS_openat, AT_FDCWD as usize, NAME_OF_PROCESS.as_ptr() as usize, flags, 0, 0, 0) };
    answer(fd)
}

unsafe fn set_name(green: &Green, name: Name) -> Answer<c_int> {
    if green.has_ended() {
        return errno(ENOENT);
    }
    if green.is_main {
        match open_name_of_process() {
            Ok(fd) => {
                let length = name.iter().position(|&byte| byte == 0).unwrap_or(NAME_BYTES - 1);
                let written = sys::call(SYS_write, fd, name.as_ptr() as usize, length, 0, 0, 0);
                sys::close(fd as c_int);
                answer::<ssize_t>(written)?;
            }
            // Natively a thread names itself without /proc. What shows from outside is the leader's name, if this runs there.
            Err(_) if is_me(green) => {
                if green.worker().is_leader {
                    sys::set_thread_name(&name);
                }
            }
            Err(miss) => return Err(miss),
        }
    } else if !is_me(green) {
        has_files_of_threads()?;
    }
    *green.name.get() = name;
    Ok(0)
}

fn is_me(green: &Green) -> bool {
    current().is_some_and(|me| std::ptr::eq(me, green))
}

/// Natively another thread's name is reached by its file: where there are none the answer is what opening it would be.
fn has_files_of_threads() -> Answer<()> {
    // SAFETY: the kernel reads the string.
    answer::<c_int>(unsafe { sys::call(SYS_access, NAME_OF_PROCESS.as_ptr() as usize, F_OK as usize, 0, 0, 0, 0) })?;
    Ok(())
}

/// main's may be changed from outside.
pub unsafe fn name_of(green: &Green) -> Answer<Name> {
    crate::hooks::proc::task_file::take_names();
    if green.has_ended() {
        return errno(ENOENT);
    }
    if !green.is_main {
        if !is_me(green) {
            has_files_of_threads()?;
        }
        return Ok(*green.name.get());
    }
    let (mut name, fd) = (
        [0; NAME_BYTES],
        match open_name_of_process() {
            Ok(fd) => fd,
            Err(_) if is_me(green) => return Ok(*green.name.get()),
            Err(miss) => return Err(miss),
        },
    );
    let read = sys::call(SYS_read, fd, name.as_mut_ptr() as usize, NAME_BYTES, 0, 0, 0);
    sys::close(fd as c_int);
    // A line: its end becomes the name's.
    name[answer::<usize>(read)?.clamp(1, NAME_BYTES) - 1] = 0;
    Ok(name)
}

pub unsafe fn pthread_setname_np(thread: pthread_t, name: *const c_char) -> Answer<c_int> {
    let green = green(thread)?;
    let length = strnlen(name, NAME_BYTES);
    if length == NAME_BYTES {
        return errno(ERANGE);
    }
    let mut bytes = [0; NAME_BYTES];
    std::ptr::copy_nonoverlapping(name as *const u8, bytes.as_mut_ptr(), length);
    set_name(green, bytes)
}

pub unsafe fn pthread_getname_np(thread: pthread_t, name: *mut c_char, room: size_t) -> Answer<c_int> {
    let green = green(thread)?;
    if room < NAME_BYTES {
        return errno(ERANGE);
    }
    // Natively the kernel writes it: its own thread's by prctl, another's by read.
    if !sys::can_write(name as usize, NAME_BYTES) {
        return errno(EFAULT);
    }
    *(name as *mut Name) = name_of(green)?;
    Ok(0)
}

/// prctl(PR_SET_NAME): the kernel takes the name down and cuts it; its thread then has its own again.
pub unsafe fn set_own_name(name: usize) -> Answer<c_int> {
    let before = sys::thread_name();
    answer::<c_int>(sys::call(SYS_prctl, PR_SET_NAME as usize, name, 0, 0, 0, 0))?;
    let given = sys::thread_name();
    sys::call(SYS_prctl, PR_SET_NAME as usize, before.as_ptr() as usize, 0, 0, 0, 0);
    set_name(me()?, given)
}

/// prctl(PR_GET_NAME).
pub unsafe fn own_name(name: usize) -> Answer<c_int> {
    answer::<c_int>(sys::call(SYS_prctl, PR_GET_NAME as usize, name, 0, 0, 0, 0))?;
    *(name as *mut Name) = name_of(me()?)?;
    Ok(0)
}

fn set_processors(green: &'static Green, size: size_t, set: *const cpu_set_t) -> Answer<c_int> {
    let possible = kernel_state::possible(size, set as usize).map_err(Miss::Errno)?;
    kernel_state::set_processors(green, possible, current().is_some_and(|me| std::ptr::eq(me, green)));
    Ok(0)
}

/// As the system call: how many bytes the kernel tells.
unsafe fn tell_processors(green: &Green, size: size_t, set: *mut cpu_set_t) -> Answer<size_t> {
    let told: size_t = answer(sys::call(SYS_sched_getaffinity, 0, size, set as usize, 0, 0, 0))?;
    let processors = kernel_state::processors(green);
    std::ptr::write_bytes(set as *mut u8, 0, size);
    std::ptr::copy_nonoverlapping(processors.as_ptr() as *const u8, set as *mut u8, told.min(size_of_val(&processors)));
    Ok(told)
}

unsafe fn get_processors(green: &Green, size: size_t, set: *mut cpu_set_t) -> Answer<c_int> {
    tell_processors(green, size, set).map(|_| 0)
}

pub unsafe fn raw_getaffinity(tid: pid_t, size: size_t, set: *mut cpu_set_t) -> Answer<c_long> {
    tell_processors(by_tid(tid)?, size, set).map(|told| told as c_long)
}

pub unsafe fn pthread_setaffinity_np(thread: pthread_t, size: size_t, set: *const cpu_set_t) -> Answer<c_int> {
    set_processors(green(thread)?, size, set)
}

pub unsafe fn pthread_getaffinity_np(thread: pthread_t, size: size_t, set: *mut cpu_set_t) -> Answer<c_int> {
    get_processors(green(thread)?, size, set)
}

pub unsafe fn sched_setaffinity(tid: pid_t, size: size_t, set: *const cpu_set_t) -> Answer<c_int> {
    set_processors(by_tid(tid)?, size, set)
}

pub unsafe fn sched_getaffinity(tid: pid_t, size: size_t, set: *mut cpu_set_t) -> Answer<c_int> {
    get_processors(by_tid(tid)?, size, set)
}

/// The tid of no thread.
const NOBODY: usize = 1 << 30;

/// The priority that the program points to; the kernel reads it first, for a thread that there is not.
unsafe fn read_priority(param: *const sched_param) -> Answer<c_int> {
    match sys::call(SYS_sched_setscheduler, NOBODY, SCHED_OTHER as usize, param as usize, 0, 0, 0) as c_int {
        error if error == -ESRCH => Ok((*param).sched_priority),
        error => errno(-error),
    }
}

unsafe fn set_policy(green: &Green, policy: c_int, param: *const sched_param) -> Answer<c_int> {
    if policy < 0 {
        return errno(EINVAL);
    }
    green.schedule.set(policy, read_priority(param)?).map(|()| 0).map_err(Miss::Errno)
}

pub unsafe fn pthread_getschedparam(thread: pthread_t, policy: *mut c_int, param: *mut sched_param) -> Answer<c_int> {
    let green = living(thread)?;
    *policy = green.schedule.policy();
    (*param).sched_priority = green.schedule.priority();
    Ok(0)
}

pub unsafe fn pthread_setschedparam(thread: pthread_t, policy: c_int, param: *const sched_param) -> Answer<c_int> {
    set_policy(living(thread)?, policy, param)
}

pub unsafe fn pthread_setschedprio(thread: pthread_t, priority: c_int) -> Answer<c_int> {
    living(thread)?.schedule.set_priority(priority).map(|()| 0).map_err(Miss::Errno)
}

pub unsafe fn sched_setscheduler(tid: pid_t, policy: c_int, param: *const sched_param) -> Answer<c_int> {
    set_policy(by_tid(tid)?, policy, param)
}

pub unsafe fn sched_getscheduler(tid: pid_t) -> Answer<c_int> {
    Ok(by_tid(tid)?.schedule.policy())
}

pub unsafe fn sched_setparam(tid: pid_t, param: *const sched_param) -> Answer<c_int> {
    by_tid(tid)?.schedule.set_priority(read_priority(param)?).map(|()| 0).map_err(Miss::Errno)
}

pub unsafe fn sched_getparam(tid: pid_t, param: *mut sched_param) -> Answer<c_int> {
    let green = by_tid(tid)?;
    answer::<c_int>(sys::call(SYS_sched_getparam, 0, param as usize, 0, 0, 0, 0))?;
    (*param).sched_priority = green.schedule.priority();
    Ok(0)
}

/// linux/sched/types.h: sched_attr, of which a program may know a beginning only.
#[repr(C)]
struct Attributes {
    bytes: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
}

/// The policy that has a run time and a deadline: only the kernel can keep it.
const SCHED_DEADLINE: u32 = 6;
/// linux/sched.h: policy and numbers that stay as they are.
const KEEP_POLICY: u64 = 8;
const KEEP_PARAMETERS: u64 = 0x10;
const FLAG_RESET_ON_FORK: u64 = 1;

/// Kept as sched_setscheduler's are. What only a kernel thread can have (a deadline, a clamped utilisation) its own thread may set, and
/// stays alone with it.
pub unsafe fn sched_setattr(tid: pid_t, attributes: usize, flags: usize) -> Answer<c_long> {
    // The kernel reads the structure, whose size may be any version's, before it looks for the thread.
    match sys::call(SYS_sched_setattr, NOBODY, attributes, flags, 0, 0, 0) as c_int {
        error if error == -ESRCH && tid >= 0 => {}
        _ if tid < 0 => return errno(EINVAL),
        error => return errno(-error),
    }
    let (green, wanted) = (by_tid(tid)?, &*(attributes as *const Attributes));
    if wanted.policy == SCHED_DEADLINE || wanted.flags & !(FLAG_RESET_ON_FORK | KEEP_POLICY | KEEP_PARAMETERS) != 0 {
        if !current().is_some_and(|me| std::ptr::eq(me, green)) {
            return errno(EPERM);
        }
        let done = answer(sys::call(SYS_sched_setattr, 0, attributes, flags, 0, 0, 0))?;
        alone::stay();
        return Ok(done);
    }
    let schedule = &green.schedule;
    let reset = if wanted.flags & FLAG_RESET_ON_FORK != 0 { RESET_ON_FORK } else { 0 };
    // Who keeps the policy keeps its flag.
    let policy = if wanted.flags & KEEP_POLICY != 0 { schedule.policy() } else { wanted.policy as c_int | reset };
    let (priority, nice) = if wanted.flags & KEEP_PARAMETERS != 0 {
        (schedule.priority(), None)
    } else {
        (wanted.priority as c_int, Some(wanted.nice))
    };
    schedule.set_all(policy, priority, nice).map(|()| 0).map_err(Miss::Errno)
}

/// The kernel tells of the thread at hand, in the size that is asked for; what is kept for the green thread goes over it.
pub unsafe fn sched_getattr(tid: pid_t, attributes: usize, bytes: usize, flags: usize) -> Answer<c_long> {
    let green = by_tid(tid)?;
    let kernel_tid = crate::hooks::thread::tid::stand_in(green.tid()) as usize;
    let told = answer(sys::call(SYS_sched_getattr, kernel_tid, attributes, bytes, flags, 0, 0))?;
    let attributes = &mut *(attributes as *mut Attributes);
    if attributes.policy == SCHED_DEADLINE {
        return Ok(told);
    }
    let policy = green.schedule.policy();
    let is_real_time = is_real_time(policy & !RESET_ON_FORK);
    attributes.policy = (policy & !RESET_ON_FORK) as u32;
    attributes.flags &= !FLAG_RESET_ON_FORK;
    attributes.flags |= if policy & RESET_ON_FORK != 0 { FLAG_RESET_ON_FORK } else { 0 };
    attributes.nice = if is_real_time { 0 } else { green.schedule.nice() };
    attributes.priority = green.schedule.priority() as u32;
    Ok(told)
}

pub unsafe fn setpriority(which: c_uint, who: id_t, value: c_int) -> Answer<c_int> {
    if which != PRIO_PROCESS as c_uint {
        return Err(Miss::Libc);
    }
    by_tid(who as pid_t)?.schedule.set_nice(value).map(|()| 0).map_err(Miss::Errno)
}

pub unsafe fn getpriority(which: c_uint, who: id_t) -> Answer<c_int> {
    if which != PRIO_PROCESS as c_uint {
        return Err(Miss::Libc);
    }
    Ok(by_tid(who as pid_t)?.schedule.nice())
}

/// The system call's answer is never negative.
pub unsafe fn raw_getpriority(which: c_uint, who: id_t) -> Answer<c_long> {
    getpriority(which, who).map(|nice| 20 - nice as c_long)
}

/// The policies are not applied: that of the kernel thread at hand.
pub unsafe fn sched_rr_get_interval(tid: pid_t, time: *mut timespec) -> Answer<c_int> {
    by_tid(tid)?;
    answer(sys::call(SYS_sched_rr_get_interval, 0, time as usize, 0, 0, 0, 0))
}

pub unsafe fn nice(step: c_int) -> Answer<c_int> {
    let schedule = &me()?.schedule;
    // The sum wraps as in glibc.
    match schedule.set_nice(schedule.nice().wrapping_add(step)) {
        Ok(()) => Ok(schedule.nice()),
        Err(_) => errno(EPERM),
    }
}

/// The number of a thread's CPU clock, and back (source: the kernel's posix-timers.h).
fn clock_of(green: &Green) -> clockid_t {
    !green.tid() << 3 | CLOCK_OF_THREAD
}

const CLOCK_OF_THREAD: clockid_t = 6;

/// The green thread whose CPU time a clock tells. (Its user time alone nobody counts: told as all of it.)
pub fn by_clock(clock: clockid_t) -> Result<&'static Green, Miss> {
    const OF_THREAD: clockid_t = 4;
    /// A descriptor's, and no CPU clock.
    const OF_DESCRIPTOR: clockid_t = 3;
    match clock {
        CLOCK_THREAD_CPUTIME_ID => me(),
        clock if clock < 0 && clock & OF_THREAD != 0 && clock & 3 != OF_DESCRIPTOR => by_tid(!(clock >> 3)),
        _ => Err(Miss::Libc),
    }
}

/// The caller's process by the caller's tid: the kernel tells the time of that clock, but makes nothing else with it.
fn is_own_process(clock: clockid_t) -> bool {
    const OF_PROCESS: clockid_t = 2;
    clock < 0
        && clock & 7 == OF_PROCESS
        && by_tid(!(clock >> 3)).is_ok_and(|green| current().is_some_and(|me| std::ptr::eq(me, green)))
}

pub unsafe fn pthread_getcpuclockid(thread: pthread_t, clock: *mut clockid_t) -> Answer<c_int> {
    *clock = clock_of(living(thread)?);
    Ok(0)
}

#[inline]
pub unsafe fn clock_gettime(clock: clockid_t, time: *mut timespec) -> Answer<c_int> {
    if clock >= 0 && clock != CLOCK_THREAD_CPUTIME_ID {
        return Err(Miss::Libc);
    }
    if is_own_process(clock) {
        return Ok(real::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, time));
    }
    let green = by_clock(clock)?;
    let told = real::clock_gettime(CLOCK_THREAD_CPUTIME_ID, time);
    if told == 0 {
        *time = sys::timespec(kernel_state::cpu_ns(green));
    }
    Ok(told)
}

/// A thread's own CPU time is told as the program's, for nobody knows which of it was the kernel's. The rest is the kernel thread's.
pub unsafe fn getrusage(who: c_int, usage: *mut rusage) -> Answer<c_int> {
    if who != RUSAGE_THREAD {
        return Err(Miss::Libc);
    }
    let me = me()?;
    let told = answer(sys::call(SYS_getrusage, who as usize, usage as usize, 0, 0, 0, 0))?;
    let time = sys::timespec(kernel_state::cpu_ns(me));
    (*usage).ru_utime = timeval { tv_sec: time.tv_sec, tv_usec: time.tv_nsec / 1000 };
    (*usage).ru_stime = timeval { tv_sec: 0, tv_usec: 0 };
    Ok(told)
}

pub unsafe fn clock_getres(clock: clockid_t, time: *mut timespec) -> Answer<c_int> {
    if clock >= 0 {
        return Err(Miss::Libc);
    }
    by_clock(clock)?;
    Ok(real::clock_getres(CLOCK_THREAD_CPUTIME_ID, time))
}
