//! Mutexes: the real trylock, the lot, the real unlock. `contended` has the races, `mod.rs` what is common to all locks.
//!
//! Robust, process-shared and priority mutexes are locked and held on one kernel thread: the kernel, or another process, reads the
//! owner's tid in them, so it must be a real one (runtime/waiting/pin.rs). Each successful lock of such a mutex pins the green thread once
//! more, each unlock once less.

use crate::hooks::answer::{code, errno, Answer, Miss};
use crate::hooks::moment::{self, Until};
use crate::hooks::real;
use crate::hooks::sync::contended::{self, LockKind, Outcome, EXCLUSIVE};
use crate::hooks::sync::object;
use crate::runtime::waiting::{lending, park};
use crate::why::Why;
use crate::{runtime, sys};
use libc::{c_int, clockid_t, pthread_mutex_t, timespec};
use std::sync::atomic::AtomicU32;

/// `pthread_mutex_lock`: libc's trylock, then the lot. Returns the error number, as libc's try finds it (EOWNERDEAD,
/// ENOTRECOVERABLE, EAGAIN for a recursive mutex at its limit, EINVAL), and EDEADLK by `acquire_busy`.
/// A handler runs during the wait, which then goes on, with SA_RESTART or without: pthread_mutex_lock(3p) knows no EINTR. No
/// cancellation point.
pub unsafe fn mutex_lock(lock: *mut pthread_mutex_t) -> Answer<c_int> {
    if !runtime::started() {
        return natively(lock, || real::pthread_mutex_lock(lock));
    }
    acquire(lock, Until::NEVER)
}

/// `pthread_mutex_timedlock`: as `mutex_lock`, until a moment of CLOCK_REALTIME: then ETIMEDOUT. The moment is looked at only if the
/// mutex is busy, as in glibc (nptl/pthread_mutex_timedlock.c): EINVAL for a bad one comes after EDEADLK.
pub unsafe fn mutex_timedlock(lock: *mut pthread_mutex_t, until: *const timespec) -> Answer<c_int> {
    if !runtime::started() {
        return natively(lock, || real::pthread_mutex_timedlock(lock, until));
    }
    acquire(lock, Until { clock: libc::CLOCK_REALTIME, time: until })
}

/// `pthread_mutex_clocklock`: as `mutex_timedlock`, with a clock of the caller's choice. EINVAL for a clock other than
/// CLOCK_REALTIME and CLOCK_MONOTONIC comes before the try.
pub unsafe fn mutex_clocklock(lock: *mut pthread_mutex_t, clock: clockid_t, until: *const timespec) -> Answer<c_int> {
    if !runtime::started() {
        return natively(lock, || real::pthread_mutex_clocklock(lock, clock, until));
    }
    moment::waitable(clock)?;
    acquire(lock, Until { clock, time: until })
}

/// Makes the real call `take`, before the start. The first thread may hold a mutex of the kernel's (`object::is_kernels`) when the
/// runtime starts, and is pinned from then on: so such locks are counted. For any other mutex `Err(Miss::Libc)`, and nothing was
/// called. Returns the error number of `take`.
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

/// `pthread_mutex_trylock`: libc's own, but for a mutex whose owner the kernel reads: that one pins the thread which takes it. Never
/// waits. EBUSY, and the errors of `mutex_lock`.
pub unsafe fn mutex_trylock(lock: *mut pthread_mutex_t) -> Answer<c_int> {
    if !runtime::started() {
        return natively(lock, || real::pthread_mutex_trylock(lock));
    }
    if object::is_plain(lock) {
        return Err(Miss::Libc);
    }
    if object::is_kernels(lock) {
        return pinned(lock, || try_in_kernel(lock));
    }
    if object::minds_owner(lock) && lending::context_tid().is_some() {
        return code(attempt(lock));
    }
    Err(Miss::Libc)
}

/// `pthread_mutex_unlock`: libc's own, then the lot, whose first waiter is woken, and runs before the caller if it is starving.
/// Errors are libc's (EPERM), and nothing is woken then. No cancellation point. The object is not touched after libc's unlock:
/// another thread may have freed it.
pub unsafe fn mutex_unlock(lock: *mut pthread_mutex_t) -> Answer<c_int> {
    if !runtime::started() {
        return unlock_natively(lock);
    }
    release(lock)?.settle();
    Ok(0)
}

