//! Sleeping, and the moments that timed waits are given.
//!
//! A wait's deadline is a moment of CLOCK_MONOTONIC. A moment of another clock is turned into one at entry; the other clock is read
//! first, so that the deadline is never early. Which error comes first (a bad clock, a bad moment, a busy object) is glibc's
//! order, call by call; these are the parts.
//!
//! The sleeping calls hand their pointers to the kernel natively, so a bad one is EFAULT and not a crash: `read` and `write`
//! ask the kernel before they touch it.

use crate::hooks::answer::{code, errno, Answer, Miss};
use crate::hooks::real;
use crate::runtime::machine::kernel_state;
use crate::runtime::{self, Deadline, Woken};
use crate::{glibc, sys};
use libc::{c_int, c_uint, clockid_t, timespec};

const SECOND_NS: u64 = 1_000_000_000;

/// A deadline that has passed.
const PAST: Deadline = Some(0);

/// Until when a call may wait: a moment of a clock, or for ever when there is none.
#[derive(Clone, Copy)]
pub struct Until {
    pub clock: clockid_t,
    pub time: *const timespec,
}

impl Until {
    pub const NEVER: Until = Until { clock: libc::CLOCK_REALTIME, time: std::ptr::null() };

    pub fn is_never(&self) -> bool {
        self.time.is_null()
    }

    /// The deadline; a moment before the clock's beginning has passed, whatever its nanoseconds.
    ///
    /// # Safety
    /// `time` is null or a timespec.
    pub unsafe fn deadline(&self) -> Answer<Deadline> {
        match self.time.as_ref() {
            None => Ok(None),
            Some(time) if time.tv_sec < 0 => Ok(PAST),
            Some(time) => moment(self.clock, time),
        }
    }
}

/// EINVAL for a clock on which libc's timed waits do not wait.
pub fn waitable(clock: clockid_t) -> Answer<()> {
    match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_MONOTONIC => Ok(()),
        _ => errno(libc::EINVAL),
    }
}

/// EINVAL for a moment whose nanoseconds are no part of a second.
///
/// # Safety
/// `time` points to a timespec, as libc demands of its timed waits.
pub unsafe fn valid(time: *const timespec) -> Answer<()> {
    if (0..SECOND_NS as i64).contains(&(*time).tv_nsec) {
        Ok(())
    } else {
        errno(libc::EINVAL)
    }
}

/// A time's length, or EINVAL as the kernel says it. What does not fit is long enough (584 years).
pub fn nanoseconds(time: &timespec) -> Answer<u64> {
    if time.tv_sec < 0 || !(0..SECOND_NS as i64).contains(&time.tv_nsec) {
        return errno(libc::EINVAL);
    }
    Ok((time.tv_sec as u64).saturating_mul(SECOND_NS).saturating_add(time.tv_nsec as u64))
}

/// The deadline `ns` from now.
pub fn after(ns: u64) -> Deadline {
    sys::now_ns().checked_add(ns)
}

/// The deadline at the moment `time` of `clock`.
pub fn moment(clock: clockid_t, time: &timespec) -> Answer<Deadline> {
    let at = nanoseconds(time)?;
    if at == u64::MAX {
        return Ok(None);
    }
    if clock == libc::CLOCK_MONOTONIC {
        return Ok(Some(at));
    }
    match at.saturating_sub(sys::clock_ns(clock).map_err(Miss::Errno)?) {
        0 => Ok(PAST),
        left => Ok(after(left)),
    }
}

/// The time that the program points to, or EFAULT. The kernel is not asked about a variable of a caller.
///
/// # Safety
/// The memory stays mapped meanwhile.
pub unsafe fn read(time: *const timespec) -> Answer<timespec> {
    if !is_callers(time) && !sys::can_read(time as usize, size_of::<timespec>()) {
        return errno(libc::EFAULT);
    }
    Ok(time.read_unaligned())
}

/// Does it lie on this stack, shortly above us? Above every stack there is more: the thread's descriptor, or the environment.
pub fn is_callers<T>(object: *const T) -> bool {
    const SHORTLY: usize = 2048;
    let here = 0u8;
    (object as usize).wrapping_sub(&here as *const u8 as usize) < SHORTLY
}

unsafe fn write(time: *mut timespec, value: timespec) -> Answer<()> {
    if !sys::can_write(time as usize, size_of::<timespec>()) {
        return errno(libc::EFAULT);
    }
    time.write_unaligned(value);
    Ok(())
}

/// Sleeps until the deadline, or until a signal handler has run: true. (A false alarm sleeps on.)
fn is_interrupted(deadline: Deadline) -> bool {
    loop {
        match runtime::sleep_until(deadline) {
            Woken::Interrupted => return true,
            Woken::TimedOut => return false,
            _ => {}
        }
    }
}

