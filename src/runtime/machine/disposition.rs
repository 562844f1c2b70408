//! Dispositions: the action that the program has set for each signal.
//!
//! The kernel is told another handler (`signal::entry`) wherever the program has one, so this table is what sigaction answers from and what
//! a delivered signal is looked up in. A disposition is read and changed as a whole, as in the kernel:
//!
//! 1. A writer holds the lock. It makes `changes` odd, stores handler, flags and mask, and makes `changes` even again.
//! 2. A reader loads `changes`, then the three words, passes an acquire fence, and loads `changes` again.
//! 3. If the first number is odd, or the second is another one, the reader takes the lock and reads anew.
//!
//! The kernel is told under the lock, too (`settle`), so after changes at the same time it knows the last one's.

use crate::base::kept::Kept;
use crate::base::lock::{Rank, RawLock};
use crate::base::signal_set::bit;
use crate::{arch, sys};
use libc::c_int;
use std::sync::atomic::{fence, AtomicU32, AtomicU64, AtomicUsize, Ordering::*};

const SIGNALS: usize = 65;

/// A disposition as the kernel and the program see it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Action {
    /// SIG_DFL, SIG_IGN, or the handler's address.
    pub handler: usize,
    /// SA_ flags.
    pub flags: usize,
    /// The signals that are blocked while the handler runs, beside the signal itself.
    pub mask: u64,
}

/// Signals whose default action does nothing.
const HARMLESS: u64 = bit(libc::SIGCHLD) | bit(libc::SIGURG) | bit(libc::SIGWINCH) | bit(libc::SIGCONT);

/// Signals whose default action stops the process.
const STOPPING: u64 = bit(libc::SIGSTOP) | bit(libc::SIGTSTP) | bit(libc::SIGTTIN) | bit(libc::SIGTTOU);

/// Does the default action of this signal end the process, and could a handler stand before it?
pub fn ends(signal: c_int) -> bool {
    (HARMLESS | STOPPING | bit(libc::SIGKILL)) & bit(signal) == 0
}

impl Action {
    /// The action of a signal for which nothing was set.
    pub const DEFAULT: Action = Action { handler: libc::SIG_DFL, flags: 0, mask: 0 };

    /// Is this a handler, not SIG_DFL or SIG_IGN?
    pub fn is_handler(&self) -> bool {
        self.handler > libc::SIG_IGN
    }

    /// Is `signal`, sent to a thread that does not block it, thrown away?
    pub fn ignores(&self, signal: c_int) -> bool {
        self.handler == libc::SIG_IGN || self.handler == libc::SIG_DFL && HARMLESS & bit(signal) != 0
    }

    /// Is this SA_ flag set?
    pub fn has(&self, flag: c_int) -> bool {
        self.flags & flag as u32 as usize != 0
    }

    /// The signals that its handler for `signal` blocks while it runs.
    pub fn blocks(&self, signal: c_int) -> u64 {
        self.mask | if self.has(libc::SA_NODEFER) { 0 } else { bit(signal) }
    }
}

struct Entry {
    /// Odd while a writer is at work.
    changes: AtomicU32,
    handler: AtomicUsize,
    flags: AtomicUsize,
    mask: AtomicU64,
    /// {the last handler's flags, its mask}. Changed under the lock.
    last: [AtomicU64; 2],
    /// 1: there was a handler.
    had_handler: AtomicU32,
}

impl Entry {
    const fn new() -> Entry {
        Entry {
            changes: AtomicU32::new(0),
            handler: AtomicUsize::new(libc::SIG_DFL),
            flags: AtomicUsize::new(0),
            mask: AtomicU64::new(0),
            last: [AtomicU64::new(0), AtomicU64::new(0)],
            had_handler: AtomicU32::new(0),
        }
    }

    fn read(&self) -> Action {
        Action { handler: self.handler.load(Relaxed), flags: self.flags.load(Relaxed), mask: self.mask.load(Relaxed) }
    }

    /// Changes the action (step 1). Called under the lock.
    fn write(&self, new: Action) {
        self.changes.fetch_add(1, SeqCst);
        self.handler.store(new.handler, Relaxed);
        self.flags.store(new.flags, Relaxed);
        self.mask.store(new.mask, Relaxed);
        self.changes.fetch_add(1, SeqCst);
    }
}

struct Table {
    lock: RawLock,
    entries: [Entry; SIGNALS],
    /// The signals that have a handler.
    handled: AtomicU64,
    /// The signals whose handlers were set with different flags or masks.
    varying: AtomicU64,
    /// The signals that are ignored.
    ignored: AtomicU64,
}

static TABLE: Kept<Table> = Kept::new(Table {
    lock: RawLock::new(Rank::Disposition),
    entries: [const { Entry::new() }; SIGNALS],
    handled: AtomicU64::new(0),
    varying: AtomicU64::new(0),
    ignored: AtomicU64::new(0),
});

/// The action that the program has set for a signal. Called on any thread and in handlers; takes the lock only where a change is under way.
#[inline]
pub fn of(signal: c_int) -> Action {
    let entry = &TABLE.entries[signal as usize];
    let before = entry.changes.load(Acquire);
    let action = entry.read();
    fence(Acquire);
    if before & 1 == 0 && entry.changes.load(Relaxed) == before {
        action
    } else {
        TABLE.lock.with(|| entry.read())
    }
}