/// Makes the real unlock of a mutex of the kernel's, before the start, and counts it back. `Err(Miss::Libc)` for any other mutex.
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

/// Locks the mutex until a moment, on any thread. Called by the hooks, and by `cond` after a wait, with no lock of the runtime held.
/// Fails as `mutex_lock` and `mutex_timedlock`, by `Miss::Errno` only. May park; no cancellation point.
#[inline]
pub unsafe fn acquire(lock: *mut pthread_mutex_t, until: Until) -> Answer<c_int> {
    if !object::is_plain(lock) {
        return acquire_owned(lock, until);
    }
    tried(real::pthread_mutex_trylock(lock), lock, until)
}

/// Locks a mutex that is not plain, as `acquire` does. By itself, so that the way of plain ones is short.
#[inline(never)]
unsafe fn acquire_owned(lock: *mut pthread_mutex_t, until: Until) -> Answer<c_int> {
    if object::is_kernels(lock) {
        return acquire_in_kernel(lock, until);
    }
    tried(attempt(lock), lock, until)
}

/// Goes on after libc's first try, which has answered `result`.
#[inline]
unsafe fn tried(result: c_int, lock: *mut pthread_mutex_t, until: Until) -> Answer<c_int> {
    match result {
        0 => Ok(0),
        libc::EBUSY => acquire_busy(lock, until),
        other => errno(other),
    }
}

/// Makes libc's try; returns its error number. A context of a lent loop owns what it locks by itself.
#[inline]
unsafe fn attempt(lock: *mut pthread_mutex_t) -> c_int {
    if lending::lends() && object::minds_owner(lock) {
        lending::as_context(|| real::pthread_mutex_trylock(lock))
    } else {
        real::pthread_mutex_trylock(lock)
    }
}

/// Waits in the lot for a mutex that the first try found busy. EDEADLK where the caller holds an error-checking one; a normal one
/// deadlocks, as natively, and the dump shows it.
#[cold]
unsafe fn acquire_busy(lock: *mut pthread_mutex_t, until: Until) -> Answer<c_int> {
    if lending::as_context(|| object::would_deadlock(lock)) {
        return errno(libc::EDEADLK);
    }
    contended::wait(Why::Mutex(lock as usize), LockKind::Lock, lock as usize, EXCLUSIVE, until.deadline()?, || {
        attempt(lock)
    })
}

/// Locks a mutex whose owner the kernel or another process reads. The kernel waits, with the slot offered. The thread is pinned to
/// its kernel thread, whose tid glibc writes into the mutex. Fails as libc's own lock: EOWNERDEAD, ENOTRECOVERABLE, EDEADLK,
/// ETIMEDOUT, EINVAL.
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

/// Locks a robust mutex that inherits priority, in slices of SLICE_NS. Returns an error number.
///
/// 1. The kernel hands such a mutex to a waiter when the owner's kernel thread ends. A green thread may end without its kernel
///    thread: then the mutex is marked (`pin::abandon`), and to the kernel it is the kernel thread's still, as long as it has a
///    waiter there.
/// 2. So each waiter looks at the mark after every slice (`object::is_orphaned`).
/// 3. Once the mutex is marked no waiter enters the kernel any more: each tries instead, every LOOKS_EVERY_NS. The first to try after
///    the last waiter has left the kernel gets the mutex.
///
/// A bad moment is libc's to refuse.
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

/// Tries a mutex of the kernel's once; returns the error number. After a failed try of a robust and inheriting one the kernel may
/// have noted this kernel thread as its owner, where the ended owner had run on it: `remain_orphaned` undoes that.
unsafe fn try_in_kernel(lock: *mut pthread_mutex_t) -> c_int {
    let result = real::pthread_mutex_trylock(lock);
    if result == libc::EBUSY && object::is_robust_and_inheriting(lock) {
        object::remain_orphaned(lock);
    }
    result
}

