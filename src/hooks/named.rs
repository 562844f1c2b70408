//! The green thread that a call names: the caller, or by pthread_t, tid, or CPU clock; and the kernel thread that stands for one.

use crate::hooks::answer::{errno, Answer, Miss};
use crate::runtime::machine::parts::Green;
use crate::runtime::machine::roll;
use crate::runtime::{self, current};
use crate::sys;
use libc::*;
use std::sync::atomic::Ordering::Relaxed;

/// Returns the running green thread. The handlers of rows that foreign threads reach, too, leave those to libc by it.
#[inline]
pub fn me() -> Answer<&'static Green> {
    current().ok_or(Miss::Libc)
}

/// Is `green` the running thread?
pub fn is_me(green: &Green) -> bool {
    current().is_some_and(|me| std::ptr::eq(me, green))
}

/// Returns the green thread of a pthread_t, which may have ended; for a foreign thread, and before the start, libc answers.
/// A pthread_t is a TCB, and a green thread's has a word in its TLS that leads to it.
pub fn by_pthread(thread: pthread_t) -> Answer<&'static Green> {
    if !runtime::started() || thread == 0 {
        return Err(Miss::Libc);
    }
    let main = roll::main_or_its_end().filter(|main| main.fs.get() == thread as usize);
    Green::of(thread as usize).or(main).ok_or(Miss::Libc)
}

/// Returns the green thread of a pthread_t if it lives, or ESRCH: natively the kernel knows no other.
pub fn living(thread: pthread_t) -> Answer<&'static Green> {
    match by_pthread(thread)? {
        green if green.has_ended() => errno(ESRCH),
        green => Ok(green),
    }
}

/// Returns the living green thread with this tid; 0 is the caller. Any other tid is for libc and the kernel to judge.
pub fn by_tid(tid: pid_t) -> Answer<&'static Green> {
    if !runtime::started() {
        return Err(Miss::Libc);
    }
    match tid {
        0 => current(),
        tid => roll::find(tid),
    }
    .ok_or(Miss::Libc)
}

/// Returns the process that the kernel would take `pid` for: a thread's tid stands for its process, and so does a green thread's.
pub fn process_of(pid: pid_t) -> pid_t {
    if runtime::started() && roll::find(pid).is_some() {
        sys::process_id()
    } else {
        pid
    }
}

/// The kernel thread that a green thread has for itself, or runs on now.
pub fn kernel_thread_of(green: &Green) -> Option<pid_t> {
    (is_me(green) || green.bound.get()).then(|| green.worker().kernel_tid.load(Relaxed))
}

/// The kernel thread that stands for the green thread with this tid. Any other tid stands for itself.
pub fn stand_in(tid: pid_t) -> pid_t {
    match by_tid(tid) {
        Ok(green) if tid != 0 => kernel_thread_of(green).unwrap_or_else(sys::process_id),
        _ => tid,
    }
}

/// The number of a thread's CPU clock, and back (source: the kernel's posix-timers.h).
pub fn clock_of(green: &Green) -> clockid_t {
    !green.tid() << 3 | CLOCK_OF_THREAD
}

const CLOCK_OF_THREAD: clockid_t = 6;

/// The green thread whose CPU time a clock tells. (Its user time alone nobody counts: told as all of it.)
pub fn by_clock(clock: clockid_t) -> Answer<&'static Green> {
    const OF_THREAD: clockid_t = 4;
    /// A descriptor's, and no CPU clock.
    const OF_DESCRIPTOR: clockid_t = 3;
    match clock {
        CLOCK_THREAD_CPUTIME_ID => me(),
        clock if clock < 0 && clock & OF_THREAD != 0 && clock & 3 != OF_DESCRIPTOR => by_tid(!(clock >> 3)),
        _ => Err(Miss::Libc),
    }
}
