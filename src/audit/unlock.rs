//! Unlocks of mutexes for which other threads wait: the holder leaves its stack for them (`holder`).
//!
//! glibc's lock word says whether others wait (nptl/lowlevellock.h, sysdeps/nptl/fork.h; the word and the owner stand where static
//! initialisers have them):
//!
//! ```text
//!   kind of mutex                  nobody waits         others wait
//!   plain, recursive, checking     1                    2
//!   robust, inheriting priority    the owner            the owner and FUTEX_WAITERS
//!   protecting priority            says nothing here: its word holds the ceiling as well
//! ```
//!
//! So an unlock that nobody waits for pays one load and one comparison.

use crate::audit::looping::tid;
use crate::audit::stack::{self, Registers};
use crate::audit::thread;
use crate::audit::{clock, holder, recording, text};
use crate::glibc;
use crate::sys;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Where a mutex has its lock word, its owner and its kind, in words (bits/struct_mutex.h).
const LOCK: usize = 0;
const OWNER: usize = 2;
const KIND: usize = 4;

/// Reads a word of a mutex.
///
/// # Safety
/// `lock` is the mutex that the program unlocks now.
#[inline(always)]
unsafe fn word(lock: *const libc::pthread_mutex_t, at: usize) -> u32 {
    // SAFETY: within the mutex, which the caller answers for; its words are read as other threads may change them.
    unsafe { (*(lock as *const AtomicU32).add(at)).load(Relaxed) }
}

/// Is a mutex of a plain kind: none that is robust, inherits or protects, or is shared?
///
/// # Safety
/// `lock` is a mutex of the program's.
#[inline(always)]
pub unsafe fn is_plain(lock: *const libc::pthread_mutex_t) -> bool {
    const KINDS: u32 = 3;
    // SAFETY: the caller's.
    unsafe { word(lock, KIND) & !KINDS == 0 }
}

/// Leaves the thread's stack for those that wait for a mutex. Called by an audited function right before the real unlock; `place` is where
/// its frame is. Inlined: the stack is walked from there.
///
/// # Safety
/// `lock` is what the program unlocks: the real function reads the same words.
#[inline(always)]
pub unsafe fn letting_go(lock: *const libc::pthread_mutex_t, place: usize) {
    // SAFETY: the caller's.
    if unsafe { word(lock, LOCK) } > 1 {
        // SAFETY: the same mutex.
        unsafe { leave(lock, place, stack::registers()) };
    }
}

/// Leaves the stack, if others wait, and no holder is known since the threshold. Keeps errno.
///
/// # Safety
/// As `letting_go`.
#[cold]
#[inline(never)]
unsafe fn leave(lock: *const libc::pthread_mutex_t, place: usize, from: Registers) {
    const OWNED: u32 = 0x30;
    const PROTECTING: u32 = 0x40;
    const FUTEX_WAITERS: u32 = 0x8000_0000;
    // SAFETY: the caller's: the three words lie in the mutex that it unlocks.
    let (state, kind, owner) = unsafe { (word(lock, LOCK), word(lock, KIND), word(lock, OWNER)) };
    let waits = if kind & OWNED == 0 { state == 2 } else { state & FUTEX_WAITERS != 0 };
    let here = thread::here();
    if !waits || kind & PROTECTING != 0 || here.outer.get() > place || recording::is_stopped() || recording::is_idle() {
        return;
    }
    let errno = glibc::errno();
    let outer = here.outer.replace(place);
    if let Some(recording) = recording::of_process() {
        here.belong_to(recording.header.process.load(Relaxed));
        let now = clock::ticks();
        let threshold = clock::ticks_of_us(recording.header.threshold_ns.load(Relaxed) / 1_000);
        // A thread that unlocks what is another's, or nobody's, holds nothing.
        let is_own = owner == tid(here) as u32;
        if let Some(kept) = is_own.then(|| holder::begin(lock as usize, now, threshold)).flatten() {
            kept.name(tid(here), text::until_zero(&sys::thread_name()));
            let mut is_first = true;
            stack::walk(recording, from, |address, _| {
                let skips = is_first && stack::is_own(address);
                is_first &= skips;
                skips || kept.add(address)
            });
            kept.end();
        }
    }
    here.outer.set(outer);
    glibc::set_errno(errno);
}
