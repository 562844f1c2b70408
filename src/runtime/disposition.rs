//! Dispositions: what the program has set for each signal. The kernel is told another handler (`signal::entry`) wherever the
//! program has one, so this table is what sigaction answers from and what a delivered signal is looked up in.

use super::raw_lock::RawLock;
use libc::c_int;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

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

/// A signal's place in a mask.
pub const fn bit(signal: c_int) -> u64 {
    1 << (signal - 1)
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

struct Table {
    lock: RawLock,
    actions: UnsafeCell<[Action; SIGNALS]>,
    /// The signals that have a handler.
    handled: AtomicU64,
}

// SAFETY: written under the lock; a reader in a handler takes a copy that may be of either side of a change, as natively.
unsafe impl Sync for Table {}

static TABLE: Table =
    Table { lock: RawLock::new(), actions: UnsafeCell::new([Action::DEFAULT; SIGNALS]), handled: AtomicU64::new(0) };

/// What the program has set for a signal.
pub fn of(signal: c_int) -> Action {
    // SAFETY: see Table.
    unsafe { (*TABLE.actions.get())[signal as usize] }
}

/// Notes what the program sets for a signal; what it was.
pub fn set(signal: c_int, new: Action) -> Action {
    TABLE.lock.with(|| {
        if new.is_handler() {
            TABLE.handled.fetch_or(bit(signal), SeqCst);
        } else {
            TABLE.handled.fetch_and(!bit(signal), SeqCst);
        }
        // SAFETY: under the lock.
        unsafe { std::mem::replace(&mut (*TABLE.actions.get())[signal as usize], new) }
    })
}

/// The signals that have a handler.
pub fn handled() -> u64 {
    TABLE.handled.load(SeqCst)
}

/// In a fork child.
pub fn after_fork() {
    TABLE.lock.reset();
}
