//! Semaphores: the real try, the lot, the real post.
//!
//! A post may come from a signal handler, and may be the last use of the object: the thread that it wakes may free it. So after the
//! real post the object's address is a key of the lot's and no more. A failing try sets errno, which a wait that succeeds must not:
//! it is put back.

use crate::hooks::answer::{errno, Answer, Miss};
use crate::hooks::moment::{self, Until};
use crate::hooks::real;
use crate::hooks::sync::contended::{self, LockKind, EXCLUSIVE};
use crate::hooks::sync::{in_kernel, object};
use crate::runtime::waiting::park;
use crate::why::Why;
use crate::{glibc, runtime};
use libc::{c_int, clockid_t, sem_t, timespec};

/// `sem_wait`: libc's try, then the lot. A cancellation point, before the try and while it waits. EINTR if a handler without
/// SA_RESTART has run since the call began.
pub unsafe fn sem_wait(sem: *mut sem_t) -> Answer<c_int> {
    acquire(sem, Until::NEVER)
}

/// `sem_timedwait`: as `sem_wait`, until a moment of CLOCK_REALTIME: then ETIMEDOUT. EINVAL for a bad moment even if a unit is there
/// (nptl/sem_timedwait.c). EINTR after any handler: the kernel does not restart a timed futex wait.
pub unsafe fn sem_timedwait(sem: *mut sem_t, until: *const timespec) -> Answer<c_int> {
    moment::valid(until)?;
    acquire(sem, Until { clock: libc::CLOCK_REALTIME, time: until })
}

/// `sem_clockwait`: as `sem_timedwait`, with a clock of the caller's choice. EINVAL for a clock other than CLOCK_REALTIME and
/// CLOCK_MONOTONIC comes first (nptl/sem_clockwait.c).
pub unsafe fn sem_clockwait(sem: *mut sem_t, clock: clockid_t, until: *const timespec) -> Answer<c_int> {
    moment::waitable(clock)?;
    moment::valid(until)?;
    acquire(sem, Until { clock, time: until })
}

/// `sem_post`: libc's own, then the lot, whose first waiter is woken. Async-signal-safe, and called by any thread. EOVERFLOW is
/// libc's, and nothing is woken then. The object is not touched after libc's post: the woken thread may have freed it.
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

/// Makes libc's sem_trywait; returns 0 or the error number, with EBUSY for EAGAIN, as `contended::wait` expects. errno is as before.
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

/// Takes a unit: libc's try, then `acquire_busy`. A cancellation that is pending acts before the try, and no unit is taken then. A
/// unit of a shared semaphore may come from a process that has sent a signal before: `sweep` lets that go first. Fails with EINTR,
/// ETIMEDOUT, EINVAL.
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

/// Waits for a unit: in the lot, or for a shared semaphore in the kernel. `handled` is read first, so that a handler between the try
/// and the park ends the wait, too.
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

/// Waits for a slice in the kernel, by libc's sem_clockwait with cancellation disabled. Returns 0, or an error number; ETIMEDOUT when
/// the slice is over. Goes on after a handler that `restarts`.
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