/// Runs a real lock function pinned to this kernel thread, with the kernel thread's tid in force. Stays pinned if it took the lock (0
/// or EOWNERDEAD): the owner's tid in the mutex is this kernel thread's. `release_in_kernel` unpins. Returns the function's error
/// number.
unsafe fn pinned(lock: *const pthread_mutex_t, take: impl FnOnce() -> c_int) -> Answer<c_int> {
    runtime::waiting::pin::pin(object::is_robust(lock));
    if object::is_protecting(lock) {
        // glibc keeps the priorities of PTHREAD_PRIO_PROTECT in the thread's descriptor (nptl/tpp.c).
        runtime::spoil();
    }
    let result = runtime::with_kernel_tid(take);
    if result != 0 && result != libc::EOWNERDEAD {
        runtime::unpin();
    }
    code(result)
}

/// `pthread_mutex_consistent`: libc's own, with the kernel thread's tid in force, for glibc writes the owner anew. EINVAL for a
/// mutex that is not robust, or not inconsistent (nptl/pthread_mutex_consistent.c).
pub unsafe fn mutex_consistent(lock: *mut pthread_mutex_t) -> Answer<c_int> {
    code(runtime::with_kernel_tid(|| real::pthread_mutex_consistent(lock)))
}

/// `pthread_mutex_setprioceiling`: libc's own, pinned, for glibc locks the mutex meanwhile, unless the caller holds it
/// (nptl/pthread_mutex_setprioceiling.c). That lock waits in the kernel, with the slot offered.
pub unsafe fn mutex_setprioceiling(lock: *mut pthread_mutex_t, ceiling: c_int, before: *mut c_int) -> Answer<c_int> {
    runtime::waiting::pin::pin(false);
    let result =
        runtime::with_kernel_tid(|| runtime::block(|| real::pthread_mutex_setprioceiling(lock, ceiling, before)));
    runtime::unpin();
    code(result)
}

/// Unlocks the mutex, on any thread. The caller must `settle` the outcome as soon as it may yield; `cond` calls this while it is
/// enqueued, and settles nothing. Fails as libc's own unlock (EPERM), and wakes nothing then. In order:
///
/// 1. libc's unlock, which wakes the kernel's sleepers. The object is another thread's from here on: it is not read.
/// 2. A look into the lot, behind a full fence (`park::waiting_after_exchange`): against `contended`'s enqueue and try.
/// 3. The first waiter is woken. It competes for the mutex with threads that come.
#[inline]
pub unsafe fn release(lock: *mut pthread_mutex_t) -> Answer<Outcome> {
    let result = if object::is_plain(lock) {
        real::pthread_mutex_unlock(lock)
    } else if object::is_kernels(lock) {
        return release_in_kernel(lock);
    } else {
        unlock_as_owner(lock)
    };
    if result != 0 {
        return errno(result);
    }
    if !park::waiting_after_exchange(lock as usize) {
        return Ok(Outcome::Done);
    }
    Ok(contended::wake(lock as usize, EXCLUSIVE, true, || true).1)
}

/// Makes libc's unlock of a mutex that minds its owner; returns the error number. What the thread has locked while no context ran is
/// unlocked by any of its contexts.
unsafe fn unlock_as_owner(lock: *mut pthread_mutex_t) -> c_int {
    if !lending::lends() || object::is_held(lock) {
        real::pthread_mutex_unlock(lock)
    } else {
        lending::as_context(|| real::pthread_mutex_unlock(lock))
    }
}

/// Unlocks a mutex of the kernel's by the tid of its kernel thread, and unpins its owner. libc's unlock wakes the kernel's waiters.
#[cold]
unsafe fn release_in_kernel(lock: *mut pthread_mutex_t) -> Answer<Outcome> {
    let result = runtime::with_kernel_tid(|| real::pthread_mutex_unlock(lock));
    // ENOTRECOVERABLE: glibc has unlocked an inconsistent mutex, or counted a recursive one down.
    if result == 0 || result == libc::ENOTRECOVERABLE {
        runtime::unpin();
    }
    code(result).map(|_| Outcome::Done)
}
