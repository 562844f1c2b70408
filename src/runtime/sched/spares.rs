//! Spares: workers without a slot that wait for one, each on its bell.
//!
//! ```text
//!     SLEEP ──ring──► TAKE_SLOT   a slot is its own already
//!                     COME        a slot is offered: it takes that, if the owner is not back before
//!                     RETIRE      another spare is there: it ends
//! ```

use crate::base::lock::{Rank, RawLock};
use crate::base::{pages, summon};
use crate::runtime::machine::parts::Worker;
use crate::sys;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, Ordering::*};

pub const SLEEP: u32 = 0;
pub const TAKE_SLOT: u32 = 1;
pub const RETIRE: u32 = 2;
pub const COME: u32 = 3;

/// Workers without a slot that wait for one.
pub struct Spares {
    pub lock: RawLock,
    pub waiting: UnsafeCell<Vec<&'static Worker>>,
}

// SAFETY: the list is only touched under the lock.
unsafe impl Sync for Spares {}

pub static SPARES: Spares = Spares { lock: RawLock::new(Rank::Pool), waiting: UnsafeCell::new(Vec::new()) };

impl Spares {
    pub fn with<R>(&self, work: impl FnOnce(&mut Vec<&'static Worker>) -> R) -> R {
        // SAFETY: under the lock.
        self.lock.with(|| unsafe { work(&mut *self.waiting.get()) })
    }

    pub fn has_room(&self, workers: usize) -> bool {
        self.with(|waiting| pages::reserve(waiting, workers))
    }
}

pub fn ring(worker: &Worker, what: u32) {
    worker.bell.store(what, Release);
    sys::futex_wake(worker.bell.as_ptr(), 1);
}

/// Spares that were woken for an offered slot and have not yet looked for it.
pub static COMING: AtomicU32 = AtomicU32::new(0);

/// A slot is offered: a spare comes for it; where there is none the monitor sends one.
pub fn call_spare() {
    match SPARES.with(|waiting| waiting.pop()) {
        Some(spare) => {
            COMING.fetch_add(1, SeqCst);
            ring(spare, COME);
        }
        None => summon::call(),
    }
}

/// Is somebody on his way to an offered slot?
pub fn is_coming() -> bool {
    COMING.load(SeqCst) > 0
}

pub fn remove(waiting: &mut Vec<&'static Worker>, worker: &Worker) -> bool {
    let before = waiting.len();
    waiting.retain(|other| !std::ptr::eq(*other, worker));
    waiting.len() != before
}
