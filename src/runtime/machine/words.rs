//! Words of a green thread, and of a slot, that other threads read: their bits and states, and the types of words that only their owner
//! writes.
//!
//! ```text
//!   life        to                 by                            under
//!   GONE        0, DETACHED        births::thread                its creator, before the thread is ready
//!   any         | JOINING          join                          the joiner that finds the bit clear; without it: the join gives up
//!   any         | DETACHED         pthread_detach                the caller that finds the bit clear
//!   any         | FINISHED         births::end                   the worker that runs after it, on another stack
//!   FINISHED    GONE               the joiner, or the end        once joined, or detached: the vessel is free
//!
//!   alerts      to                 by
//!   any         | SIGNAL           the sender of a signal, once that is in the thread's queue
//!   any         | CANCEL           pthread_cancel
//!   any         without a bit      the thread itself, which then looks at what the bit is about
//! ```

use crate::why::{self, Why};
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Where a thread's life stands (bits of `life`).
pub mod life {
    /// The start routine is over, and no code runs on the vessel any more.
    pub const FINISHED: u32 = 1;
    /// No thread will join it: it frees its vessel itself.
    pub const DETACHED: u32 = 2;
    /// A thread joins it; a second one is refused.
    pub const JOINING: u32 = 4;
    /// The green thread serves no thread: its vessel is in the pool, or dead.
    pub const GONE: u32 = 8;
}

/// What a running or waiting thread is to look at (bits of `alerts`).
pub mod alert {
    /// Its queue of pending signals.
    pub const SIGNAL: u32 = 1;
    /// A cancellation that is pending.
    pub const CANCEL: u32 = 2;
}

/// Whether a slot sleeps (`Slot::idle`; transitions: `sched::slots`).
pub mod idle {
    /// The slot's worker is at work, or the slot is vacant.
    pub const BUSY: u32 = 0;
    /// The slot's worker sleeps in the reactor, or is about to.
    pub const ASLEEP: u32 = 1;
    /// The slot's worker sleeps, and has been woken.
    pub const ROUSED: u32 = 2;
}

/// A word of a green thread that only the kernel thread running it writes, and any thread reads.
pub struct Word(pub AtomicU64);

impl Word {
    /// A word that holds `value`.
    pub const fn new(value: u64) -> Word {
        Word(AtomicU64::new(value))
    }

    /// The value. Sequentially consistent, for those who have queued something before they ask.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(SeqCst)
    }

    /// Stores a value. A writer that looks at a queue afterwards uses `replace`.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Release);
    }

    /// Stores a value and returns the one before. A full fence: what the caller loads afterwards is loaded after the store.
    pub fn replace(&self, value: u64) -> u64 {
        self.0.swap(value, SeqCst)
    }
}

/// What a green thread waits for, as a word (`why`). Only the thread itself writes it; any thread reads it.
pub struct Reason(pub AtomicU64);

impl Reason {
    /// Notes what the thread is about to park for.
    #[inline]
    pub fn set(&self, why: Why) {
        self.0.store(why.word(), Relaxed);
    }

    /// Notes what the next call in the kernel waits for.
    #[inline]
    pub fn announce(&self, why: Why) {
        self.0.store(why.word() | why::ANNOUNCED, Relaxed);
    }

    /// Notes that the thread enters a call that may block: for what was announced, else for something unknown.
    #[inline]
    pub fn enter(&self) {
        let word = self.0.load(Relaxed);
        let announced = if word & why::ANNOUNCED != 0 { word & !why::ANNOUNCED } else { Why::InKernel.word() };
        self.0.store(announced | why::IN_KERNEL, Relaxed);
    }

    /// Notes that the call is over, or has been left.
    #[inline]
    pub fn leave(&self) {
        self.0.store(Why::Nothing.word(), Relaxed);
    }
}

/// The program's start routine, by its C type.
#[derive(Clone, Copy)]
pub enum Start {
    Posix(extern "C" fn(*mut c_void) -> *mut c_void),
    C11(extern "C" fn(*mut c_void) -> i32),
}
