//! A thread's life after its beginning: join, detach, exit, cancel, and the keys of its values.
//!
//! A pthread_t is a TCB, and a green thread's has a word in its TLS that leads to it; for a foreign thread the real function answers.
//! The end of a thread and the join of it, in the word `life`:
//!
//! 1. A joiner sets JOINING, and parks under the word's address. A second one gets EINVAL; a wait that fails takes the bit back.
//! 2. The thread ends: FINISHED. A joiner that is parked is woken.
//! 3. The join, or a detached thread's end, frees the vessel: GONE. From here on a join answers ESRCH, until a new thread has the
//!    vessel and with it the pthread_t, as natively a new thread may.

use crate::glibc;
use crate::hooks::answer::{errno, Answer, Miss};
use crate::hooks::moment::{self, Until};
use crate::hooks::named::{by_pthread, is_me, me};
use crate::hooks::real;
use crate::runtime::births::{end, thread};
use crate::runtime::machine::words::life;
use crate::runtime::waiting::cancel;
use crate::runtime::{self, current};
use libc::*;
use std::sync::atomic::Ordering::*;

/// Writes what a joined thread has returned to `result`, unless that is null. Touched without asking, as by glibc: a bad pointer
/// crashes.
unsafe fn write_result(result: *mut *mut c_void, value: *mut c_void) -> Answer<c_int> {
    if !result.is_null() {
        *result = value;
    }
    Ok(0)
}

/// `pthread_join`: parks until the thread has ended. Returns the error number: EDEADLK for the caller itself; EINVAL for a thread
/// that is detached or joined by another; ESRCH for one that has been joined. Differs from glibc's (nptl/pthread_join_common.c): two
/// threads that join each other both wait. A handler does not end the wait. A cancellation point, which leaves the thread joinable.
/// A foreign thread is joined by libc.
pub unsafe fn pthread_join(thread: pthread_t, result: *mut *mut c_void) -> Answer<c_int> {
    let green = by_pthread(thread)?;
    runtime::cancellation_point();
    let value = thread::join(green, || Ok(None)).map_err(Miss::Errno)?;
    write_result(result, value)
}

/// `pthread_tryjoin_np`: as `pthread_join`, but EBUSY instead of a wait. EBUSY comes before the other errors, as in glibc
/// (nptl/pthread_tryjoin.c). Never parks. No cancellation point.
pub unsafe fn pthread_tryjoin_np(thread: pthread_t, result: *mut *mut c_void) -> Answer<c_int> {
    let green = by_pthread(thread)?;
    if green.life.load(Acquire) & (life::FINISHED | life::GONE) == 0 {
        return errno(EBUSY);
    }
    let value = thread::join(green, || Err(EBUSY)).map_err(Miss::Errno)?;
    write_result(result, value)
}

/// `pthread_timedjoin_np`: as `pthread_join`, until a moment of CLOCK_REALTIME: then ETIMEDOUT, and the thread stays joinable. A
/// null moment has no end.
pub unsafe fn pthread_timedjoin_np(
    thread: pthread_t,
    result: *mut *mut c_void,
    until: *const timespec,
) -> Answer<c_int> {
    pthread_clockjoin_np(thread, result, CLOCK_REALTIME, until)
}

/// `pthread_clockjoin_np`: as `pthread_timedjoin_np`, with a clock of the caller's choice. EINVAL for a clock other than
/// CLOCK_REALTIME and CLOCK_MONOTONIC. EINVAL for a bad moment comes first in the glibc versions of which `join_checks_time` is
/// true; in all others only where the call would wait.
pub unsafe fn pthread_clockjoin_np(
    thread: pthread_t,
    result: *mut *mut c_void,
    clock: clockid_t,
    until: *const timespec,
) -> Answer<c_int> {
    let green = by_pthread(thread)?;
    moment::waitable(clock)?;
    if until.is_null() {
        return pthread_join(thread, result);
    }
    runtime::cancellation_point();
    if glibc::version::join_checks_time() {
        moment::valid(until)?;
    }
    let deadline = || Until { clock, time: until }.deadline().map_err(|_| EINVAL);
    let value = thread::join(green, deadline).map_err(Miss::Errno)?;
    write_result(result, value)
}

/// `pthread_detach`: from now on the thread's vessel is used again as soon as it ends. Returns the error number: EINVAL if it is
/// detached already, ESRCH. Never waits.
pub unsafe fn pthread_detach(thread: pthread_t) -> Answer<c_int> {
    thread::detach(by_pthread(thread)?).map_err(Miss::Errno)?;
    Ok(0)
}

/// C11's `thrd_join`: as `pthread_join`, but no cancellation point. `result` is written even if it fails, as by glibc (thrd_join.c).
pub unsafe fn thrd_join(thread: pthread_t, result: *mut c_int) -> Answer<c_int> {
    let joined = thread::join(by_pthread(thread)?, || Ok(None));
    if !result.is_null() {
        *result = joined.unwrap_or(std::ptr::null_mut()) as isize as c_int;
    }
    joined.map(|_| 0).map_err(Miss::Errno)
}