/// Sleeps; what was left, in nanoseconds, when a signal handler ended it.
fn rest(ns: u64) -> Result<(), u64> {
    if ns == 0 {
        runtime::cancellation_point();
        runtime::yield_now();
        return Ok(());
    }
    let deadline = after(ns);
    if !is_interrupted(deadline) {
        return Ok(());
    }
    match deadline.map_or(u64::MAX, |deadline| deadline.saturating_sub(sys::now_ns())) {
        0 => Ok(()),
        left => Err(left),
    }
}

pub unsafe fn sleep(seconds: c_uint) -> Answer<c_uint> {
    match rest(seconds as u64 * SECOND_NS) {
        Ok(()) => Ok(0),
        Err(left) => Ok((left / SECOND_NS) as c_uint),
    }
}

pub unsafe fn usleep(microseconds: c_uint) -> Answer<c_int> {
    match rest(microseconds as u64 * 1000) {
        Ok(()) => Ok(0),
        Err(_) => errno(libc::EINTR),
    }
}

pub unsafe fn nanosleep(time: *const timespec, left: *mut timespec) -> Answer<c_int> {
    clock_nanosleep(libc::CLOCK_REALTIME, 0, time, left)
}

pub unsafe fn clock_nanosleep(
    clock: clockid_t,
    flags: c_int,
    time: *const timespec,
    left: *mut timespec,
) -> Answer<c_int> {
    match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_MONOTONIC | libc::CLOCK_BOOTTIME | libc::CLOCK_TAI => {}
        clock if clock < 0 => return sleep_by_clock(clock, flags, time, left),
        // The process's CPU clock ticks in the kernel only; the rest it refuses.
        _ => {
            return code(runtime::waiting::cancel::block(|| {
                glibc::uncancelled(|| real::clock_nanosleep(clock, flags, time, left))
            }))
        }
    }
    let time = read(time)?;
    if flags & libc::TIMER_ABSTIME != 0 {
        return if is_interrupted(moment(clock, &time)?) { errno(libc::EINTR) } else { Ok(0) };
    }
    match rest(nanoseconds(&time)?) {
        Ok(()) => Ok(0),
        Err(_) if left.is_null() => errno(libc::EINTR),
        Err(ns) => write(left, sys::timespec(ns)).and(errno(libc::EINTR)),
    }
}

/// Sleeps until another thread has used so much CPU time. It uses no more than time passes: what it has left is slept, and so on.
unsafe fn sleep_by_clock(clock: clockid_t, flags: c_int, time: *const timespec, left: *mut timespec) -> Answer<c_int> {
    /// The kernel wakes such a sleeper at its ticks.
    const TICK_NS: u64 = 1_000_000;
    let Ok(green) = crate::hooks::thread::schedule::by_clock(clock) else {
        return code(runtime::waiting::cancel::block(|| {
            glibc::uncancelled(|| real::clock_nanosleep(clock, flags, time, left))
        }));
    };
    let tid = green.tid();
    let time = read(time)?;
    let absolute = flags & libc::TIMER_ABSTIME != 0;
    let wanted = nanoseconds(&time)?;
    if runtime::current().is_some_and(|me| std::ptr::eq(me, green)) {
        return errno(libc::EINVAL);
    }
    let until = if absolute { wanted } else { kernel_state::cpu_ns(green).saturating_add(wanted) };
    loop {
        let lives = green.tid() == tid && !green.has_ended();
        let rest = until.saturating_sub(kernel_state::cpu_ns(green));
        if lives && rest == 0 {
            return Ok(0);
        }
        // The clock of one that has ended stands still.
        if is_interrupted(if lives { after(rest.max(TICK_NS)) } else { None }) {
            if !absolute && !left.is_null() {
                write(left, sys::timespec(rest))?;
            }
            return errno(libc::EINTR);
        }
    }
}

pub unsafe fn thrd_sleep(time: *const timespec, left: *mut timespec) -> Answer<c_int> {
    const INTERRUPTED: c_int = -1;
    const FAILED: c_int = -2;
    match clock_nanosleep(libc::CLOCK_REALTIME, 0, time, left) {
        Err(Miss::Errno(libc::EINTR)) => Ok(INTERRUPTED),
        Err(_) => Ok(FAILED),
        slept => slept,
    }
}

pub unsafe fn pause() -> Answer<c_int> {
    is_interrupted(None);
    errno(libc::EINTR)
}

pub unsafe fn sched_yield() -> Answer<c_int> {
    runtime::yield_now();
    runtime::waiting::cancel::asynchronous_point();
    Ok(0)
}

pub unsafe fn thrd_yield() -> Answer<()> {
    sched_yield().map(|_| ())
}
