//! The bits of `unusual`, a word of each green thread and each worker: what a switch must see to beside the signal mask.
//!
//! A switch loads both words and goes the slow way (`kernel_state::change`) if any bit is set. Other threads set bits in a worker's word;
//! its own kernel thread clears them.

/// A green thread's: it has processors of its own. A worker's: its kernel thread has a green thread's processors.
pub const PROCESSORS: u32 = 1;
/// A worker's: its CPU time is shared out.
pub const COUNTS: u32 = 2;
/// A worker's: the program has protection keys.
pub const RIGHTS: u32 = 4;
/// A worker's: the program has set the base of a GS segment.
pub const SEGMENT: u32 = 8;
/// A worker's: its kernel thread is to have another signal at the parent's end (`settings`).
pub const DEATH: u32 = 16;
/// What lies in registers that a thread changes without a call: they are read when it leaves.
pub const REGISTERS: u32 = RIGHTS | SEGMENT;
