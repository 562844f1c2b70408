//! Bits of `unusual`, a word of each green thread and each worker: what a switch must see to, beside the signal mask.

/// Bits of `unusual`. A green thread's: it has processors of its own. A worker's: its kernel thread has a green thread's.
pub const PROCESSORS: u32 = 1;
/// A worker's: its CPU time is shared out.
pub const COUNTS: u32 = 2;
/// A worker's: the program has protection keys.
pub const RIGHTS: u32 = 4;
/// A worker's: the program has set the base of a GS segment.
pub const SEGMENT: u32 = 8;
/// A worker's: its kernel thread is to have another signal at the parent's end (`settings`).
pub const DEATH: u32 = 16;
/// What a thread has in registers that it changes itself: it is asked for when the thread leaves.
pub const REGISTERS: u32 = RIGHTS | SEGMENT;
