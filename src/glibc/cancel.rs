//! Cancellation inside glibc: its word in a thread's descriptor, and the points at which it acts.
//!
//! The word is glibc's, `cancelhandling`; the bits that the runtime sets and asks for:
//!
//! ```text
//!   bit        set                                          cleared                          who it tells
//!   CANCELED   `mark_cancelled`, by the canceller           `forget_exit`                    glibc's next point: end the thread
//!   EXITING    glibc's unwinding; `note_exit`               `forget_exit`                    glibc's points: do not act any more
//!   POINT      glibc, before a call that is a point         glibc, after it                  `is_in_point`: the call may be left
//!   DISABLED   `set_cancel_state`; glibc around its own     the same                         `is_in_point`: the call may not be left
//! ```
//!
//! A green thread is cancelled so:
//!
//! 1. The canceller notes it with the green thread, and sets CANCELED, but for main.
//! 2. Where the thread may stand in a call, its kernel thread is sent a signal (`waiting/cancel.rs`).
//! 3. The handler looks at the word, on the thread itself: with POINT and without DISABLED it stands in a call of libc's, which may be
//!    left. The thread may have left the point since 2; then nothing is done, and the next point acts by 1.
//!
//! From glibc 2.41 on no bit tells of a point, only the instruction at which the thread was interrupted (`version::is_at_point`).

use crate::arch;
use crate::base::kept::Kept;
use crate::glibc::functions::{real, REAL};
use crate::glibc::text::text;
use crate::glibc::version;
use libc::c_int;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::*;

/// glibc's note that the thread at `tcb` is cancelled or ending.
pub fn cancelhandling(tcb: usize) -> &'static AtomicI32 {
    // SAFETY: an aligned field of a descriptor that is never freed (a vessel's, or the running thread's), which glibc changes atomically.
    unsafe { AtomicI32::from_ptr((tcb + REAL.cancelhandling_offset.load(Relaxed)) as *mut i32) }
}

/// Its bits that all versions have (source: nptl/descr.h).
pub const CANCELED: i32 = 1 << 3;
/// The thread runs its cancellation or its exit.
pub const EXITING: i32 = 1 << 4;

/// The bit that says: asynchronously. Up to 2.40 glibc's cancellation points inside libc set it while they are in the kernel; 0 where a
/// version keeps it elsewhere.
pub static POINT: Kept<AtomicI32> = Kept::new(AtomicI32::new(0));
/// The bit that says: not now. libc sets it around calls of its own that are no cancellation points (pclose's wait).
pub static DISABLED: Kept<AtomicI32> = Kept::new(AtomicI32::new(0));

/// Finds the bits that change with the type and with the state. Called at load, on the first thread.
pub fn find_bits() {
    let set_type = real!(setcanceltype as unsafe extern "C" fn(c_int, *mut c_int) -> c_int);
    let set_state = real!(setcancelstate as unsafe extern "C" fn(c_int, *mut c_int) -> c_int);
    let word = cancelhandling(arch::tcb());
    for (set, bit) in [(set_type, &POINT), (set_state, &DISABLED)] {
        let mut own = 0;
        // SAFETY: on this thread's own descriptor; no thread has cancelled it at load.
        unsafe {
            set(0, &mut own);
            let before = word.load(Relaxed);
            set(1, std::ptr::null_mut());
            bit.store(word.load(Relaxed) ^ before, Relaxed);
            set(own, std::ptr::null_mut());
        }
    }
}

/// Marks the thread at `tcb` as cancelled in glibc's word, too: the next cancellation point inside libc ends it.
pub fn mark_cancelled(tcb: usize) {
    cancelhandling(tcb).fetch_or(CANCELED, SeqCst);
}

/// Is the thread at `tcb` in a cancellation point inside libc, as far as its note says it?
pub fn is_in_point(tcb: usize) -> bool {
    let note = cancelhandling(tcb).load(SeqCst);
    note & POINT.load(Relaxed) != 0 && note & DISABLED.load(Relaxed) == 0 && !version::points_have_a_place()
}

/// May the thread at `tcb`, which is not the running one, be in a cancellation point inside libc that only its place tells?
pub fn may_be_in_point(tcb: usize) -> bool {
    version::points_have_a_place() && cancelhandling(tcb).load(SeqCst) & (DISABLED.load(Relaxed) | EXITING) == 0
}

/// Is the running thread, interrupted at `instruction`, in a cancellation point inside libc that only its place tells?
pub fn is_at_point(instruction: usize, result: isize) -> bool {
    /// How far the function that makes such calls reaches.
    const NEAR: usize = 64;
    let inside = || text().is_some_and(|(start, bytes)| (start + NEAR..start + bytes - NEAR).contains(&instruction));
    // SAFETY: the instruction lies that far inside libc's text, which can be read.
    may_be_in_point(arch::tcb()) && inside() && unsafe { version::is_at_point(instruction, result) }
}

/// Does the thread at `tcb` unwind already?
pub fn is_exiting(tcb: usize) -> bool {
    cancelhandling(tcb).load(Relaxed) & EXITING != 0
}

/// Sets whether the running thread's cancellation points inside libc act (PTHREAD_CANCEL_…), and returns what was set before.
pub fn set_cancel_state(state: c_int) -> c_int {
    let set = real!(setcancelstate as unsafe extern "C" fn(c_int, *mut c_int) -> c_int);
    let mut before = 0;
    // SAFETY: on this thread's own descriptor, which never says asynchronously outside libc: the call does not act.
    unsafe { set(state, &mut before) };
    before
}

/// Makes a call that is a cancellation point inside libc, with cancellation disabled there.
pub fn uncancelled<R>(call: impl FnOnce() -> R) -> R {
    const DISABLE: c_int = 1;
    let before = set_cancel_state(DISABLE);
    let result = call();
    set_cancel_state(before);
    result
}

/// Notes that the running thread's function is over: no cancellation point acts any more.
pub fn note_exit() {
    cancelhandling(arch::tcb()).store(EXITING, Relaxed);
}

/// Clears a descriptor of the last thread's end, for a new thread.
pub fn forget_exit(tcb: usize) {
    cancelhandling(tcb).store(0, Relaxed);
}
