//! Times and moments as nanoseconds, and as deadlines of waits.
//!
//! A wait's deadline is a moment of CLOCK_MONOTONIC. A moment of another clock is turned into one at entry; the other clock is read
//! first, so that the deadline is never early. Which error comes first (a bad clock, a bad moment, a busy object) is glibc's
//! order, call by call; these are the parts.

use crate::hooks::answer::{errno, Answer, Miss};
use crate::runtime::Deadline;
use crate::sys;
use libc::{clockid_t, timespec, timeval};

/// A second in nanoseconds.
pub const SECOND_NS: u64 = 1_000_000_000;

/// The longest time in nanoseconds that a wait inside libc, or in the kernel by a function of libc's, goes on before it looks for a
/// cancellation.
pub const SLICE_NS: u64 = 50_000_000;

/// A deadline that has passed.
const PAST: Deadline = Some(0);

/// The limit of a wait: a moment of a clock, or none.
#[derive(Clone, Copy)]
pub struct Until {
    /// The clock of `time`.
    pub clock: clockid_t,
    /// The moment; null: there is no limit.
    pub time: *const timespec,
}

impl Until {
    /// The limit of a call that has none.
    pub const NEVER: Until = Until { clock: libc::CLOCK_REALTIME, time: std::ptr::null() };

    /// Has the wait no end?
    pub fn is_never(&self) -> bool {
        self.time.is_null()
    }

    /// Returns the deadline. A moment before the clock's beginning has passed, whatever its nanoseconds: no EINVAL then. Fails as
    /// `moment`.
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

/// Checks a clock. EINVAL for a clock on which libc's timed waits do not wait: all but CLOCK_REALTIME and CLOCK_MONOTONIC.
pub fn waitable(clock: clockid_t) -> Answer<()> {
    match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_MONOTONIC => Ok(()),
        _ => errno(libc::EINVAL),
    }
}

/// Checks a moment: EINVAL where the nanoseconds are no part of a second. A negative second is valid.
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

/// Returns a time's length in nanoseconds, or EINVAL where the kernel says so: a negative time, or more nanoseconds than a second has.
pub fn nanoseconds(time: &timespec) -> Answer<u64> {
    if time.tv_sec < 0 || !(0..SECOND_NS as i64).contains(&time.tv_nsec) {
        return errno(libc::EINVAL);
    }
    Ok(whole(time.tv_sec as u64, time.tv_nsec as u64))
}

/// Returns a length of whole seconds and a rest in nanoseconds. A sum of more than 584 years does not fit, and is cut to that.
fn whole(seconds: u64, rest_ns: u64) -> u64 {
    seconds.saturating_mul(SECOND_NS).saturating_add(rest_ns)
}

/// Returns a timeval's length in nanoseconds. Neither part is negative; the microseconds may be more than a second.
pub fn of_timeval(time: &timeval) -> u64 {
    whole(time.tv_sec as u64, time.tv_usec as u64 * 1000)
}

/// Returns the deadline `ns` nanoseconds from now; `None`, no end, where that does not fit.
pub fn after(ns: u64) -> Deadline {
    sys::now_ns().checked_add(ns)
}

/// Returns the deadline at the moment `time` of `clock`, turned into one of CLOCK_MONOTONIC. EINVAL by `nanoseconds`, and for a
/// clock that the kernel does not read.
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
