//! Timers that name a green thread: as the target of their signal (SIGEV_THREAD_ID), or by its CPU clock.
//!
//! A timer that is to signal a thread signals the process instead, and the runtime passes the signal on
//! (`runtime/signal/thread_timer.rs`). A timer by a thread's CPU clock is one of another clock that the runtime arms when the thread has
//! used so much (`runtime/signal/cpu_timer.rs`). All others are the kernel's.
//!
//! None of these calls waits, and none is a cancellation point. A fork child has no timers (timer_create(2)).

use crate::hooks::answer::{answer, errno, Answer, Miss};
use crate::hooks::{memory, moment, named, real};
use crate::runtime::machine::roll;
use crate::runtime::signal::{cpu_timer, thread_timer};
use crate::{glibc, sys};
use libc::*;

/// Makes a timer by `make`, with the clock and the sigevent that the kernel is to be told. Returns libc's name of the timer. Called
/// by `timer_create` and `create_by_number`, on any thread.
/// A green thread's tid as the target becomes SIGEV_SIGNAL, and its CPU clock becomes CLOCK_MONOTONIC. `Err(Miss::Libc)`: the timer
/// names no green thread, and nothing has been made. EAGAIN: no room is left to note the target, and the kernel's timer is deleted
/// again; timer_create(2) gives EAGAIN for want of memory, too.
unsafe fn create(
    clock: clockid_t,
    event: *mut sigevent,
    make: impl FnOnce(clockid_t, *mut sigevent) -> Answer<usize>,
) -> Answer<usize> {
    let directed = event
        .as_ref()
        .filter(|event| event.sigev_notify == SIGEV_THREAD_ID && roll::find(event.sigev_notify_thread_id).is_some());
    let watched = named::by_clock(clock).ok();
    if directed.is_none() && watched.is_none() {
        return Err(Miss::Libc);
    }
    let mut told = event.as_ref().copied();
    if let Some(told) = told.as_mut().filter(|_| directed.is_some()) {
        told.sigev_notify = SIGEV_SIGNAL;
    }
    let told = told.as_mut().map_or(std::ptr::null_mut(), |told| told as *mut sigevent);
    let handle = make(if watched.is_some() { CLOCK_MONOTONIC } else { clock }, told)?;
    let number = glibc::kernel_timer(handle);
    if directed.is_some_and(|event| !thread_timer::direct(number, event.sigev_notify_thread_id)) {
        real::timer_delete(handle as *mut c_void);
        return errno(EAGAIN);
    }
    if let Some(green) = watched {
        cpu_timer::add(handle, number, green);
    }
    Ok(handle)
}

/// `timer_create`: timers that name a green thread are made by `create`; all others are libc's. Errors are libc's, and EAGAIN by
/// `create`. `event` and `timer` are touched without asking, as by glibc (a bad one crashes).
pub unsafe fn timer_create(clock: clockid_t, event: *mut sigevent, timer: *mut *mut c_void) -> Answer<c_int> {
    create(clock, event, |clock, event| match real::timer_create(clock, event, timer) {
        0 => Ok(*timer as usize),
        _ => errno(glibc::errno()),
    })
    .map(|_| 0)
}

/// The system call timer_create: as the function, but `timer` gets the kernel's number, an int. EFAULT for a bad `event` before
/// anything is made; for a bad `timer` by the kernel.
pub unsafe fn create_by_number(clock: clockid_t, event: *mut sigevent, timer: usize) -> Answer<c_long> {
    if !event.is_null() && !memory::can_read(event as usize, size_of::<sigevent>()) {
        return errno(EFAULT);
    }
    create(clock, event, |clock, event| {
        answer::<c_long>(sys::call(SYS_timer_create, clock as usize, event as usize, timer, 0, 0, 0))?;
        Ok(*(timer as *const c_int) as usize)
    })
    .map(|_| 0)
}

/// `timer_delete`: forgets what the runtime keeps of a timer. libc deletes it, and answers for a bad one (EINVAL).
pub unsafe fn timer_delete(timer: *mut c_void) -> Answer<c_int> {
    cpu_timer::forget(timer as usize);
    // A handle of more than 32 bits leads to what glibc keeps of a timer with SIGEV_THREAD (kernel-posix-timers.h), whose target is a
    // helper thread of glibc's.
    if let Ok(number) = i32::try_from(timer as isize) {
        thread_timer::forget(number);
    }
    Err(Miss::Libc)
}

/// `timer_settime`: sets a timer by a green thread's CPU clock, by a length of CPU time or with TIMER_ABSTIME a moment of that
/// clock. All other timers, and a null `new` (EINVAL), are the kernel's.
/// Order: EFAULT for `new`, EINVAL for a value or interval that is none, ESRCH when the thread has ended, EFAULT for `old`, after
/// the change, as in kernel/time/posix-timers.c.
pub unsafe fn timer_settime(
    timer: *mut c_void,
    flags: c_int,
    new: *const itimerspec,
    old: *mut itimerspec,
) -> Answer<c_int> {
    let handle = timer as usize;
    if !cpu_timer::is_one(handle) || new.is_null() {
        return Err(Miss::Libc);
    }
    let itimerspec { it_interval, it_value } = memory::read(new)?;
    let (value, interval) = (moment::nanoseconds(&it_value)?, moment::nanoseconds(&it_interval)?);
    let before = cpu_timer::set(handle, flags & TIMER_ABSTIME != 0, value, interval);
    write_setting(old, before.ok_or(Miss::Errno(ESRCH))?)
}

/// `timer_gettime`: what is left of a timer by a green thread's CPU clock, and its interval. EFAULT for a null or bad `now`. All
/// other timers are the kernel's.
pub unsafe fn timer_gettime(timer: *mut c_void, now: *mut itimerspec) -> Answer<c_int> {
    let setting = cpu_timer::setting(timer as usize).ok_or(Miss::Libc)?;
    if now.is_null() {
        return errno(EFAULT);
    }
    write_setting(now, setting)
}

/// Writes a timer's setting (nanoseconds left, interval in nanoseconds) to `to`, unless that is null. EFAULT where it cannot be
/// written.
unsafe fn write_setting(to: *mut itimerspec, (left, interval): cpu_timer::Setting) -> Answer<c_int> {
    let told = itimerspec { it_interval: sys::timespec(interval), it_value: sys::timespec(left) };
    memory::write_if_wanted(to, told).map(|()| 0)
}
