//! Waits for signals: until a handler has run (sigsuspend, sigpause), or until one of a set can be taken (sigwait and its relatives).
//!
//! A handler's SA_RESTART means nothing to these calls: signal(7) lists them among those that always fail with EINTR. sigwait alone goes
//! on, by glibc's own loop.

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

/// `sigsuspend`: parks with `mask` in force until a handler has run, and puts the mask before back. Always fails: with EFAULT for a
/// mask that cannot be read, which comes before the wait, else with EINTR.
/// SA_RESTART changes nothing: the kernel's call ends with ERESTARTNOHAND (kernel/signal.c). A handler runs with `mask` in force,
/// and what is queued and open by `mask` runs at once. A cancellation point.
pub unsafe fn sigsuspend(mask: *const sigset_t) -> Answer<c_int> {
    masked::suspend(me()?, read_mask(mask)?);
    errno(EINTR)
}

/// BSD's `sigpause`: as `sigsuspend`, with a mask of the first 32 signals; all others are open meanwhile. Always EINTR, after any
/// handler.
pub unsafe fn sigpause(mask: c_int) -> Answer<c_int> {
    masked::suspend(me()?, mask as u32 as u64);
    errno(EINTR)
}

/// X/Open's `__xpg_sigpause`: as `sigsuspend`, with the mask in force less the signal `number`. EINVAL without a wait for 0, for a
/// number beyond 64, and for 32 and 33, which glibc's sigdelset refuses; else EINTR.
pub unsafe fn xpg_sigpause(number: c_int) -> Answer<c_int> {
    if number == 0 {
        return errno(EINVAL);
    }
    sendable(number)?;
    masked::suspend(me()?, me()?.mask.get() & !bit(number));
    errno(EINTR)
}

/// Waits for a signal of `set` until the deadline, and takes it out of its queue. The set is blocked meanwhile, and the mask before is
/// put back at the end. A signal to the thread comes into its queue, a signal to the process makes a private descriptor readable. Both
/// are looked at after each wake. Fails with EFAULT for a set that cannot be read, EAGAIN when the deadline has passed, and EINTR after a
/// handler for another signal, with SA_RESTART or without (kernel/signal.c, do_sigtimedwait). A deadline of 0 looks once and does not
/// park. A cancellation point, before the look and while it is parked.
unsafe fn wait_for(set: *const sigset_t, deadline: Deadline) -> Answer<siginfo_t> {
    let me = me()?;
    let set = read_mask(set)? & signal_set::CLOSED;
    runtime::cancellation_point();
    let before = me.mask.get();
    if set & !before != 0 {
        delivery::set_mask(me, before | set);
    }
    me.signals.waits_for.set(set);
    let taken = match sweep::take(me, set) {
        Some(info) => Ok(info),
        None if deadline == Some(0) => errno(EAGAIN),
        None => wait_to_take(me, set, deadline),
    };
    me.signals.waits_for.replace(0);
    shelf::hand_on(me);
    if set & !before != 0 {
        delivery::set_mask(me, before);
    }
    taken
}

/// Parks for a signal of `set`, of which `wait_for` has found none queued. `borrow` is in force meanwhile if the caller is main. A
/// cancellation that ended the wait acts here, after all is given back; a signal that was taken is never lost to a cancellation.
fn wait_to_take(me: &Green, set: u64, deadline: Deadline) -> Answer<siginfo_t> {
    let borrowed = if me.is_main { borrow(set) } else { 0 };
    let taken = take_one(me, set, deadline);
    return_borrowed(borrowed);
    if taken.is_err() {
        runtime::cancellation_point();
    }
    taken
}

/// Takes a signal of `set` as soon as one is queued. Each round notes the private descriptor's record first and looks into the
/// queues then, so that an event between the look and the park ends the park.
/// Fails with EAGAIN when the deadline has passed, with EINTR after a handler or a cancellation, and with the error number of
/// signalfd4 (EMFILE, ENFILE, ENOMEM) where no private descriptor could be made. That descriptor is released on every path.
fn take_one(me: &Green, set: u64, deadline: Deadline) -> Answer<siginfo_t> {
    let answer = loop {
        let known = record::record(me.wait.private_fd.get()).map(|record| record.look());
        if let Some(info) = sweep::take(me, set) {
            break Ok(info);
        }
        if deadline.is_some_and(|deadline| deadline <= sys::now_ns()) {
            break errno(EAGAIN);
        }
        let Some(known) = known else {
            match older::signal_fd(-1, set) {
                Ok(fd) => me.wait.private_fd.set(own_fds::keep(fd)),
                Err(number) => break errno(number),
            }
            continue;
        };
        match readiness::wait(Why::Signal, FdWait::new(me.wait.private_fd.get(), IN), known, deadline).0 {
            Woken::Interrupted => break sweep::take(me, set).ok_or(Miss::Errno(EINTR)),
            Woken::Cancelled => break errno(EINTR),
            _ => {}
        }
    };
    readiness::release_private(me);
    answer
}

/// `sigwait`: waits without a deadline, and goes on after a handler: glibc calls again after EINTR (sigwait.c). Returns the error
/// number itself, EFAULT for a bad set. `number` is written by glibc, not by the kernel: a bad one crashes here, too. A cancellation
/// point.
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

/// `sigwaitinfo`: waits without a deadline; returns the signal's number. EFAULT for a bad set, before the wait; EINTR after a
/// handler for another signal, whatever its SA_RESTART. A cancellation point.
pub unsafe fn sigwaitinfo(set: *const sigset_t, info: *mut siginfo_t) -> Answer<c_int> {
    fill_info(info, wait_for(set, None)?)
}

/// `sigtimedwait`: as `sigwaitinfo`, for a length of time, and without an end for a null one. The kernel's order (kernel/signal.c):
/// EFAULT for the set, EFAULT for the timeout, EINVAL for a length that is none; EAGAIN when the time is up. A length of zero looks
/// and never parks. A cancellation point.
pub unsafe fn sigtimedwait(set: *const sigset_t, info: *mut siginfo_t, timeout: *const timespec) -> Answer<c_int> {
    if timeout.is_null() {
        return sigwaitinfo(set, info);
    }
    // The kernel copies the set, then the timeout, and judges the timeout last.
    read_mask(set)?;
    let ns = moment::nanoseconds(&memory::read(timeout)?)?;
    fill_info(info, wait_for(set, if ns == 0 { Some(0) } else { moment::after(ns) })?)
}

/// Writes the signal's description to `info`, unless that is null, and returns the signal's number. A bad `info` is EFAULT, and the
/// signal is lost: the kernel takes it from the queue before it copies, too.
/// SI_TKILL is told as SI_USER, as glibc does in sigtimedwait.c for all four of these waits.
unsafe fn fill_info(info: *mut siginfo_t, taken: siginfo_t) -> Answer<c_int> {
    let mut told = taken;
    if taken.si_code == SI_TKILL {
        told.si_code = SI_USER;
    }
    memory::write_if_wanted(info, told).map(|()| taken.si_signo)
}
