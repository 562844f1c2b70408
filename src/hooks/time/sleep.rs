//! Sleeps, and the calls that let other threads run.
//!
//! The sleeping calls hand their pointers to the kernel natively, so a bad one is EFAULT and not a crash (`memory`).
//!
//! A sleep is never restarted after a handler, whatever its SA_RESTART: signal(7) lists the sleeps among the calls that always fail with
//! EINTR. A stop and a continue do not end one.

use crate::hooks::answer::{code, errno, Answer, Miss};
use crate::hooks::moment::{after, moment, nanoseconds, SECOND_NS};
use crate::hooks::{memory, named, real};
use crate::runtime::machine::kernel_state;
use crate::runtime::{self, Deadline, Woken};
use crate::{glibc, sys};
use libc::{c_int, c_uint, clockid_t, timespec};

/// Parks until the deadline (false), or until a signal handler has run or a lent loop has ended the sleep (true). A false alarm parks
/// again. `None` has no end but a handler. A cancellation point: acts before the park and while parked.
fn is_interrupted(deadline: Deadline) -> bool {
    loop {
        match runtime::sleep_until(deadline) {
            Woken::Interrupted | Woken::Ended(_) => return true,
            Woken::TimedOut => return false,
            _ => {}
        }
    }
}

/// Parks for `ns` nanoseconds of CLOCK_MONOTONIC. `Err`: a signal handler ended the sleep, and so many nanoseconds were left. A
/// handler that ran in the last moment leaves none, and that is `Ok`. A length of 0 does not park: it is a cancellation point and
/// lets other green threads run.
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

/// `sleep`: parks. Returns 0, or the whole seconds that were left when a handler ended it, rounded down as in glibc
/// (sysdeps/posix/sleep.c returns nanosleep's tv_sec). Never fails, and leaves errno alone. A cancellation point.
pub unsafe fn sleep(seconds: c_uint) -> Answer<c_uint> {
    match sleep_for(seconds as u64 * SECOND_NS) {
        Ok(()) => Ok(0),
        Err(left) => Ok((left / SECOND_NS) as c_uint),
    }
}

/// `usleep`: parks. EINTR when a handler has run. 1,000,000 microseconds and more are taken, as in glibc (sysdeps/posix/usleep.c). A
/// cancellation point.
pub unsafe fn usleep(microseconds: c_uint) -> Answer<c_int> {
    match sleep_for(microseconds as u64 * 1000) {
        Ok(()) => Ok(0),
        Err(_) => errno(libc::EINTR),
    }
}

/// `nanosleep`: `clock_nanosleep` by CLOCK_REALTIME for a length of time, as in glibc (nanosleep.c); the error goes to errno. A
/// cancellation point.
pub unsafe fn nanosleep(time: *const timespec, left: *mut timespec) -> Answer<c_int> {
    clock_nanosleep(libc::CLOCK_REALTIME, 0, time, left)
}

/// `clock_nanosleep`: parks for a length of time, or with TIMER_ABSTIME until a moment. Returns the error number.
/// The kernel's order (kernel/time/posix-timers.c): EINVAL for a clock that is none, EFAULT for `time`, EINVAL for a length or
/// moment that is none. After a handler EINTR, with SA_RESTART or without; what is left of a length is written to `left` (EFAULT
/// where that cannot be written), and of a moment nothing.
/// Clocks: REALTIME, MONOTONIC, BOOTTIME and TAI park; a negative one is `sleep_by_clock`'s; all others go to the kernel, with
/// the slot offered. A moment of CLOCK_REALTIME is turned into a length once: setting the clock during the wait
/// does not move its end, as it would natively. A cancellation point.
pub unsafe fn clock_nanosleep(
    clock: clockid_t,
    flags: c_int,
    time: *const timespec,
    left: *mut timespec,
) -> Answer<c_int> {
    match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_MONOTONIC | libc::CLOCK_BOOTTIME | libc::CLOCK_TAI => {}
        clock if clock < 0 => return sleep_by_clock(clock, flags, time, left),
        // CLOCK_PROCESS_CPUTIME_ID ticks in the kernel only. All other numbers it refuses, or waits for itself (the alarm clocks).
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

/// Parks until another green thread has used so much CPU time. A clock of no green thread's is waited for in the kernel. EFAULT and
/// EINVAL for `time` as in `clock_nanosleep`; then EINVAL for the caller's own clock, on which a sleeper would wait for itself
/// (kernel/time/posix-cpu-timers.c). EINTR after a handler, with the rest of a length in `left`. A cancellation point.
///
/// A thread uses no more CPU time than time passes. So the sleeper parks for as long as the thread has left to use, at least TICK_NS,
/// looks, and parks again for what is left then.
unsafe fn sleep_by_clock(clock: clockid_t, flags: c_int, time: *const timespec, left: *mut timespec) -> Answer<c_int> {
    /// The least length of a park. The kernel, too, looks at such a sleeper's clock at its ticks only, which are 1 to 10 ms apart.
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
        // A thread that has ended uses no more CPU time: the sleep has no end but a handler.
        if is_interrupted(if lives { after(rest.max(TICK_NS)) } else { None }) {
            if !absolute && !left.is_null() {
                memory::write(left, sys::timespec(rest))?;
            }
            return errno(libc::EINTR);
        }
    }
}

/// C11's `thrd_sleep`: 0, -1 after a handler, -2 for every other error, as in glibc (thrd_sleep.c). errno stays as it is. A
/// cancellation point.
pub unsafe fn thrd_sleep(time: *const timespec, left: *mut timespec) -> Answer<c_int> {
    /// After a handler.
    const INTERRUPTED: c_int = -1;
    /// After any other error.
    const FAILED: c_int = -2;
    match clock_nanosleep(libc::CLOCK_REALTIME, 0, time, left) {
        Err(Miss::Errno(libc::EINTR)) => Ok(INTERRUPTED),
        Err(_) => Ok(FAILED),
        slept => slept,
    }
}

/// `pause`: parks until a handler has run. Always fails, with EINTR. A cancellation point.
pub unsafe fn pause() -> Answer<c_int> {
    is_interrupted(None);
    errno(libc::EINTR)
}

/// `sched_yield`: lets the other ready green threads of this slot run first; where there are none, the kernel's other threads.
/// Always 0. No cancellation point, but a thread whose cancellation is asynchronous is cancelled here.
pub unsafe fn sched_yield() -> Answer<c_int> {
    runtime::yield_now();
    runtime::waiting::cancel::asynchronous_point();
    Ok(0)
}

/// C11's `thrd_yield`: as `sched_yield`, without a result.
pub unsafe fn thrd_yield() -> Answer<()> {
    sched_yield().map(|_| ())
}
