//! The time and the signal mask of calls on several descriptors: poll, select, epoll_wait and their relatives.
//!
//! A call with a signal mask other than the one in force leaves the wait to the kernel, which swaps the masks in one step with the wait.

use crate::hooks::answer::{answer, Answer};
use crate::hooks::io::kernel::plain;
use crate::hooks::memory::read_mask;
use crate::hooks::moment;
use crate::runtime::waiting::masked;
use crate::runtime::{self, Deadline};
use crate::sys;
use libc::{c_int, sigset_t, timespec};

/// No time at all: the kernel is to look, and not to wait.
pub const NO_TIME: timespec = timespec { tv_sec: 0, tv_nsec: 0 };

/// The time that a call has, counted from now.
#[derive(Clone, Copy)]
pub enum Time {
    /// The call looks, and does not park.
    None,
    /// The call parks until then; `None` has no end.
    Until(Deadline),
}

impl Time {
    /// Begins a time of `ms` milliseconds from now, as poll and epoll_wait have it: 0 only looks, a negative one has no end.
    pub fn of_ms(ms: c_int) -> Time {
        match ms {
            0 => Time::None,
            1.. => Time::of_ns(ms as u64 * 1_000_000),
            _ => Time::Until(None),
        }
    }

    /// Begins a time of `ns` nanoseconds from now. A sum that does not fit is cut to the last moment that does.
    pub fn of_ns(ns: u64) -> Time {
        if ns == 0 {
            return Time::None;
        }
        Time::Until(Some(sys::now_ns().saturating_add(ns)))
    }

    /// Begins a time as ppoll and pselect have it; a null one has no end. `None`: negative, or more nanoseconds than a second has.
    ///
    /// # Safety
    /// `time` is null or can be read.
    pub unsafe fn of_timespec(time: *const timespec) -> Option<Time> {
        let Some(time) = time.as_ref() else { return Some(Time::Until(None)) };
        moment::nanoseconds(time).ok().map(Time::of_ns)
    }
}

/// Returns what is left until a deadline, at least 0, for the kernel's own calls; `None` for no end.
pub fn left(deadline: Deadline) -> Option<timespec> {
    deadline.map(|deadline| sys::timespec(deadline.saturating_sub(sys::now_ns())))
}

/// Returns the time's address for a system call; null without one.
pub fn pointer(time: &Option<timespec>) -> usize {
    time.as_ref().map_or(0, |time| time as *const timespec as usize)
}

/// Does the call wait with the mask that is in force: none given, or the same? Then it may park. A mask that cannot be read answers
/// no: the kernel is to refuse it with EFAULT. On a foreign thread no mask is in force, so every mask answers no.
pub unsafe fn keeps(mask: *const sigset_t) -> bool {
    let in_force = |mask| runtime::current().is_some_and(|me| me.mask.get() == mask);
    mask.is_null() || read_mask(mask).is_ok_and(in_force)
}

/// Makes a waiting call with another mask: the kernel waits, and swaps the masks in one step, as ppoll(2) demands. `call` gets the
/// address of the mask that the kernel is to use, in which the runtime's own signals are open. A mask that cannot be read is handed
/// on as it came, and the kernel says EFAULT. The thread keeps its kernel thread meanwhile, with the slot offered. A cancellation
/// point.
pub unsafe fn masked(mask: *const sigset_t, call: impl FnOnce(usize) -> isize) -> Answer<c_int> {
    let Ok(mask) = read_mask(mask) else { return plain(|| call(mask as usize)) };
    let open = sys::without_kept_open(mask);
    answer(masked::while_masked(mask, || call(&raw const open as usize)))
}

/// Ends a call that did not wait: makes an answer of the kernel's result. Other green threads run first if it found nothing, for the
/// program may ask in a loop until one of them has brought the event about.
pub fn at_once(seen: isize) -> Answer<c_int> {
    if seen == 0 {
        runtime::yield_now();
    } else {
        runtime::breathe();
    }
    answer(seen)
}
