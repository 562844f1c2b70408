//! libc's private locks (around a FILE, the resolver's sockets, syslog's, malloc's arenas): their wait and their wake, which libc
//! calls when a lock is found busy. The holder may be parked, since libc's own reads and writes park; so a green thread that wants
//! the lock parks, too.
//!
//! ```text
//!   from   to   by
//!   0      1    libc, inline: the lock is free
//!   1, 2   2    lock_wait: the lock is busy, and its holder is to call lock_wake
//!   0      2    lock_wait: taken, and perhaps waited for
//!   1      0    libc, inline: no thread waits
//!   2      0    libc, inline, which then calls lock_wake
//! ```
//!
//! The word is glibc's (source: lowlevellock.h). Both functions are libc's own entries, which the library replaces together
//! (`inside/entries.rs`): a wake that knew the kernel's sleepers only would miss the parked threads.

use crate::base::kept::Kept;
use crate::hooks::sync::contended::{self, LockKind, EXCLUSIVE};
use crate::runtime::news::lot;
use crate::runtime::{current, start};
use crate::why::Why;
use crate::{arch, sys};
use libc::EBUSY;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};

/// The word of a free lock.
const FREE: u32 = 0;
/// The word of a lock that is held and perhaps waited for.
const WAITED_FOR: u32 = 2;

/// How many kernel threads sleep on private locks. A wake wakes one parked thread *and* one sleeper, for if the sleeper is the
/// monitor the parked thread may never run without it. The second of the two finds the lock busy and waits on.
///
/// A fork child keeps the number: too high it costs a needless system call.
static SLEEPERS: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));

/// Takes a lock that was found busy, and returns with it. Called by libc in the place of its own wait, on any thread. A green thread
/// parks; the runtime's own code, a birth that is caught, and foreign threads sleep in the kernel. No cancellation point.
///
/// # Safety
/// As `__lll_lock_wait_private`.
pub unsafe extern "C" fn lock_wait(word: *mut u32) {
    let lock = AtomicU32::from_ptr(word);
    let attempt = || if lock.swap(WAITED_FOR, Acquire) == FREE { 0 } else { EBUSY };
    if current().is_some() && arch::guard_word() == 0 && arch::capture_word() == 0 {
        contended::wait(Why::Lock(word as usize), LockKind::Lock, word as usize, EXCLUSIVE, None, attempt).ok();
        return;
    }
    SLEEPERS.fetch_add(1, SeqCst);
    while attempt() == EBUSY {
        sys::futex_wait(lock, WAITED_FOR, None).ok();
    }
    SLEEPERS.fetch_sub(1, SeqCst);
}

/// Wakes a thread that waits for a lock that was given back. Called by libc after it has freed the word, whose memory may be gone:
/// its address is a key here. In a fork child libc gives back what it took for the fork before the library's handler has run. Then
/// there is no thread to wake, and the lot's own locks may be held by threads that are gone: so nothing is done.
///
/// # Safety
/// As `__lll_lock_wake_private`.
pub unsafe extern "C" fn lock_wake(word: *mut u32) {
    if start::is_new_child() {
        return;
    }
    let address = word as usize;
    let woken = lot::waiting(address) && contended::wake(address, EXCLUSIVE, true, || true).0 > 0;
    if !woken || SLEEPERS.load(SeqCst) > 0 {
        sys::futex_wake(word, 1);
    }
}
