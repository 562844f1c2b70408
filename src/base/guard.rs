//! The guard: while it is up, the runtime is at work on this kernel thread and no handler of the program's may run.
//!
//! The guard's word counts how often it was raised (arch has it, for the switch and for births); its highest bit says that a signal came
//! meanwhile. The last to leave answers that knock.

use crate::arch;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::*;

/// Raises the guard: from here to `leave_runtime` this kernel thread is inside the runtime. Nests.
#[inline(always)]
pub fn enter_runtime() {
    arch::guard_up();
}

/// Lowers the guard. A signal that came while it was up is seen to right here, before the thread does anything else: it may end next.
#[inline]
pub fn leave_runtime() {
    arch::guard_down();
    if arch::guard_word() & KNOCKED != 0 {
        answer_knock();
    }
}

/// What answers a knock: `signal::delivery`'s function, set once by the start, before the first knock can be.
static ANSWER: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

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

/// In the guard's word: a signal came while it was up. (A handler between the reading and the writing of the word leaves it as it was,
/// or knocks too; what it knocks for is looked at after every writing.)
pub const KNOCKED: usize = 1 << 63;

/// Notes that a signal came while the guard was up: called by handlers of the runtime's on this kernel thread.
pub fn knock() {
    arch::set_guard_word(arch::guard_word() | KNOCKED);
}
