//! Read-write locks: the real try functions, the lot, the real unlock.
//!
//! glibc decides with counters of waiting readers and writers inside the object. A parked thread is not counted in the object, so the
//! tokens in the lot decide here. An unlock looks at the lock's own word, under the bucket's lock: while a thread is parked here the
//! object is alive.
//!
//! | held now by | the unlock wakes |
//! |---|---|
//! | a writer | none: the writer's own unlock wakes them |
//! | readers | the parked readers, but for a lock that always prefers writers and has one waiting |
//! | no thread | all readers, or else one writer; the other way round where writers are preferred |
//!
//! A writer that is kept waiting by a lock that always prefers writers announces itself for as long as it waits, woken or parked: no
//! reader gets in before it. Two readers that leave together both look after they have left, so the later reader finds the lock free: no
//! wake is lost. As natively, readers may starve writers by default, and a recursive reader of a lock that always prefers writers
//! deadlocks.

use crate::hooks::answer::{code, errno, Answer, Miss};
use crate::hooks::moment::{self, Until};
use crate::hooks::real;
use crate::hooks::sync::contended::{self, LockKind, Outcome, ANNOUNCED, EXCLUSIVE, SHARED};
use crate::hooks::sync::object::{self, Held, Prefers};
use crate::runtime;
use crate::runtime::news::lot;
use crate::runtime::waiting::{lending, park};
use crate::why::Why;
use libc::{c_int, clockid_t, pthread_rwlock_t, timespec};

/// The roles of this file's waiters in the lot.
const READER: usize = SHARED;
const WRITER: usize = EXCLUSIVE;

/// `pthread_rwlock_rdlock`: libc's try, then the lot. Returns the error number: EDEADLK where the caller writes, EAGAIN for too many
/// readers. Called by any thread. A handler runs during the wait and does not end it. No cancellation point.
pub unsafe fn rwlock_rdlock(lock: *mut pthread_rwlock_t) -> Answer<c_int> {
    acquire(lock, READER, Until::NEVER)
}

/// `pthread_rwlock_wrlock`: as `rwlock_rdlock`, for writing. EDEADLK is only found where the caller writes already; a reader that
/// asks waits for itself, as natively.
pub unsafe fn rwlock_wrlock(lock: *mut pthread_rwlock_t) -> Answer<c_int> {
    acquire(lock, WRITER, Until::NEVER)
}

/// `pthread_rwlock_timedrdlock`: as `rwlock_rdlock`, until a moment of CLOCK_REALTIME: then ETIMEDOUT. A bad moment is EINVAL even
/// if the lock is free, as in glibc (nptl/pthread_rwlock_common.c).
pub unsafe fn rwlock_timedrdlock(lock: *mut pthread_rwlock_t, until: *const timespec) -> Answer<c_int> {
    acquire_until(lock, READER, Until { clock: libc::CLOCK_REALTIME, time: until })
}

/// `pthread_rwlock_timedwrlock`: as `rwlock_timedrdlock`, for writing.
pub unsafe fn rwlock_timedwrlock(lock: *mut pthread_rwlock_t, until: *const timespec) -> Answer<c_int> {
    acquire_until(lock, WRITER, Until { clock: libc::CLOCK_REALTIME, time: until })
}

/// `pthread_rwlock_clockrdlock`: as `rwlock_timedrdlock`, with a clock of the caller's choice.
pub unsafe fn rwlock_clockrdlock(
    lock: *mut pthread_rwlock_t,
    clock: clockid_t,
    until: *const timespec,
) -> Answer<c_int> {
    acquire_until(lock, READER, Until { clock, time: until })
}

/// `pthread_rwlock_clockwrlock`: as `rwlock_clockrdlock`, for writing.
pub unsafe fn rwlock_clockwrlock(
    lock: *mut pthread_rwlock_t,
    clock: clockid_t,
    until: *const timespec,
) -> Answer<c_int> {
    acquire_until(lock, WRITER, Until { clock, time: until })
}

/// `pthread_rwlock_tryrdlock`: libc's own, but EBUSY where a reader queues behind a writer that waits in the lot, which libc does not see.
pub unsafe fn rwlock_tryrdlock(lock: *mut pthread_rwlock_t) -> Answer<c_int> {
    if must_queue(lock) {
        return errno(libc::EBUSY);
    }
    Err(Miss::Libc)
}

/// `pthread_rwlock_unlock`: libc's own, then the lot, whose first waiters are chosen by what the lock prefers, and run before the
/// caller if one of them is starving. Errors are libc's, and no waiter is woken then. Before the start, and for a shared lock, libc
/// answers.
pub unsafe fn rwlock_unlock(lock: *mut pthread_rwlock_t) -> Answer<c_int> {
    if !runtime::started() || object::RWLOCK_SHARED.of(lock) != 0 {
        return Err(Miss::Libc);
    }
    let prefers = object::prefers(lock);
    // libc tells a writer's unlock from a reader's by the owner. What a try has locked that no hook sees is the thread's own.
    let result = if object::is_writer(lock) {
        real::pthread_rwlock_unlock(lock)
    } else {
        lending::as_context(|| real::pthread_rwlock_unlock(lock))
    };
    if result != 0 {
        return errno(result);
    }
    if park::waiting_after_exchange(lock as usize) {
        wake(lock, prefers).settle();
    }
    Ok(0)
}

