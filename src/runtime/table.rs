//! The table by which others find the green threads (src/dump/table.rs), filled in.
//!
//! `greenpatch_threads` is read from outside (`greenpatch dump PID`, the gdb command) by the symbol's name, from inside by `address`. The
//! readers stop no thread and take no lock; every word that an offset leads to is one that any thread may read at any time. A field that
//! moves is found by its new offset. A change of meaning, or of the table itself, needs another `MARK`.
//!
//! A reader's way, with nothing but this symbol and the process's memory:
//!
//! 1. `mark`: another one means another version of the table, and nothing more is read.
//! 2. `newest` → the green thread made last; `green.older` in each → the one made before it; null ends the list.
//! 3. In each green thread: `life` (does it serve a thread?), `waiter` and `why` (its state and reason, by `bits`), `worker` → `charged`
//!    (does it run there?), `sp` → its saved registers (`saved`).

use crate::arch::SAVED;
use crate::dump::list::STATES;
use crate::dump::table::{Bits, GreenOffsets, Table, WorkerOffsets, MARK};
use crate::figures::Name;
use crate::runtime::machine::parts::{Green, Worker, NEWEST};
use crate::runtime::machine::words::life;
use crate::runtime::news::waiter;
use crate::why;
use std::mem::offset_of;

/// The table. Constant from load on: what changes is behind `newest`, the list of green threads, which only grows.
#[allow(non_upper_case_globals)]
#[no_mangle]
static greenpatch_threads: Table = Table {
    mark: MARK,
    version: Name::new(env!("CARGO_PKG_VERSION")),
    // Each green thread leads to the one made before it; none is ever freed.
    newest: &raw const NEWEST.green as *const u8,
    reasons: why::REASONS.as_ptr(),
    reason_count: why::REASONS.len(),
    states: STATES.as_ptr(),
    state_count: STATES.len(),
    green: GreenOffsets {
        older: offset_of!(Green, older) as u32,
        sp: offset_of!(Green, sp) as u32,
        worker: offset_of!(Green, worker) as u32,
        // The word within the waiter, whose low bits are the state (`bits.state`).
        waiter: (offset_of!(Green, waiter) + waiter::WORD) as u32,
        why: offset_of!(Green, wait.why) as u32,
        life: offset_of!(Green, life) as u32,
        tid: offset_of!(Green, thread.tid) as u32,
        name: offset_of!(Green, thread.name) as u32,
    },
    worker: WorkerOffsets {
        kernel_tid: offset_of!(Worker, kernel_tid) as u32,
        charged: offset_of!(Worker, charged) as u32,
    },
    bits: Bits {
        finished: life::FINISHED,
        gone: life::GONE,
        state: waiter::KIND,
        idle: waiter::IDLE,
        armed: waiter::ARMED,
        parked: waiter::PARKED,
        kind: why::KIND as u32,
        in_kernel: why::IN_KERNEL as u32,
        operand: why::OPERAND,
    },
    saved: SAVED,
};

/// The table's address, for the list that the process writes itself. Called on the kernel thread of `runtime::dump`. A reader outside finds
/// it as the symbol `dump::table::SYMBOL`.
pub fn address() -> usize {
    &raw const greenpatch_threads as usize
}
