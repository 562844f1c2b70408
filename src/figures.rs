//! The figures, as they lie in a process's memory: the library counts in them, and `greenpatch stats PID` reads them from outside while
//! the process runs (both build this file). Nothing here is ever moved or freed.
//!
//! ```text
//!   greenpatch_figures ─► Layout ─► Plain … (name, place)            ─► Counters of a worker ─► Counters ─► … ─► null
//!                                ─► names of the hooks, their calls by threads that are no workers (came, passed)
//! ```

use std::sync::atomic::{AtomicPtr, AtomicU64};

/// The library's symbol of a `Layout`; the command also tells by it that a library is this one.
#[allow(dead_code)]
pub const SYMBOL: &str = "greenpatch_figures";

/// Begins a `Layout`. The number changes with anything below.
pub const MARK: [u8; 16] = *b"greenpatch fig 2";

/// Room for the hook table's rows.
pub const ROWS: usize = 384;

/// A text: where, and how long.
#[repr(C)]
pub struct Name {
    pub text: *const u8,
    pub bytes: usize,
}

// SAFETY: a text of the library's own, which is only read.
unsafe impl Sync for Name {}

impl Name {
    /// Makes the place of a text of the library's own.
    pub const fn new(text: &'static str) -> Name {
        Name { text: text.as_ptr(), bytes: text.len() }
    }
}

/// A figure that is one word somewhere: a number of eight bytes, or yes or no in one byte.
#[repr(C)]
pub struct Plain {
    pub name: Name,
    pub place: *const u8,
    pub bytes: usize,
}

/// What one worker counts, without atomic read-modify-write: only its own kernel thread writes.
#[repr(C)]
pub struct Counters {
    /// The worker enlisted before it.
    pub next: AtomicPtr<Counters>,
    /// Green threads created here.
    pub created: AtomicU64,
    pub parks: AtomicU64,
    pub switches: AtomicU64,
    /// Calls of each hook, as they came.
    pub calls: [AtomicU64; ROWS],
    /// Those of them that went on to libc: the caller was not admitted, or the handler left it to libc. All others were *served*. (What is
    /// served is the hot path, and counts once.)
    pub passed: [AtomicU64; ROWS],
}

impl Counters {
    /// Counters of a new worker.
    #[allow(dead_code)] // The command only reads them.
    pub const fn new() -> Counters {
        Counters {
            next: AtomicPtr::new(std::ptr::null_mut()),
            created: AtomicU64::new(0),
            parks: AtomicU64::new(0),
            switches: AtomicU64::new(0),
            calls: [const { AtomicU64::new(0) }; ROWS],
            passed: [const { AtomicU64::new(0) }; ROWS],
        }
    }
}

/// What `greenpatch_figures` is: the places of all figures. It never changes once the library is loaded.
#[repr(C)]
pub struct Layout {
    pub mark: [u8; 16],
    pub version: Name,
    pub plain: *const Plain,
    pub plain_count: usize,
    pub hooks: *const Name,
    pub hook_count: usize,
    /// Calls of each hook by threads that are no workers.
    pub others: *const AtomicU64,
    /// Those of them that went on to libc.
    pub others_passed: *const AtomicU64,
    /// Green threads that no worker created.
    pub created_by_others: *const AtomicU64,
    /// The worker enlisted last, or null.
    pub workers: *const AtomicPtr<Counters>,
}