/// The action of a signal whose handler is about to run. An action with SA_RESETHAND is reset to the default, here and in the kernel, and
/// is returned to one caller.
pub fn take(signal: c_int) -> Action {
    let action = of(signal);
    if !action.is_handler() || !action.has(libc::SA_RESETHAND) {
        return action;
    }
    TABLE.lock.with(|| {
        let action = TABLE.entries[signal as usize].read();
        if action.is_handler() && action.has(libc::SA_RESETHAND) {
            note(signal, Action { handler: libc::SIG_DFL, ..action });
            // SAFETY: the default action runs no code of the process's.
            unsafe { sys::signal_action(signal, &[0; 4], std::ptr::null_mut()) };
        }
        action
    })
}

/// Writes an action and keeps the sets true. Called under the lock.
fn note(signal: c_int, new: Action) {
    let (entry, bit) = (&TABLE.entries[signal as usize], bit(signal));
    let set = |set: &AtomicU64, holds| if holds { set.fetch_or(bit, SeqCst) } else { set.fetch_and(!bit, SeqCst) };
    set(&TABLE.handled, new.is_handler());
    set(&TABLE.ignored, new.handler == libc::SIG_IGN);
    if new.is_handler() {
        let flags = (new.flags & (libc::SA_ONSTACK | libc::SA_NODEFER) as usize) as u64;
        let same = entry.last[0].load(Relaxed) == flags && entry.last[1].load(Relaxed) == new.mask;
        if entry.had_handler.swap(1, Relaxed) != 0 && !same {
            TABLE.varying.fetch_or(bit, SeqCst);
        }
        entry.last[0].store(flags, Relaxed);
        entry.last[1].store(new.mask, Relaxed);
    }
    entry.write(new);
}

/// Notes what the program has set for a signal, where the kernel is not told.
pub fn set(signal: c_int, new: Action) {
    TABLE.lock.with(|| note(signal, new));
}

/// Changes the action that the program has set for a signal; returns {what it was, what it is}. The kernel has yet to be told (`settle`).
pub fn change(signal: c_int, new: impl FnOnce(Action) -> Action) -> [Action; 2] {
    TABLE.lock.with(|| {
        let before = TABLE.entries[signal as usize].read();
        let new = new(before);
        note(signal, new);
        [before, new]
    })
}

/// Has the kernel told (`tell`, called under the lock) what is set for a signal. False: it refused, and the action is as before `changed`,
/// if no other call has changed it since.
pub fn settle(signal: c_int, changed: [Action; 2], tell: impl FnOnce(Action) -> bool) -> bool {
    TABLE.lock.with(|| {
        let [before, new] = changed;
        let now = TABLE.entries[signal as usize].read();
        let told = tell(now);
        if !told && now == new {
            note(signal, before);
        }
        told
    })
}

/// The kernel's flag for an action that says where its handler returns to.
pub const RESTORER: usize = 0x0400_0000;

/// The action that the kernel knows for a signal; `None`: it knows no such signal.
pub fn in_kernel(signal: c_int) -> Option<Action> {
    let mut now = [0; 4];
    // SAFETY: changes nothing, and writes into `now`, which has the size of the kernel's sigaction.
    let known = unsafe { sys::signal_action(signal, std::ptr::null(), &mut now) } == 0;
    let [handler, flags, _, mask] = now;
    known.then_some(Action { handler, flags, mask: mask as u64 })
}

/// Tells the kernel by a call of its own, where libc's may wait for ever: from 2.41 on it takes a lock for SIGABRT, which other forks
/// and spawns of the parent may have left taken in a child (libc's fork frees it only after the child has been put right).
///
/// # Safety
/// The handler must be fit to run on any thread of the process.
pub unsafe fn tell_kernel(signal: c_int, action: Action) -> isize {
    let mut now = [0; 4];
    // SAFETY: changes nothing, and writes into `now`.
    unsafe { sys::signal_action(signal, std::ptr::null(), &mut now) };
    // The code that a handler returns to stays libc's, if it was libc's.
    let back = if now[1] & RESTORER != 0 { now[2] } else { arch::signal_return() };
    let new = [action.handler, action.flags | RESTORER, back, action.mask as usize];
    // SAFETY: the caller's handler is fit for any thread, and `back` is code that returns from it.
    unsafe { sys::signal_action(signal, &new, std::ptr::null_mut()) }
}

/// The signals that have a handler.
pub fn handled() -> u64 {
    TABLE.handled.load(SeqCst)
}

/// The signals that are ignored.
#[inline]
pub fn ignored() -> u64 {
    TABLE.ignored.load(Relaxed)
}

/// Were handlers of this signal set with different flags or masks? Then the kernel may have called the handler with another mask than the
/// action that was read asks for.
pub fn varies(signal: c_int) -> bool {
    TABLE.varying.load(Relaxed) & bit(signal) != 0
}

/// Takes the lock for a fork: no change is under way until `forked`, so the child's table is whole.
pub fn before_fork() {
    TABLE.lock.lock();
}

/// Releases the lock after a fork, in parent and child alike: the forking thread holds it in both.
pub fn forked() {
    TABLE.lock.unlock();
}
