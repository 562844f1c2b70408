//! Mutexes: the real trylock, the lot, the real unlock (see the room's page, and `contended` for the races).
//!
//! Robust, process-shared and priority mutexes are locked and held on one kernel thread: the kernel, or another process, reads the
//! owner's tid in them, so it must be a real one (runtime/waiting/pin.rs). Each successful lock of such a mutex pins the green thread once
//! more, each unlock once less.

use crate::hooks::answer::{code, errno, Answer, Miss};
use crate::hooks::moment::{self, Until};
use crate::hooks::real;
use crate::hooks::sync::contended::{self, LockKind, Outcome, EXCLUSIVE};
use crate::hooks::sync::object;
use crate::runtime::waiting::park;
use crate::why::Why;
use crate::{runtime, sys};
use libc::{c_int, clockid_t, pthread_mutex_t, timespec};
use std::sync::atomic::AtomicU32;

/// `pthread_mutex_lock`: libc's trylock, then the lot. Never interrupted, and no cancellation point. Fails as libc's try does: EDEADLK,
/// EOWNERDEAD, ENOTRECOVERABLE, …
pub unsafe fn mutex_lock(lock: *mut pthread_mutex_t) -> Answer<c_int> {
    if !runtime::started() {
        return natively(lock, || real::pthread_mutex_lock(lock));
    }
    acquire(lock, Until::NEVER)
}

/// `pthread_mutex_timedlock`: as `mutex_lock`, until a moment of CLOCK_REALTIME. The moment is looked at only if the mutex is busy, as
/// natively.
pub unsafe fn mutex_timedlock(lock: *mut pthread_mutex_t, until: *const timespec) -> Answer<c_int> {
    if !runtime::started() {
        return natively(lock, || real::pthread_mutex_timedlock(lock, until));
    }
    acquire(lock, Until { clock: libc::CLOCK_REALTIME, time: until })
}

/// `pthread_mutex_clocklock`: as `mutex_timedlock`, with a clock of the caller's choice; EINVAL for one that libc does not wait by.
pub unsafe fn mutex_clocklock(lock: *mut pthread_mutex_t, clock: clockid_t, until: *const timespec) -> Answer<c_int> {
    if !runtime::started() {
        return natively(lock, || real::pthread_mutex_clocklock(lock, clock, until));
    }
    moment::waitable(clock)?;
    acquire(lock, Until { clock, time: until })
}

/// Before the start: makes the real call. A thread that holds a mutex of the kernel's when the runtime starts is pinned from then on, so
/// such locks are counted.
#[cold]
unsafe fn natively(lock: *mut pthread_mutex_t, take: impl FnOnce() -> c_int) -> Answer<c_int> {
    if !object::is_kernels(lock) {
        return Err(Miss::Libc);
    }
    let result = take();
    if result == 0 || result == libc::EOWNERDEAD {
        runtime::waiting::pin::note_early(true);
    }
    code(result)
}

/// `pthread_mutex_trylock`: libc's own, but for mutexes whose owner the kernel reads: those pin the thread that takes them.
pub unsafe fn mutex_trylock(lock: *mut pthread_mutex_t) -> Answer<c_int> {
    if !runtime::started() {
        return natively(lock, || real::pthread_mutex_trylock(lock));
    }
    if !object::is_kernels(lock) {
        return Err(Miss::Libc);
    }
    pinned(lock, || try_in_kernel(lock))
}

/// `pthread_mutex_unlock`: libc's own, then the lot: the first waiter there is woken, and runs first if it has lost too often.
pub unsafe fn mutex_unlock(lock: *mut pthread_mutex_t) -> Answer<c_int> {
    if !runtime::started() {
        return unlock_natively(lock);
    }
    release(lock)?.settle();
    Ok(0)
}

/// Before the start: libc's own unlock; a mutex of the kernel's is counted back.
#[cold]
unsafe fn unlock_natively(lock: *mut pthread_mutex_t) -> Answer<c_int> {
    if !object::is_kernels(lock) {
        return Err(Miss::Libc);
    }
    let result = real::pthread_mutex_unlock(lock);
    if result == 0 || result == libc::ENOTRECOVERABLE {
        runtime::waiting::pin::note_early(false);
    }
    code(result)
}

/// Locks the mutex, on any thread, green or not. Fails as `mutex_lock` and `mutex_timedlock`.
#[inline]
pub unsafe fn acquire(lock: *mut pthread_mutex_t, until: Until) -> Answer<c_int> {
    if object::is_kernels(lock) {
        return acquire_in_kernel(lock, until);
    }
    match real::pthread_mutex_trylock(lock) {
        0 => Ok(0),
        libc::EBUSY => acquire_busy(lock, until),
        other => errno(other),
    }
}

/// Waits in the lot for a mutex that the first try found busy. EDEADLK where the caller holds an error-checking one.
#[cold]
unsafe fn acquire_busy(lock: *mut pthread_mutex_t, until: Until) -> Answer<c_int> {
    if object::would_deadlock(lock) {
        return errno(libc::EDEADLK);
    }
    contended::wait(Why::Mutex(lock as usize), LockKind::Lock, lock as usize, EXCLUSIVE, until.deadline()?, || {
        real::pthread_mutex_trylock(lock)
    })
}

