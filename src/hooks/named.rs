//! The green thread that a call names: the caller, or by pthread_t, tid, or CPU clock; and the kernel thread that stands for one.

use crate::hooks::answer::{errno, Answer, Miss};
use crate::runtime::machine::parts::Green;
use crate::runtime::machine::roll;
use crate::runtime::{self, current};
use crate::sys;
use libc::*;
use std::sync::atomic::Ordering::Relaxed;

/// Returns the running green thread; on a foreign thread, and before the start, `Err(Miss::Libc)`: handlers of rows that such
/// threads reach leave the call to libc by it.
#[inline]
pub fn me() -> Answer<&'static Green> {
    current().ok_or(Miss::Libc)
}

/// Is `green` the running thread?
pub fn is_me(green: &Green) -> bool {
    current().is_some_and(|me| std::ptr::eq(me, green))
}

/// Returns the green thread of a pthread_t, which may have ended. A pthread_t is the address of a TCB, and a green thread's has a
/// word in its TLS that leads to it: it must be valid, as for libc. `Err(Miss::Libc)` for a foreign thread's, for 0, and before the
/// start.
pub fn by_pthread(thread: pthread_t) -> Answer<&'static Green> {
    if !runtime::started() || thread == 0 {
        return Err(Miss::Libc);
    }
    let main = roll::main_or_its_end().filter(|main| main.fs.get() == thread as usize);
    Green::of(thread as usize).or(main).ok_or(Miss::Libc)
}

/// Returns the green thread of a pthread_t if it has not ended, else ESRCH: natively the kernel does not know the tid any more.
/// `Err(Miss::Libc)` as by `by_pthread`.
pub fn living(thread: pthread_t) -> Answer<&'static Green> {
    match by_pthread(thread)? {
        green if green.has_ended() => errno(ESRCH),
        green => Ok(green),
    }
}

/// Returns the living green thread with this tid; 0 is the caller. `Err(Miss::Libc)` for every other tid, and before the start: libc
/// and the kernel judge those.
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

/// Returns the process that the kernel would take `pid` for. A thread's tid stands for its process in kill and its relatives; so does a
/// green thread's here. All other numbers, negative ones among them, come back as they are.
pub fn process_of(pid: pid_t) -> pid_t {
    if runtime::started() && roll::find(pid).is_some() {
        sys::process_id()
    } else {
        pid
    }
}

/// Returns the tid of the kernel thread that a green thread has for itself; for the caller that of the kernel thread on which it runs
/// now. `None`: `green` is not the caller, and may run on any kernel thread.
pub fn kernel_thread_of(green: &Green) -> Option<pid_t> {
    (is_me(green) || green.thread.bound.get()).then(|| green.worker().kernel_tid.load(Relaxed))
}

/// Returns the tid of the kernel thread that stands for the green thread with this tid: its own (`kernel_thread_of`), else the
/// leader's. 0 and every other tid stand for themselves.
pub fn stand_in(tid: pid_t) -> pid_t {
    match by_tid(tid) {
        Ok(green) if tid != 0 => kernel_thread_of(green).unwrap_or_else(sys::process_id),
        _ => tid,
    }
}

/// Returns the number of a thread's CPU clock, as the kernel makes it (linux/posix-timers.h): the tid's complement above three bits,
/// which say "a thread's, by the scheduler's count".
pub fn clock_of(green: &Green) -> clockid_t {
    !green.tid() << 3 | CLOCK_OF_THREAD
}

/// CPUCLOCK_PERTHREAD_MASK (4) and CPUCLOCK_SCHED (2).
const CLOCK_OF_THREAD: clockid_t = 6;

/// Returns the green thread whose CPU time a clock tells. CPUCLOCK_PROF and CPUCLOCK_VIRT of a thread are told as the whole of it:
/// user time alone is not counted. `Err(Miss::Libc)` for every clock of no green thread's.
pub fn by_clock(clock: clockid_t) -> Answer<&'static Green> {
    const OF_THREAD: clockid_t = 4;
    /// CLOCKFD: the number is a descriptor's, and tells no CPU time.
    const OF_DESCRIPTOR: clockid_t = 3;
    match clock {
        CLOCK_THREAD_CPUTIME_ID => me(),
        clock if clock < 0 && clock & OF_THREAD != 0 && clock & 3 != OF_DESCRIPTOR => by_tid(!(clock >> 3)),
        _ => Err(Miss::Libc),
    }
}
