//! The making of threads; the first thread starts the runtime.

use crate::hooks::answer::{Answer, Miss};
use crate::hooks::inside::entries;
use crate::hooks::signal::action;
use crate::hooks::thread::attributes::{wish_by_default, wish_of};
use crate::runtime;
use crate::runtime::births::thread;
use crate::runtime::machine::words::Start;
use libc::*;

/// Starts the runtime at the first thread, and decides who makes this one. Called by the hooks that make threads, on any thread, with
/// no lock held. Steps of a first call:
///
/// 1. The start begins. It may be refused (`start::why_native`): then this thread is native.
/// 2. libc's entries are taken on the way (`entries::take`), before the first green thread is made.
/// 3. The program's signal handlers are put behind the runtime's (`action::take_over`).
///
/// True: a green thread is to be made. False: libc makes the thread, because the start was refused, or because the caller is alone
/// with its kernel thread for ever: its threads are to inherit from that.
pub fn start_or_refuse() -> bool {
    if runtime::started() {
        return !runtime::kernel::alone::stays();
    }
    let done = runtime::start::start(entries::take);
    if done {
        action::take_over();
    }
    done
}

/// `pthread_create`: makes a green thread; the first call starts the runtime. Returns the error number: EINVAL and EPERM for an
/// attribute that the kernel would refuse, before anything is made; EAGAIN for want of memory or room. `thread` is written before
/// the new thread runs. The thread inherits the caller's mask, policy and processors where the attribute says nothing. libc answers
/// where `start_or_refuse` says so. No cancellation point.
pub unsafe fn pthread_create(
    thread: *mut pthread_t,
    attr: *const pthread_attr_t,
    start: extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *mut c_void,
) -> Answer<c_int> {
    if !start_or_refuse() {
        return Err(Miss::Libc);
    }
    let start = Start::Posix(start);
    let wish = if attr.is_null() { wish_by_default(start, argument)? } else { wish_of(&*attr, start, argument)? };
    thread::create(wish, |pthread| *thread = pthread as pthread_t).map_err(Miss::Errno)?;
    Ok(0)
}

/// C11's `thrd_create`: as `pthread_create` without an attribute. thrd_nomem for every failure to make the thread: glibc answers
/// that for EAGAIN, too.
pub unsafe fn thrd_create(
    thread: *mut pthread_t,
    start: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> Answer<c_int> {
    if !start_or_refuse() {
        return Err(Miss::Libc);
    }
    let wish = wish_by_default(Start::C11(start), argument)?;
    thread::create(wish, |pthread| *thread = pthread as pthread_t).map_err(|_| Miss::Errno(ENOMEM))?;
    Ok(0)
}