/// C11's `thrd_detach`: as `pthread_detach`; thrd_error for every failure.
pub unsafe fn thrd_detach(thread: pthread_t) -> Answer<c_int> {
    pthread_detach(thread)
}

/// `pthread_exit`: runs the cleanup handlers by unwinding the caller's stack, then the destructors of its values, and does not
/// return. Nothing of the library's on the stack may have a destructor. On a foreign thread libc's own.
pub unsafe fn pthread_exit(result: *mut c_void) -> Answer<()> {
    match current() {
        Some(me) => end::exit(me, result),
        None => Err(Miss::Libc),
    }
}

/// C11's `thrd_exit`: `pthread_exit` with a number, which thrd_join gets back.
pub unsafe fn thrd_exit(result: c_int) -> Answer<()> {
    pthread_exit(result as isize as *mut c_void)
}

/// `pthread_cancel`: asks the thread to end at its next cancellation point, or anywhere if its type is asynchronous. A wait that is a
/// cancellation point ends. Returns the error number: ESRCH when the thread has been joined, or is detached and has ended. A thread
/// that has finished and is not joined gets nothing, and the caller 0. A foreign thread is cancelled by libc. Returns before the
/// target has acted, but for the caller itself with an asynchronous type, which does not return.
pub unsafe fn pthread_cancel(thread: pthread_t) -> Answer<c_int> {
    let target = by_pthread(thread)?;
    cancel::cancel(target).map_err(Miss::Errno)?;
    let own = is_me(target);
    if own && target.thread.cancel_asynchronous.load(Relaxed) {
        runtime::cancellation_point();
    }
    Ok(0)
}

/// `pthread_testcancel`: a cancellation point, and nothing else. Returns if no cancellation is pending or the state is disabled.
pub unsafe fn pthread_testcancel() -> Answer<()> {
    runtime::cancellation_point();
    Ok(())
}

// From libc's bits/pthread.h.
/// From glibc's pthread.h: a cancellation may act (the state of a new thread).
const PTHREAD_CANCEL_ENABLE: c_int = 0;
/// A cancellation stays pending.
const PTHREAD_CANCEL_DISABLE: c_int = 1;
/// A cancellation acts at cancellation points only (the type of a new thread).
const PTHREAD_CANCEL_DEFERRED: c_int = 0;
/// A cancellation acts at any moment.
const PTHREAD_CANCEL_ASYNCHRONOUS: c_int = 1;

/// `pthread_setcancelstate`: kept in the green thread, and told to glibc, whose own cleanup asks there. EINVAL for a state that is
/// none, before anything is changed. `old` may be null. A pending cancellation acts here only where the type is asynchronous
/// (pthread_setcancelstate(3)).
pub unsafe fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> Answer<c_int> {
    let me = me()?;
    if state != PTHREAD_CANCEL_ENABLE && state != PTHREAD_CANCEL_DISABLE {
        return errno(EINVAL);
    }
    let before = me.thread.cancel_disabled.swap(state == PTHREAD_CANCEL_DISABLE, SeqCst);
    glibc::set_cancel_state(state);
    if !old.is_null() {
        *old = if before { PTHREAD_CANCEL_DISABLE } else { PTHREAD_CANCEL_ENABLE };
    }
    runtime::waiting::cancel::asynchronous_point();
    Ok(0)
}

/// `pthread_setcanceltype`: kept in the green thread; glibc's own type stays deferred. EINVAL for a type that is none, before
/// anything is changed. `old` may be null. A pending cancellation acts here once the
/// type is asynchronous.
pub unsafe fn pthread_setcanceltype(kind: c_int, old: *mut c_int) -> Answer<c_int> {
    let me = me()?;
    if kind != PTHREAD_CANCEL_DEFERRED && kind != PTHREAD_CANCEL_ASYNCHRONOUS {
        return errno(EINVAL);
    }
    let before = me.thread.cancel_asynchronous.swap(kind == PTHREAD_CANCEL_ASYNCHRONOUS, SeqCst);
    if !old.is_null() {
        *old = if before { PTHREAD_CANCEL_ASYNCHRONOUS } else { PTHREAD_CANCEL_DEFERRED };
    }
    runtime::waiting::cancel::asynchronous_point();
    Ok(0)
}

/// `pthread_key_create`: libc's own, with its errors (EAGAIN). The key's number is noted, for at a green thread's end the
/// library runs the values' destructors, up to the greatest key (`glibc/keys.rs`). Called by any thread, before the start, too.
pub unsafe fn pthread_key_create(
    key: *mut pthread_key_t,
    destructor: Option<unsafe extern "C" fn(*mut c_void)>,
) -> Answer<c_int> {
    let failed = real::pthread_key_create(key, destructor);
    if failed == 0 {
        glibc::note_key(*key);
    }
    Ok(failed)
}
