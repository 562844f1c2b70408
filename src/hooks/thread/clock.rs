//! A thread's CPU time: what its own clock tells, which is no kernel thread's.

use crate::hooks::answer::{answer, Answer, Miss};
use crate::hooks::named::{by_clock, by_tid, clock_of, is_me, living, me};
use crate::hooks::real;
use crate::runtime::machine::kernel_state;
use crate::sys;
use libc::*;

/// The caller's process by the caller's tid: the kernel tells the time of that clock, but makes nothing else with it.
fn is_own_process(clock: clockid_t) -> bool {
    const OF_PROCESS: clockid_t = 2;
    clock < 0 && clock & 7 == OF_PROCESS && by_tid(!(clock >> 3)).is_ok_and(is_me)
}

/// `pthread_getcpuclockid`: the number of the clock that tells the thread's CPU time; ESRCH when it has ended.
pub unsafe fn pthread_getcpuclockid(thread: pthread_t, clock: *mut clockid_t) -> Answer<c_int> {
    *clock = clock_of(living(thread)?);
    Ok(0)
}

/// `clock_gettime`: serves the clocks of green threads' CPU time; all others cost one comparison, and are libc's.
#[inline]
pub unsafe fn clock_gettime(clock: clockid_t, time: *mut timespec) -> Answer<c_int> {
    if clock >= 0 && clock != CLOCK_THREAD_CPUTIME_ID {
        return Err(Miss::Libc);
    }
    if is_own_process(clock) {
        return Ok(real::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, time));
    }
    let green = by_clock(clock)?;
    let told = real::clock_gettime(CLOCK_THREAD_CPUTIME_ID, time);
    if told == 0 {
        *time = sys::timespec(kernel_state::cpu_ns(green));
    }
    Ok(told)
}

/// A thread's own CPU time is told as the program's, for nobody knows which of it was the kernel's. The rest is the kernel thread's.
pub unsafe fn getrusage(who: c_int, usage: *mut rusage) -> Answer<c_int> {
    if who != RUSAGE_THREAD {
        return Err(Miss::Libc);
    }
    let me = me()?;
    let told = answer(sys::call(SYS_getrusage, who as usize, usage as usize, 0, 0, 0, 0))?;
    let time = sys::timespec(kernel_state::cpu_ns(me));
    (*usage).ru_utime = timeval { tv_sec: time.tv_sec, tv_usec: time.tv_nsec / 1000 };
    (*usage).ru_stime = timeval { tv_sec: 0, tv_usec: 0 };
    Ok(told)
}

/// `clock_getres`: the resolution of such a clock, that of every thread's CPU clock.
pub unsafe fn clock_getres(clock: clockid_t, time: *mut timespec) -> Answer<c_int> {
    if clock >= 0 {
        return Err(Miss::Libc);
    }
    by_clock(clock)?;
    Ok(real::clock_getres(CLOCK_THREAD_CPUTIME_ID, time))
}