/// Locks a mutex whose owner the kernel or another process reads, pinned to this kernel thread, whose tid it gets.
#[cold]
unsafe fn acquire_in_kernel(lock: *mut pthread_mutex_t, until: Until) -> Answer<c_int> {
    // No try first: glibc's trylock leaves a robust mutex locked when it answers ENOTRECOVERABLE.
    pinned(lock, || {
        runtime::announce(Why::Mutex(lock as usize));
        if object::is_robust_and_inheriting(lock) {
            return lock_in_slices(lock, &until);
        }
        runtime::block(|| {
            if until.is_never() {
                real::pthread_mutex_lock(lock)
            } else {
                real::pthread_mutex_clocklock(lock, until.clock, until.time)
            }
        })
    })
}

/// Locks a mutex whose waiters the kernel hands it to when the owner's kernel thread ends. A green thread may end without it: then the
/// mutex is marked (`pin::abandon`), but for the kernel it is still the kernel thread's, as long as it has a waiter there. So each waiter
/// looks up after every slice. Once the mutex is marked no waiter enters the kernel any more, and the first to try after the last one has
/// left gets it.
unsafe fn lock_in_slices(lock: *mut pthread_mutex_t, until: &Until) -> c_int {
    const SLICE_NS: u64 = 20_000_000;
    const LOOKS_EVERY_NS: u64 = 1_000_000;
    let Some(deadline) = until.time.as_ref().map_or(Some(u64::MAX), |time| moment::nanoseconds(time).ok()) else {
        return real::pthread_mutex_clocklock(lock, until.clock, until.time);
    };
    let now = || sys::clock_ns(until.clock).unwrap_or(u64::MAX);
    loop {
        let slice = sys::timespec(deadline.min(now().saturating_add(SLICE_NS)));
        let result = if object::is_orphaned(lock) {
            try_in_kernel(lock)
        } else {
            runtime::block(|| real::pthread_mutex_clocklock(lock, until.clock, &slice))
        };
        match result {
            libc::EBUSY | libc::ETIMEDOUT if deadline <= now() => return libc::ETIMEDOUT,
            libc::EBUSY => {
                runtime::block(|| sys::futex_wait(&AtomicU32::new(0), 0, Some(sys::now_ns() + LOOKS_EVERY_NS)).ok());
            }
            libc::ETIMEDOUT => {}
            result => return result,
        }
    }
}

/// Tries such a mutex once; the owner's end is undone where the kernel has taken the try for the owner's (`remain_orphaned`).
unsafe fn try_in_kernel(lock: *mut pthread_mutex_t) -> c_int {
    let result = real::pthread_mutex_trylock(lock);
    if result == libc::EBUSY && object::is_robust_and_inheriting(lock) {
        object::remain_orphaned(lock);
    }
    result
}

/// Runs a real lock function pinned to this kernel thread, and stays pinned if it took the lock: its owner's tid is this kernel thread's.
unsafe fn pinned(lock: *const pthread_mutex_t, take: impl FnOnce() -> c_int) -> Answer<c_int> {
    runtime::waiting::pin::pin(object::is_robust(lock));
    if object::is_protecting(lock) {
        // glibc notes in the thread's descriptor which priorities it has been given, and never forgets.
        runtime::spoil();
    }
    let result = runtime::with_kernel_tid(take);
    if result != 0 && result != libc::EOWNERDEAD {
        runtime::unpin();
    }
    code(result)
}

/// glibc writes the owner anew.
pub unsafe fn mutex_consistent(lock: *mut pthread_mutex_t) -> Answer<c_int> {
    code(runtime::with_kernel_tid(|| real::pthread_mutex_consistent(lock)))
}

/// glibc locks the mutex meanwhile, unless it is the caller's.
pub unsafe fn mutex_setprioceiling(lock: *mut pthread_mutex_t, ceiling: c_int, before: *mut c_int) -> Answer<c_int> {
    runtime::waiting::pin::pin(false);
    let result =
        runtime::with_kernel_tid(|| runtime::block(|| real::pthread_mutex_setprioceiling(lock, ceiling, before)));
    runtime::unpin();
    code(result)
}

/// Unlocks the mutex, on any thread; the caller must `settle` the outcome as soon as it may yield. Fails as libc's own.
#[inline]
pub unsafe fn release(lock: *mut pthread_mutex_t) -> Answer<Outcome> {
    if object::is_kernels(lock) {
        return release_in_kernel(lock);
    }
    let result = real::pthread_mutex_unlock(lock);
    if result != 0 {
        return errno(result);
    }
    if !park::waiting_after_exchange(lock as usize) {
        return Ok(Outcome::Done);
    }
    Ok(contended::wake(lock as usize, EXCLUSIVE, true, || true).1)
}

/// Unlocks such a mutex by the tid of its kernel thread, and unpins its owner.
#[cold]
unsafe fn release_in_kernel(lock: *mut pthread_mutex_t) -> Answer<Outcome> {
    let result = runtime::with_kernel_tid(|| real::pthread_mutex_unlock(lock));
    // An inconsistent recursive one that is still held is counted down all the same (ENOTRECOVERABLE).
    if result == 0 || result == libc::ENOTRECOVERABLE {
        runtime::unpin();
    }
    code(result).map(|_| Outcome::Done)
}
