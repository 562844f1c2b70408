//! The table of offsets by which others find the green threads in a process's memory: this library's own dump, `greenpatch dump PID`, and
//! gdb/greenpatch-gdb.py, which knows the fields' order from here. Nothing in it changes once the process runs.

use super::super::figures::Name;
use super::super::why::Reason;

/// The library's symbol of a `Table`.
pub const SYMBOL: &str = "greenpatch_threads";

/// Begins a `Table`. The number changes with anything in the table, and with the rules of `list::state`.
pub const MARK: [u8; 16] = *b"greenpatch thr 1";

/// Where the fields of a green thread lie, from its beginning on.
#[repr(C)]
pub struct GreenOffsets {
    /// The green thread made before this one, or null.
    pub older: u32,
    /// Its saved stack pointer.
    pub sp: u32,
    /// The worker it runs on, or ran on last; null before its first run.
    pub worker: u32,
    /// Its waiter's word.
    pub waiter: u32,
    /// Why it waits (src/why.rs).
    pub why: u32,
    /// Its life: whether it serves a thread, and whether that has ended (`Bits`).
    pub life: u32,
    /// The tid of the thread that it serves.
    pub tid: u32,
    /// Its name: 16 bytes, filled up with NULs.
    pub name: u32,
}

/// Where the fields of a worker lie.
#[repr(C)]
pub struct WorkerOffsets {
    /// The kernel's tid of its kernel thread.
    pub kernel_tid: u32,
    /// The green thread that runs there, or ran there last.
    pub charged: u32,
}

/// Bits of the words that a green thread has.
#[repr(C)]
pub struct Bits {
    /// Of `life`: the thread has ended, and was not joined.
    pub finished: u32,
    /// Of `life`: the green thread serves no thread.
    pub gone: u32,
    /// Of the waiter's word: the state, and three of its values.
    pub state: u32,
    pub idle: u32,
    pub armed: u32,
    pub parked: u32,
    /// Of the reason's word: the kind, the mark of a call in the kernel, and where the operand begins.
    pub kind: u32,
    pub in_kernel: u32,
    pub operand: u32,
}

/// Where a suspended thread's registers lie, from its saved stack pointer on; the stack goes on `bytes` above it.
#[repr(C)]
pub struct Saved {
    pub rbx: u32,
    pub rbp: u32,
    pub r12: u32,
    pub r13: u32,
    pub r14: u32,
    pub r15: u32,
    pub rip: u32,
    pub bytes: u32,
}

/// All that a reader of memory has to know of this version of the library.
#[repr(C)]
pub struct Table {
    pub mark: [u8; 16],
    pub version: Name,
    /// Where the address of the green thread made last stands; null: there is none.
    pub newest: *const u8,
    pub reasons: *const Reason,
    pub reason_count: usize,
    /// Names of the states, in the order of `list::State`.
    pub states: *const Name,
    pub state_count: usize,
    pub green: GreenOffsets,
    pub worker: WorkerOffsets,
    pub bits: Bits,
    pub saved: Saved,
}

// SAFETY: it points to statics, and is only read.
unsafe impl Sync for Table {}
