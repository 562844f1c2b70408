//! Sleeps, and the calls that let others run.
//!
//! The sleeping calls hand their pointers to the kernel natively, so a bad one is EFAULT and not a crash (`memory`).

use crate::hooks::answer::{code, errno, Answer, Miss};
use crate::hooks::moment::{after, moment, nanoseconds, SECOND_NS};
use crate::hooks::{memory, named, real};
use crate::runtime::machine::kernel_state;
use crate::runtime::{self, Deadline, Woken};
use crate::{glibc, sys};
use libc::{c_int, c_uint, clockid_t, timespec};

/// Sleeps until the deadline (false), or until a signal handler has run (true). After a false alarm it sleeps on. A cancellation point.
fn is_interrupted(deadline: Deadline) -> bool {
    loop {
        match runtime::sleep_until(deadline) {
            Woken::Interrupted => return true,
            Woken::TimedOut => return false,
            _ => {}
        }
    }
}

/// Sleeps for `ns` nanoseconds; `Err`: a signal handler ended it, and so many were left. A cancellation point, also for no time at all.
fn sleep_for(ns: u64) -> Result<(), u64> {
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

/// `sleep`: parks; returns 0, or how many whole seconds were left when a handler ended it. A cancellation point.
pub unsafe fn sleep(seconds: c_uint) -> Answer<c_uint> {
    match sleep_for(seconds as u64 * SECOND_NS) {
        Ok(()) => Ok(0),
        Err(left) => Ok((left / SECOND_NS) as c_uint),
    }
}

/// `usleep`: parks; EINTR when a handler has run. A cancellation point.
pub unsafe fn usleep(microseconds: c_uint) -> Answer<c_int> {
    match sleep_for(microseconds as u64 * 1000) {
        Ok(()) => Ok(0),
        Err(_) => errno(libc::EINTR),
    }
}

/// `nanosleep`: a `clock_nanosleep` by CLOCK_REALTIME for a length of time.
pub unsafe fn nanosleep(time: *const timespec, left: *mut timespec) -> Answer<c_int> {
    clock_nanosleep(libc::CLOCK_REALTIME, 0, time, left)
}

/// `clock_nanosleep`: parks for a length of time or until a moment; never restarted. Fails with EFAULT and EINVAL as the kernel does;
/// after a handler with EINTR, and what is left of a length is written to `left`.
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
    let time = memory::read(time)?;
    if flags & libc::TIMER_ABSTIME != 0 {
        return if is_interrupted(moment(clock, &time)?) { errno(libc::EINTR) } else { Ok(0) };
    }
    match sleep_for(nanoseconds(&time)?) {
        Ok(()) => Ok(0),
        Err(_) if left.is_null() => errno(libc::EINTR),
        Err(ns) => memory::write(left, sys::timespec(ns)).and(errno(libc::EINTR)),
    }
}

/// Sleeps until another green thread has used so much CPU time. A thread uses no more CPU time than time passes: so what it has left to use
/// is slept, and then what is left again. EINVAL for the caller's own clock, as natively.
unsafe fn sleep_by_clock(clock: clockid_t, flags: c_int, time: *const timespec, left: *mut timespec) -> Answer<c_int> {
    /// The kernel wakes such a sleeper at its ticks.
    const TICK_NS: u64 = 1_000_000;
    let Ok(green) = named::by_clock(clock) else {
        return code(runtime::waiting::cancel::block(|| {
            glibc::uncancelled(|| real::clock_nanosleep(clock, flags, time, left))
        }));
    };
    let tid = green.tid();
    let time = memory::read(time)?;
    let absolute = flags & libc::TIMER_ABSTIME != 0;
    let wanted = nanoseconds(&time)?;
    if named::is_me(green) {
        return errno(libc::EINVAL);
    }
    let until = if absolute { wanted } else { kernel_state::cpu_ns(green).saturating_add(wanted) };
    loop {
        let lives = green.tid() == tid && !green.has_ended();
        let rest = until.saturating_sub(kernel_state::cpu_ns(green));
        if lives && rest == 0 {
            return Ok(0);
        }
        // The clock of a thread that has ended stands still: the sleep has no end but a handler.
        if is_interrupted(if lives { after(rest.max(TICK_NS)) } else { None }) {
            if !absolute && !left.is_null() {
                memory::write(left, sys::timespec(rest))?;
            }
            return errno(libc::EINTR);
        }
    }
}

/// C11's `thrd_sleep`: 0, -1 if a handler ended it, or another negative number for what is wrong.
pub unsafe fn thrd_sleep(time: *const timespec, left: *mut timespec) -> Answer<c_int> {
    const INTERRUPTED: c_int = -1;
    const FAILED: c_int = -2;
    match clock_nanosleep(libc::CLOCK_REALTIME, 0, time, left) {
        Err(Miss::Errno(libc::EINTR)) => Ok(INTERRUPTED),
        Err(_) => Ok(FAILED),
        slept => slept,
    }
}

/// `pause`: parks until a handler has run: always EINTR. A cancellation point.
pub unsafe fn pause() -> Answer<c_int> {
    is_interrupted(None);
    errno(libc::EINTR)
}

/// `sched_yield`: lets the other ready green threads of this slot run first. Always 0.
pub unsafe fn sched_yield() -> Answer<c_int> {
    runtime::yield_now();
    runtime::waiting::cancel::asynchronous_point();
    Ok(0)
}

/// C11's `thrd_yield`: `sched_yield` without a result.
pub unsafe fn thrd_yield() -> Answer<()> {
    sched_yield().map(|_| ())
}
