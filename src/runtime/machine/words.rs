//! Words of a green thread that others look at.

use crate::why::{self, Why};
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Where a thread's life stands (bits of `life`).
pub mod life {
    pub const FINISHED: u32 = 1;
    pub const DETACHED: u32 = 2;
    /// Somebody joins it.
    pub const JOINING: u32 = 4;
    /// Nobody's: in the pool, or dead.
    pub const GONE: u32 = 8;
}

/// Why a running or waiting thread should look up (bits of `alerts`).
pub mod alert {
    pub const SIGNAL: u32 = 1;
    pub const CANCEL: u32 = 2;
}

/// A word of its own that others look at.
pub struct Word(pub AtomicU64);

impl Word {
    pub const fn new(value: u64) -> Word {
        Word(AtomicU64::new(value))
    }

    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(SeqCst)
    }

    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Release);
    }

    pub fn replace(&self, value: u64) -> u64 {
        self.0.swap(value, SeqCst)
    }
}

/// What a green thread waits for, as a word (`why`). Only the thread itself writes it; anybody may read it.
pub struct Reason(pub AtomicU64);

impl Reason {
    /// A wait begins, and its thread is about to park.
    #[inline]
    pub fn set(&self, why: Why) {
        self.0.store(why.word(), Relaxed);
    }

    /// A call in the kernel comes next that waits for this.
    #[inline]
    pub fn announce(&self, why: Why) {
        self.0.store(why.word() | why::ANNOUNCED, Relaxed);
    }

    /// The thread enters a call that may block: for what was announced, or for what nobody has said.
    #[inline]
    pub fn enter(&self) {
        let word = self.0.load(Relaxed);
        let announced = if word & why::ANNOUNCED != 0 { word & !why::ANNOUNCED } else { Why::InKernel.word() };
        self.0.store(announced | why::IN_KERNEL, Relaxed);
    }

    /// The call is over, or has been left.
    #[inline]
    pub fn leave(&self) {
        self.0.store(Why::Nothing.word(), Relaxed);
    }
}

/// What the program's function looks like.
#[derive(Clone, Copy)]
pub enum Start {
    Posix(extern "C" fn(*mut c_void) -> *mut c_void),
    C11(extern "C" fn(*mut c_void) -> i32),
}
