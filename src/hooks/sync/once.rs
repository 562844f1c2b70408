//! Once: libc's own runs the initialiser; threads that come while it runs park in the lot.
//!
//! The word is glibc's (source: nptl/pthread_once.c):
//!
//! ```text
//!   from             to               by
//!   0                RUNNING          libc: a thread begins the initialiser
//!   RUNNING          DONE             libc: it has returned; this file wakes the parked
//!   RUNNING          0                libc: an exception or a cancellation ended it; the parked find that by a retry (`contended`)
//!   the parent's     RUNNING          libc, in a fork child: an initialiser that the parent was running is begun again
//! ```
//!
//! RUNNING is bit 0 (in progress) and, above bit 1 (DONE), the number of forks: so a child tells its own from its parent's. Two threads
//! that come at the same moment may both enter the real function: one of them then sleeps in the kernel, which the monitor's hand-over
//! covers.

use crate::hooks::answer::{Answer, Miss};
use crate::hooks::real;
use crate::hooks::sync::contended::{self, LockKind, EXCLUSIVE};
use crate::runtime;
use crate::runtime::news::lot;
use crate::runtime::waiting::park;
use crate::why::Why;
use libc::c_int;
use std::sync::atomic::{AtomicI32, Ordering::*};

/// The word's bits: an initialiser runs; it has run.
const IN_PROGRESS: i32 = 1;
const DONE: i32 = 2;

/// How glibc marks a once.
struct Form {
    /// The value that glibc writes into a word while the word's initialiser runs in this process. A fork child learns it anew
    /// (`after_fork`).
    running: AtomicI32,
    /// A word for a once of the library's own, by which the form of `running` is found.
    probe: AtomicI32,
}

static FORM: Form = Form { running: AtomicI32::new(IN_PROGRESS), probe: AtomicI32::new(0) };

/// The initialiser of the library's own once: notes what the word holds while an initialiser runs.
extern "C" fn note_running() {
    FORM.running.store(FORM.probe.load(Relaxed), Relaxed);
}

/// Finds out what a running initialiser's word looks like in this process (`after_fork`: in a child). Called at load. False: this glibc's
/// once does not keep its state as described above.
pub fn learn_generation() -> bool {
    FORM.probe.store(0, Relaxed);
    // SAFETY: a word of the library's and an initialiser that returns.
    unsafe { real::pthread_once(FORM.probe.as_ptr(), note_running) };
    FORM.running.load(Relaxed) & (IN_PROGRESS | DONE) == IN_PROGRESS && FORM.probe.load(Relaxed) == DONE
}

/// Finds out in a fork child what a running initialiser's word looks like there: `learn_generation` writes all that `FORM` has.
pub fn after_fork() {
    let Form { running: _, probe: _ } = &FORM;
    learn_generation();
}

/// `pthread_once`: a green thread that comes while another runs the initialiser parks; libc's own does the rest, and may unwind through
/// this frame.
pub unsafe fn once(once: *mut c_int, initialise: extern "C" fn()) -> Answer<c_int> {
    let word = AtomicI32::from_ptr(once);
    if word.load(Acquire) & DONE != 0 {
        return Ok(0);
    }
    if !runtime::started() {
        return Err(Miss::Libc);
    }
    run(word, initialise);
    Ok(0)
}

/// C11's `call_once`, which is `once` without a result.
pub unsafe fn call_once(once: *mut c_int, initialise: extern "C" fn()) -> Answer<()> {
    self::once(once, initialise).map(|_| ())
}

/// Waits while another thread runs the initialiser in this process, then has libc decide: done by now, or the caller's to run.
#[cold]
unsafe fn run(word: &AtomicI32, initialise: extern "C" fn()) {
    let address = word.as_ptr() as usize;
    let busy = || if word.load(Acquire) == FORM.running.load(Relaxed) { libc::EBUSY } else { 0 };
    if busy() != 0 {
        contended::wait(Why::Once(address), LockKind::Lock, address, EXCLUSIVE, None, busy).ok();
    }
    // Done by now, or this thread's to begin. Nothing here has a destructor, for the initialiser may throw.
    real::pthread_once(word.as_ptr(), initialise);
    if lot::waiting(address) {
        park::wake_all(address);
    }
}
