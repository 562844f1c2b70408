//! Dispositions: what the program has set for each signal. The kernel is told another handler (`signal::entry`) wherever the
//! program has one, so this table is what sigaction answers from and what a delivered signal is looked up in.
//!
//! A disposition is read and changed as a whole, as in the kernel: the writer holds the lock, and marks the entry with an odd number
//! meanwhile; a reader whose number is odd, or another one when it has read, takes the lock. The kernel is told under the lock, too.

use crate::base::lock::{Rank, RawLock};
use crate::base::signal_set::bit;
use crate::{arch, sys};
use libc::c_int;
use std::sync::atomic::{fence, AtomicU32, AtomicU64, AtomicUsize, Ordering::*};

const SIGNALS: usize = 65;

/// A disposition as the kernel and the program see it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Action {
    pub handler: usize,
    pub flags: usize,
    pub mask: u64,
}

/// What the default action of these is: nothing.
const HARMLESS: u64 = bit(libc::SIGCHLD) | bit(libc::SIGURG) | bit(libc::SIGWINCH) | bit(libc::SIGCONT);

/// What the default action of these is: the process stops.
const STOPPING: u64 = bit(libc::SIGSTOP) | bit(libc::SIGTSTP) | bit(libc::SIGTTIN) | bit(libc::SIGTTOU);

/// Does the default action of this signal end the process, and could a handler stand before it?
pub fn ends(signal: c_int) -> bool {
    (HARMLESS | STOPPING | bit(libc::SIGKILL)) & bit(signal) == 0
}

impl Action {
    pub const DEFAULT: Action = Action { handler: libc::SIG_DFL, flags: 0, mask: 0 };

    /// Is this a handler, not SIG_DFL or SIG_IGN?
    pub fn is_handler(&self) -> bool {
        self.handler > libc::SIG_IGN
    }

    /// Is `signal`, sent to a thread that does not block it, thrown away?
    pub fn ignores(&self, signal: c_int) -> bool {
        self.handler == libc::SIG_IGN || self.handler == libc::SIG_DFL && HARMLESS & bit(signal) != 0
    }

    pub fn has(&self, flag: c_int) -> bool {
        self.flags & flag as u32 as usize != 0
    }

    /// What its handler blocks while it runs.
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
    /// {the last handler's flags, its mask}, and whether there was one.
    last: [AtomicU64; 2],
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

    /// Under the lock.
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

static TABLE: Table = Table {
    lock: RawLock::new(Rank::Process),
    entries: [const { Entry::new() }; SIGNALS],
    handled: AtomicU64::new(0),
    varying: AtomicU64::new(0),
    ignored: AtomicU64::new(0),
};

/// What the program has set for a signal.
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

/// The same for a handler that is about to run: one that is to run once has then been the last.
pub fn take(signal: c_int) -> Action {
    let action = of(signal);
    if !action.is_handler() || !action.has(libc::SA_RESETHAND) {
        return action;
    }
    TABLE.lock.with(|| {
        let action = TABLE.entries[signal as usize].read();
        if action.is_handler() && action.has(libc::SA_RESETHAND) {
            note(signal, Action { handler: libc::SIG_DFL, ..action });
            // SAFETY: the default disposition has no handler.
            unsafe { sys::signal_action(signal, &[0; 4], std::ptr::null_mut()) };
        }
        action
    })
}

/// Under the lock.
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

/// Changes what the program has set for a signal: {what it was, what it is}. The kernel has yet to be told.
pub fn change(signal: c_int, new: impl FnOnce(Action) -> Action) -> [Action; 2] {
    TABLE.lock.with(|| {
        let before = TABLE.entries[signal as usize].read();
        let new = new(before);
        note(signal, new);
        [before, new]
    })
}

/// Has the kernel told (`tell`) what is set for a signal: after changes at the same time it knows the last one's. False: it refused, and
/// what was set by `changed` is as before.
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

/// What the kernel knows of a signal; None where it knows no such signal.
pub fn in_kernel(signal: c_int) -> Option<Action> {
    let mut now = [0; 4];
    // SAFETY: only reads.
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
    sys::signal_action(signal, std::ptr::null(), &mut now);
    // Where a handler returns to stays libc's, if it was.
    let back = if now[1] & RESTORER != 0 { now[2] } else { arch::signal_return() };
    let new = [action.handler, action.flags | RESTORER, back, action.mask as usize];
    sys::signal_action(signal, &new, std::ptr::null_mut())
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

/// May the kernel have called the handler as an earlier action asked for, with another mask than the one that was read?
pub fn varies(signal: c_int) -> bool {
    TABLE.varying.load(Relaxed) & bit(signal) != 0
}

/// A fork begins: nobody is in the middle of a change until `forked`.
pub fn before_fork() {
    TABLE.lock.lock();
}

/// The fork is done, in parent and child alike.
pub fn forked() {
    TABLE.lock.unlock();
}
