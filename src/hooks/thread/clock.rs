//! A green thread's CPU time, which is no kernel thread's: asked for by the thread's clock, or by getrusage.
//!
//! A clock's number below 0 names a process or a thread: the tid's complement above three bits, of which bit 2 says "a thread's" and
//! the two lowest which count (linux/posix-timers.h; `named::by_clock`). The first question begins the counting for all green threads
//! (`kernel_state::cpu_ns`); what a thread used before is not in it.

use crate::hooks::answer::{answer, Answer, Miss};
use crate::hooks::named::{by_clock, by_tid, clock_of, is_me, living, me};
use crate::hooks::real;
use crate::runtime::machine::kernel_state;
use crate::sys;
use libc::*;

/// Is it the process's CPU clock by the caller's own tid? The kernel takes the calling task's tid for its process there, to tell the
/// time and for nothing else (kernel/time/posix-cpu-timers.c, pid_for_clock).
fn is_own_process(clock: clockid_t) -> bool {
    const OF_PROCESS: clockid_t = 2;
    clock < 0 && clock & 7 == OF_PROCESS && by_tid(!(clock >> 3)).is_ok_and(is_me)
}

/// `pthread_getcpuclockid`: the number of the clock that tells the thread's CPU time. ESRCH when the thread has ended. A foreign
/// thread's is libc's. `clock` is written without asking, as by glibc.
pub unsafe fn pthread_getcpuclockid(thread: pthread_t, clock: *mut clockid_t) -> Answer<c_int> {
    *clock = clock_of(living(thread)?);
    Ok(0)
}

/// `clock_gettime`: serves the clocks of green threads' CPU time, in nanoseconds. All others cost one comparison, and are libc's,
/// from the vDSO. The real call is made first, for it finds a bad `time`. No cancellation point, async-signal-safe.
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

/// `getrusage`: RUSAGE_THREAD on a green thread. ru_utime is the green thread's CPU time, ru_stime 0, for the two are not separated.
/// All other fields are those of the kernel thread that it runs on, which has served others. EFAULT by the kernel. All other `who`,
/// and foreign threads, are libc's.
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

/// `clock_getres`: the resolution of CLOCK_THREAD_CPUTIME_ID for a green thread's CPU clock. All other clocks are libc's. A null
/// `time` only asks whether the clock is one.
pub unsafe fn clock_getres(clock: clockid_t, time: *mut timespec) -> Answer<c_int> {
    if clock >= 0 {
        return Err(Miss::Libc);
    }
    by_clock(clock)?;
    Ok(real::clock_getres(CLOCK_THREAD_CPUTIME_ID, time))
}
