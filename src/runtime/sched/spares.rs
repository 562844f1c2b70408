//! Spares: workers without a slot that wait for one, each asleep on its own bell (`Worker::bell`).
//!
//! ```text
//!   bell of a spare   to          by                            the spare then
//!   SLEEP             TAKE_SLOT   the monitor, or a worker      has the slot that was assigned to it before
//!   SLEEP             COME        call_spare                    takes an offered slot, if its worker is not back before
//!   SLEEP             RETIRE      a worker that becomes spare   ends its kernel thread: there are spares enough
//!   any               SLEEP       the spare, before it enters the list
//! ```
//!
//! A spare is taken out of the list under the lock and rung after it, so each is rung at most once for its stay in the list.

use crate::base::lock::{Locked, Rank};
use crate::base::{pages, summon};
use crate::runtime::machine::parts::Worker;
use crate::sys;
use std::sync::atomic::{AtomicU32, Ordering::*};

/// The spare sleeps, and nothing has been decided for it.
pub const SLEEP: u32 = 0;
/// A slot has been assigned to the spare.
pub const TAKE_SLOT: u32 = 1;
/// The spare's kernel thread is to end.
pub const RETIRE: u32 = 2;
/// A slot is offered: the spare is to look for it.
pub const COME: u32 = 3;

/// The list of spares, and how many have left it for an offered slot.
pub struct Spares {
    waiting: Locked<Vec<&'static Worker>>,
    /// Spares that were woken for an offered slot and have not yet looked for it.
    coming: AtomicU32,
}

/// The process's spares.
pub static SPARES: Spares = Spares { waiting: Locked::new(Rank::Pool, Vec::new()), coming: AtomicU32::new(0) };

impl Spares {
    /// Does `work` with the list, under its lock. The spare that slept last is the last in it.
    pub fn with<R>(&self, work: impl FnOnce(&mut Vec<&'static Worker>) -> R) -> R {
        self.waiting.with(work)
    }

    /// Makes room for `workers` in all; false: there is no memory, and no worker is to be made.
    pub fn has_room(&self, workers: usize) -> bool {
        self.with(|waiting| pages::reserve(waiting, workers))
    }

    /// A spare that was rung with COME has looked for the offered slot. Called once by each of them.
    pub fn came(&self) {
        self.coming.fetch_sub(1, SeqCst);
    }

    /// Empties the list in a fork child, which has none of these kernel threads. Its memory is the child's copy and is kept.
    pub fn after_fork(&self) {
        let Spares { waiting, coming } = self;
        waiting.after_fork(Vec::clear);
        coming.store(0, Relaxed);
    }
}

/// Rings a spare that its caller has taken out of the list: `what` is TAKE_SLOT, RETIRE or COME.
pub fn ring(worker: &Worker, what: u32) {
    worker.bell.store(what, Release);
    sys::futex_wake(worker.bell.as_ptr(), 1);
}

/// Calls a spare for a slot that has been offered; where there is none, the monitor, which makes a worker. Called by the slot's worker,
/// on the green thread that is about to block.
pub fn call_spare() {
    match SPARES.with(|waiting| waiting.pop()) {
        Some(spare) => {
            SPARES.coming.fetch_add(1, SeqCst);
            ring(spare, COME);
        }
        None => summon::call(),
    }
}

/// Is a spare on its way to an offered slot? Asked by the monitor, which leaves the slot to that spare.
pub fn is_coming() -> bool {
    SPARES.coming.load(SeqCst) > 0
}

/// Takes a worker out of the list; false: it is not there any more, and will be rung.
pub fn remove(waiting: &mut Vec<&'static Worker>, worker: &Worker) -> bool {
    let before = waiting.len();
    waiting.retain(|other| !std::ptr::eq(*other, worker));
    waiting.len() != before
}
