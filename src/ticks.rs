//! The ticks: the layout of the file by which a process tells that a thread of its own goes on. The command makes the file, the library's
//! ticker fills it, and the command reads it meanwhile.

use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64};

/// The most ticks that are kept: a ticker ends after so many.
pub const MOST: usize = 1 << 16;

/// What the file begins with: greenpatch's ticks, their first layout.
pub const MARK: u64 = u64::from_le_bytes(*b"gptick\0\x01");

/// The file's content. Every field but `mark` may be zero.
#[repr(C)]
pub struct Ticks {
    /// `MARK`, by the command. A file without it is not touched.
    pub mark: AtomicU64,
    /// The process that ticks: the first that has claimed the file, by a compare-exchange from 0. What comes from it does not tick.
    pub process: AtomicI32,
    /// 1: the ticker is a green thread; 0: a kernel thread.
    pub green: AtomicU32,
    /// 1: the ticker is to end. The command sets it.
    pub ends: AtomicU32,
    /// The ticker's kernel thread where it is one; else 0.
    pub thread: AtomicI32,
    /// When the process claimed the file, CLOCK_MONOTONIC in nanoseconds.
    pub began_ns: AtomicU64,
    /// How many ticks there are: stored after the tick itself.
    pub count: AtomicU64,
    /// When each tick was, as `began_ns`.
    pub times: [AtomicU64; MOST],
}
