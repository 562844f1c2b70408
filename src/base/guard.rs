//! The guard: a count of each kernel thread; while it is not 0 the runtime is at work there, and no handler of the program's runs.
//!
//! The word lies in thread-local memory (arch has it, for the switch and for births). Its low bits count how often the guard was raised;
//! its highest bit, `KNOCKED`, says that a signal came while it was up. `leave_runtime` answers that knock when the count is 0 again:
//!
//! 1. A handler of the runtime's finds the guard up. It keeps the signal (a shelf, a queue) and sets `KNOCKED`.
//! 2. `leave_runtime` writes the lowered count, then reads the word.
//! 3. A handler that comes before the write has set `KNOCKED` for that read. A handler that comes after the write finds the guard down, and
//!    hands the signal out itself. Both run on the same kernel thread, so no fence is needed.

use crate::arch;
use crate::base::kept::Kept;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::*;

/// Raises the guard: from here to `leave_runtime` this kernel thread is inside the runtime. Nests. Signals stay open: a handler of the
/// runtime's that finds the guard up only notes them.
#[inline(always)]
pub fn enter_runtime() {
    arch::guard_up();
}

/// Lowers the guard. A signal that came while it was up is handled before this returns, for the thread may end next. No lock is
/// held where this lowers the count to 0: handlers of the program's may run here, and jump away.
#[inline]
pub fn leave_runtime() {
    arch::guard_down();
    if arch::guard_word() & KNOCKED != 0 {
        answer_knock();
    }
}

/// The function that answers a knock (`signal::delivery`'s): set once by the start, before the first knock.
static ANSWER: Kept<AtomicPtr<()>> = Kept::new(AtomicPtr::new(std::ptr::null_mut()));

/// Sets what answers a knock, for the whole process. Called by the start, while there is one thread.
pub fn answer_by(answer: fn()) {
    ANSWER.store(answer as *mut (), Relaxed);
}

#[cold]
fn answer_knock() {
    let answer = ANSWER.load(Relaxed);
    if !answer.is_null() {
        // SAFETY: only `answer_by` stores here, a function of this type.
        unsafe { std::mem::transmute::<*mut (), fn()>(answer)() }
    }
}

/// The bit of the guard's word that says that a signal came while the guard was up.
pub const KNOCKED: usize = 1 << 63;

/// Sets `KNOCKED`. Called by the runtime's handlers on this kernel thread, while the guard is up. A handler that
/// runs between the read and the write here leaves the word as it found it, or with `KNOCKED` set as well.
pub fn knock() {
    arch::set_guard_word(arch::guard_word() | KNOCKED);
}
