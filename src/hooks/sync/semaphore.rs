//! Semaphores: the real try, the lot, the real post.
//!
//! A post may come from a signal handler or from a thread that meets a waiter's object for the last time; after the real post the
//! object's address is a mere name. A failing try sets errno, which a wait that succeeds must not: it is put back.

use crate::hooks::answer::{errno, Answer, Miss};
use crate::hooks::moment::{self, Until};
use crate::hooks::real;
use crate::hooks::sync::contended::{self, LockKind, EXCLUSIVE};
use crate::hooks::sync::{in_kernel, object};
use crate::runtime::waiting::park;
use crate::why::Why;
use crate::{glibc, runtime};
use libc::{c_int, clockid_t, sem_t, timespec};

/// `sem_wait`: libc's try, then the lot. A cancellation point; EINTR if a handler without SA_RESTART has run.
pub unsafe fn sem_wait(sem: *mut sem_t) -> Answer<c_int> {
    acquire(sem, Until::NEVER)
}

/// `sem_timedwait`: until a moment of CLOCK_REALTIME; EINTR after any handler.
pub unsafe fn sem_timedwait(sem: *mut sem_t, until: *const timespec) -> Answer<c_int> {
    moment::valid(until)?;
    acquire(sem, Until { clock: libc::CLOCK_REALTIME, time: until })
}

/// `sem_clockwait`: as `sem_timedwait`, with a clock of the caller's choice.
pub unsafe fn sem_clockwait(sem: *mut sem_t, clock: clockid_t, until: *const timespec) -> Answer<c_int> {
    moment::waitable(clock)?;
    moment::valid(until)?;
    acquire(sem, Until { clock, time: until })
}

/// `sem_post`: libc's own, then the lot. May be called from a signal handler, and by any thread.
pub unsafe fn sem_post(sem: *mut sem_t) -> Answer<c_int> {
    if !runtime::started() {
        return Err(Miss::Libc);
    }
    let result = real::sem_post(sem);
    if result == 0 && park::waiting_after_exchange(sem as usize) {
        contended::wake(sem as usize, EXCLUSIVE, true, || true);
    }
    Ok(result)
}

/// `sem_trywait` as an error number.
unsafe fn attempt(sem: *mut sem_t) -> c_int {
    let errno = libc::__errno_location();
    let before = *errno;
    if libc::sem_trywait(sem) == 0 {
        return 0;
    }
    let number = std::mem::replace(&mut *errno, before);
    if number == libc::EAGAIN {
        libc::EBUSY
    } else {
        number
    }
}

/// Takes a unit: libc's try, then `acquire_busy`. A cancellation point before the try.
unsafe fn acquire(sem: *mut sem_t, until: Until) -> Answer<c_int> {
    runtime::cancellation_point();
    match attempt(sem) {
        0 => {
            if object::SEMAPHORE_SHARED.of(sem) != 0 {
                runtime::sweep();
            }
            Ok(0)
        }
        libc::EBUSY => acquire_busy(sem, until),
        other => errno(other),
    }
}

/// Waits in the lot for a unit; of a semaphore that is shared, in the kernel.
#[cold]
unsafe fn acquire_busy(sem: *mut sem_t, until: Until) -> Answer<c_int> {
    let handled = contended::handlers();
    let deadline = until.deadline()?;
    if object::SEMAPHORE_SHARED.of(sem) != 0 {
        runtime::begin_call();
        return in_kernel::wait(Why::Semaphore(sem as usize), deadline, |slice| {
            wait_in_kernel(sem, slice, until.is_never())
        });
    }
    // The kernel restarts an untimed futex wait after a handler with SA_RESTART, never a timed one.
    let kind = LockKind::Semaphore { restarts: until.is_never(), handled };
    contended::wait(Why::Semaphore(sem as usize), kind, sem as usize, EXCLUSIVE, deadline, || attempt(sem))
}

/// Waits for a slice in the kernel: 0, or an error number. Goes on after a handler that restarts.
unsafe fn wait_in_kernel(sem: *mut sem_t, slice: *const timespec, restarts: bool) -> c_int {
    loop {
        if glibc::uncancelled(|| real::sem_clockwait(sem, libc::CLOCK_MONOTONIC, slice)) == 0 {
            return 0;
        }
        let number = *libc::__errno_location();
        if number != libc::EINTR || !(restarts && runtime::restart()) {
            return number;
        }
    }
}