/// Takes the lock until a moment. EINVAL for a bad clock or a bad moment comes before the lock is looked at.
unsafe fn acquire_until(lock: *mut pthread_rwlock_t, role: usize, until: Until) -> Answer<c_int> {
    if !until.is_never() {
        moment::waitable(until.clock)?;
        moment::valid(until.time)?;
    }
    acquire(lock, role, until)
}

/// Takes the lock in a role: libc's try first, then `acquire_busy`. A shared lock goes to the kernel. Fails by the error number.
#[inline]
unsafe fn acquire(lock: *mut pthread_rwlock_t, role: usize, until: Until) -> Answer<c_int> {
    if object::RWLOCK_SHARED.of(lock) != 0 {
        return acquire_in_kernel(lock, role, until);
    }
    match attempt(lock, role) {
        0 => Ok(0),
        libc::EBUSY => acquire_busy(lock, role, until),
        other => errno(other),
    }
}

/// Makes libc's try in this role; returns its error number. A context of a lent loop writes as itself. EBUSY as well where a reader must
/// queue.
unsafe fn attempt(lock: *mut pthread_rwlock_t, role: usize) -> c_int {
    if role == WRITER {
        lending::as_context(|| libc::pthread_rwlock_trywrlock(lock))
    } else if must_queue(lock) {
        libc::EBUSY
    } else {
        real::pthread_rwlock_tryrdlock(lock)
    }
}

/// Must a reader wait although the lock is free for readers? True while a writer has announced itself at a lock that always prefers
/// writers.
unsafe fn must_queue(lock: *mut pthread_rwlock_t) -> bool {
    object::prefers(lock) == Prefers::WritersAlways && contended::announced(lock as usize)
}

/// Waits in the lot for a lock that was found busy. EDEADLK where the caller holds it for writing; EINVAL and ETIMEDOUT by the
/// moment. A writer at a lock that always prefers writers is announced meanwhile, and one that gives up wakes the readers that have
/// queued behind it.
#[cold]
unsafe fn acquire_busy(lock: *mut pthread_rwlock_t, role: usize, until: Until) -> Answer<c_int> {
    if lending::as_context(|| object::is_writer(lock)) {
        return errno(libc::EDEADLK);
    }
    let deadline = until.deadline()?;
    let wait =
        || contended::wait(why(lock, role), LockKind::Lock, lock as usize, role, deadline, || attempt(lock, role));
    if role == READER || object::prefers(lock) != Prefers::WritersAlways {
        return wait();
    }
    let answer = lot::present(lock as usize, ANNOUNCED, wait);
    if answer.is_err() {
        // Readers have queued behind a writer that goes without.
        wake(lock, Prefers::WritersAlways).settle();
    }
    answer
}

/// Returns what a dump says of a wait for the lock.
fn why(lock: *mut pthread_rwlock_t, role: usize) -> Why {
    if role == WRITER {
        Why::WriteLock(lock as usize)
    } else {
        Why::ReadLock(lock as usize)
    }
}

/// Takes a lock that other processes share: the real call waits in the kernel, with the slot offered. Errors are libc's.
#[cold]
unsafe fn acquire_in_kernel(lock: *mut pthread_rwlock_t, role: usize, until: Until) -> Answer<c_int> {
    runtime::announce(why(lock, role));
    code(runtime::block(|| match (role == WRITER, until.is_never()) {
        (true, true) => real::pthread_rwlock_wrlock(lock),
        (true, false) => real::pthread_rwlock_clockwrlock(lock, until.clock, until.time),
        (false, true) => real::pthread_rwlock_rdlock(lock),
        (false, false) => real::pthread_rwlock_clockrdlock(lock, until.clock, until.time),
    }))
}

/// Wakes the waiters that may go on now, by the table at the top. Called after an unlock, and by a writer that has given up.
#[cold]
unsafe fn wake(lock: *mut pthread_rwlock_t, prefers: Prefers) -> Outcome {
    let pass = |role: usize| {
        contended::wake(lock as usize, role, role == WRITER, || {
            // SAFETY: asked while a waiter is queued at this address, so that the object there is alive.
            let held = unsafe { object::held(lock) };
            held == Held::Nobody || held == Held::Readers && role == READER
        })
    };
    let order = match prefers {
        Prefers::Readers => [READER, WRITER],
        Prefers::WritersAlways if contended::announced(lock as usize) => [WRITER, WRITER],
        _ => [WRITER, READER],
    };
    let (woken, outcome) = pass(order[0]);
    if woken > 0 {
        return outcome;
    }
    pass(order[1]).1
}
