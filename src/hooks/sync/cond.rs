//! Condition variables: served wholly by the library, unless other processes share them.
//!
//! ```text
//!     waiter                                   signaller
//!     1. enqueues under the object's address   1. locks the mutex: only after the waiter's step 2
//!     2. releases the mutex                    2. signals: looks into the lot, finds the waiter (step 1)
//!     3. parks                                 3. releases the mutex
//! ```
//!
//! A signal reaches exactly one waiter that was enqueued before it. A waiter whose wait a deadline, a handler or a cancellation has
//! ended is passed over: the lot fires the next. The object itself is never written, so `pthread_cond_destroy` is glibc's own and has
//! no thread to wait for.
//!
//! A wait goes on after a signal handler, as glibc's does. A waiter that is woken while a handler runs on it does not go back into
//! the queue: the lot sees to that, for no signal may be lost. Cancellation locks the mutex again before it unwinds.
//!
//! Threads that sleep in glibc's own wait (it began before the runtime did, or bypassed the hooks) are counted in the object's flags
//! word: a signal then goes to the lot and to the kernel.

use crate::glibc;
use crate::hooks::answer::{errno, Answer, Miss};
use crate::hooks::moment::{self, Until};
use crate::hooks::real;
use crate::hooks::sync::contended::Outcome;
use crate::hooks::sync::{in_kernel, mutex, object};
use crate::runtime::news::lot;
use crate::runtime::waiting::park;
use crate::runtime::{self, Deadline, Woken};
use crate::why::Why;
use libc::{c_int, clockid_t, pthread_cond_t, pthread_mutex_t, timespec};

/// `pthread_cond_wait`: parks in the lot under the condition variable's address. The caller holds `lock`, and holds it again at
/// every end but a failure to release it: EPERM, by libc's unlock. Otherwise returns 0, or what locking again fails with
/// (EOWNERDEAD, ENOTRECOVERABLE).
/// A handler runs during the wait, which goes on after it. A cancellation point: the mutex is locked again before the unwinding
/// begins.
pub unsafe fn cond_wait(cond: *mut pthread_cond_t, lock: *mut pthread_mutex_t) -> Answer<c_int> {
    wait(cond, lock, || Ok(None))
}

/// `pthread_cond_timedwait`: as `cond_wait`, until a moment of the clock that the object was initialised with: then ETIMEDOUT.
/// EINVAL for a bad moment comes before the mutex is released (nptl/pthread_cond_wait.c).
pub unsafe fn cond_timedwait(
    cond: *mut pthread_cond_t,
    lock: *mut pthread_mutex_t,
    until: *const timespec,
) -> Answer<c_int> {
    wait(cond, lock, || {
        moment::valid(until)?;
        let monotonic = object::COND_MONOTONIC.of(cond) != 0;
        Until { clock: if monotonic { libc::CLOCK_MONOTONIC } else { libc::CLOCK_REALTIME }, time: until }.deadline()
    })
}

/// `pthread_cond_clockwait`: as `cond_timedwait`, with a clock of the caller's choice. EINVAL for a bad moment, then for a clock
/// other than CLOCK_REALTIME and CLOCK_MONOTONIC: glibc's order.
pub unsafe fn cond_clockwait(
    cond: *mut pthread_cond_t,
    lock: *mut pthread_mutex_t,
    clock: clockid_t,
    until: *const timespec,
) -> Answer<c_int> {
    wait(cond, lock, || {
        moment::valid(until)?;
        moment::waitable(clock)?;
        Until { clock, time: until }.deadline()
    })
}

/// `pthread_cond_signal`: wakes the first waiter in the lot, and goes on to libc where the object is shared or glibc counts waiters
/// of its own. Called by any thread, with the mutex or without. Always 0, and never waits in the lot.
pub unsafe fn cond_signal(cond: *mut pthread_cond_t) -> Answer<c_int> {
    if lot::queued(cond as usize) {
        park::wake_one(cond as usize);
    }
    also_natively(cond)
}

