//! Waits for signals: until a handler has run (sigsuspend, sigpause), or until one of a set can be taken (sigwait and its relatives).

use crate::base::own_fds;
use crate::base::signal_set::{self, bit};
use crate::hooks::answer::{errno, Answer, Miss};
use crate::hooks::memory::{self, read_mask};
use crate::hooks::moment;
use crate::hooks::named::me;
use crate::hooks::signal::action::{borrow, return_borrowed};
use crate::hooks::signal::send::sendable;
use crate::runtime::machine::parts::Green;
use crate::runtime::news::record::{self, FdWait, IN};
use crate::runtime::signal::{delivery, shelf, sweep};
use crate::runtime::waiting::{masked, readiness};
use crate::runtime::{self, Deadline, Woken};
use crate::sys::{self, older};
use crate::why::Why;
use libc::*;

/// `sigsuspend`: waits with another mask until a handler has run: always EINTR, or EFAULT for a mask that cannot be read. A cancellation
/// point.
pub unsafe fn sigsuspend(mask: *const sigset_t) -> Answer<c_int> {
    masked::suspend(me()?, read_mask(mask)?);
    errno(EINTR)
}

/// BSD's sigpause: the mask's first word.
pub unsafe fn sigpause(mask: c_int) -> Answer<c_int> {
    masked::suspend(me()?, mask as u32 as u64);
    errno(EINTR)
}

/// X/Open's: the mask in force without one signal.
pub unsafe fn xpg_sigpause(number: c_int) -> Answer<c_int> {
    if number == 0 {
        return errno(EINVAL);
    }
    sendable(number)?;
    masked::suspend(me()?, me()?.mask.get() & !bit(number));
    errno(EINTR)
}

/// Waits for a signal of the set, which is blocked meanwhile. A signal to the thread comes into its queue, one to the process makes
/// a private descriptor readable; both are looked at after each wake. A cancellation point.
unsafe fn wait_for(set: *const sigset_t, deadline: Deadline) -> Answer<siginfo_t> {
    let me = me()?;
    let set = read_mask(set)? & signal_set::CLOSED;
    runtime::cancellation_point();
    let before = me.mask.get();
    if set & !before != 0 {
        delivery::set_mask(me, before | set);
    }
    me.waits_for.set(set);
    let taken = match sweep::take(me, set) {
        Some(info) => Ok(info),
        None if deadline == Some(0) => errno(EAGAIN),
        None => wait_to_take(me, set, deadline),
    };
    me.waits_for.replace(0);
    shelf::hand_on(me);
    if set & !before != 0 {
        delivery::set_mask(me, before);
    }
    taken
}

/// Waits for a signal of the set, which none of the caller's queues has yet. Main has the kernel's own preference taken from it meanwhile
/// (`borrow`).
fn wait_to_take(me: &Green, set: u64, deadline: Deadline) -> Answer<siginfo_t> {
    let borrowed = if me.is_main { borrow(set) } else { 0 };
    let taken = take_one(me, set, deadline);
    return_borrowed(borrowed);
    if taken.is_err() {
        runtime::cancellation_point();
    }
    taken
}

/// Takes a signal of the set as soon as there is one: EAGAIN when the time is up, EINTR after a handler, or the error with which no
/// descriptor could be made.
fn take_one(me: &Green, set: u64, deadline: Deadline) -> Answer<siginfo_t> {
    let answer = loop {
        let known = record::record(me.private_fd.get()).map(|record| record.look());
        if let Some(info) = sweep::take(me, set) {
            break Ok(info);
        }
        if deadline.is_some_and(|deadline| deadline <= sys::now_ns()) {
            break errno(EAGAIN);
        }
        let Some(known) = known else {
            match older::signal_fd(-1, set) {
                Ok(fd) => me.private_fd.set(own_fds::keep(fd)),
                Err(number) => break errno(number),
            }
            continue;
        };
        match readiness::wait(Why::Signal, FdWait::new(me.private_fd.get(), IN), known, deadline).0 {
            Woken::Interrupted => break sweep::take(me, set).ok_or(Miss::Errno(EINTR)),
            Woken::Cancelled => break errno(EINTR),
            _ => {}
        }
    };
    readiness::release_private(me);
    answer
}

/// sigwait is never interrupted.
pub unsafe fn sigwait(set: *const sigset_t, number: *mut c_int) -> Answer<c_int> {
    loop {
        match wait_for(set, None) {
            Err(Miss::Errno(EINTR)) => {}
            Err(miss) => return Err(miss),
            Ok(info) => {
                *number = info.si_signo;
                return Ok(0);
            }
        }
    }
}

/// `sigwaitinfo`: waits without an end for a signal of the set; EINTR if the handler of another one has run. A cancellation point.
pub unsafe fn sigwaitinfo(set: *const sigset_t, info: *mut siginfo_t) -> Answer<c_int> {
    fill_info(info, wait_for(set, None)?)
}

/// `sigtimedwait`: as `sigwaitinfo`, for a length of time, after which it is EAGAIN.
pub unsafe fn sigtimedwait(set: *const sigset_t, info: *mut siginfo_t, timeout: *const timespec) -> Answer<c_int> {
    if timeout.is_null() {
        return sigwaitinfo(set, info);
    }
    // The kernel reads both before it looks at either.
    read_mask(set)?;
    let ns = moment::nanoseconds(&memory::read(timeout)?)?;
    fill_info(info, wait_for(set, if ns == 0 { Some(0) } else { moment::after(ns) })?)
}

/// Writes what was taken where the program wants it, and returns its number. EFAULT loses the signal, as natively.
unsafe fn fill_info(info: *mut siginfo_t, taken: siginfo_t) -> Answer<c_int> {
    let mut told = taken;
    if taken.si_code == SI_TKILL {
        told.si_code = SI_USER; // glibc's own habit
    }
    memory::write_if_wanted(info, told).map(|()| taken.si_signo)
}