/// `pthread_cond_broadcast`: as `cond_signal`, for all waiters. Each of them then competes for the mutex.
pub unsafe fn cond_broadcast(cond: *mut pthread_cond_t) -> Answer<c_int> {
    if lot::queued(cond as usize) {
        park::wake_all(cond as usize);
    }
    also_natively(cond)
}

/// Goes on to the real call if the object is shared or has waiters of glibc's own.
#[inline]
unsafe fn also_natively(cond: *mut pthread_cond_t) -> Answer<c_int> {
    if object::COND_MONOTONIC.neighbours(cond) == 0 {
        Ok(0)
    } else {
        Err(Miss::Libc)
    }
}

/// Waits on the condition variable: enqueues, releases the mutex, parks, and takes the mutex again. `deadline` is asked before
/// anything is changed. libc answers before the start. Fails as `cond_wait` and its timed relatives.
#[inline]
unsafe fn wait(
    cond: *mut pthread_cond_t,
    lock: *mut pthread_mutex_t,
    deadline: impl Fn() -> Answer<Deadline>,
) -> Answer<c_int> {
    if !runtime::started() {
        return Err(Miss::Libc);
    }
    let deadline = deadline()?;
    if object::COND_SHARED.of(cond) != 0 {
        return wait_in_kernel(cond, lock, deadline);
    }
    let mut released = None;
    let woken = park::park_through_handlers(Why::Cond(cond as usize), cond as usize, lock as usize, deadline, || {
        // The outcome cannot be settled here, enqueued; parking lets the starving run as well.
        object::count_user(lock, 1);
        let result = mutex::release(lock).map(|_: Outcome| ());
        if result.is_err() {
            object::count_user(lock, -1);
        }
        released = Some(result);
        result.is_ok()
    });
    // A context whose loop has ended the wait: there is an error for that where there is a deadline, else it is woken for nothing.
    let woken = match woken {
        Woken::Ended(_) if deadline.is_some() => Woken::TimedOut,
        woken => woken,
    };
    match released {
        Some(Ok(())) => resume(lock, woken),
        other => not_released(cond, other, woken),
    }
}

/// Waits for a shared condition variable in the kernel, in slices (`in_kernel::wait`). Its mutex is nearly always shared as well,
/// and then its owner is this kernel thread's tid.
#[cold]
unsafe fn wait_in_kernel(cond: *mut pthread_cond_t, lock: *mut pthread_mutex_t, deadline: Deadline) -> Answer<c_int> {
    in_kernel::wait(Why::Cond(cond as usize), deadline, |until| {
        let wait = || glibc::uncancelled(|| real::pthread_cond_clockwait(cond, lock, libc::CLOCK_MONOTONIC, until));
        if object::is_kernels(lock) {
            runtime::with_kernel_tid(wait)
        } else {
            wait()
        }
    })
}

/// Ends the wait: takes the mutex again, and then acts on what the wait came to. A cancellation does not return. ETIMEDOUT gives way
/// to an error of the mutex's.
#[inline]
unsafe fn resume(lock: *mut pthread_mutex_t, woken: Woken) -> Answer<c_int> {
    let locked = mutex::acquire(lock, Until::NEVER);
    object::count_user(lock, -1);
    match woken {
        Woken::Cancelled => runtime::cancellation_point(),
        Woken::TimedOut if locked.is_ok() => return errno(libc::ETIMEDOUT),
        _ => {}
    }
    locked
}

/// Ends a wait whose mutex was not released: EPERM by libc's unlock, or a cancellation that came before the park, which acts here. A
/// signal that was taken meanwhile goes to the next waiter.
#[cold]
unsafe fn not_released(cond: *mut pthread_cond_t, released: Option<Answer<()>>, woken: Woken) -> Answer<c_int> {
    if matches!(woken, Woken::Ready(_) | Woken::FalseAlarm) {
        park::wake_one(cond as usize);
    }
    runtime::cancellation_point();
    released.unwrap_or(Ok(())).map(|()| 0)
}
