//! The owner of a slot: one word that says which worker has the slot and what that worker does. No other file does arithmetic on it.
//!
//! ```text
//!   from                    to               by                  who
//!   Vacant, Runtime         w Runtime        assign              w, or a thread that gives w the slot: no other worker has it
//!   w Green, Call, Offered  w Runtime        enter               w, in a hook that switches; fails if the slot was taken
//!   w Runtime               w Green          leave               w, as it resumes a green thread
//!   w Green                 w Call, Offered  begin_call          w, before a call that may block in the kernel, or will
//!   w Call, Offered         w Green          end_call            w, after it; fails if the slot was taken
//!   w Runtime               Vacant           vacate              w, which gives its slot back
//!   w Green, Call, Offered  Vacant           take_from           the monitor: one compare-exchange on what it has seen
//!   w Offered               v Runtime        take_offered        a spare worker v that was woken for it
//! ```
//!
//! In Runtime the slot cannot be taken, so leaving it is a plain store. *Call* says that the call may block: the monitor takes the slot
//! when
//! it finds the same call twice. *Offered* says that it will: a spare is on its way.
//!
//! The race between w, which comes back, and the thread that takes the slot:
//!
//! 1. w exchanges Green, Call or Offered → Runtime (or → Green, in `end_call`).
//! 2. The taker exchanges the word that it has seen → Vacant, or its own.
//! 3. Both are compare-exchanges on one word: one is first, and the other fails and leaves the slot alone.
//!
//! Model-checked in tests/model.

use crate::base::atomic::Ordering::*;
use crate::base::atomic::{constructor, AtomicUsize};

/// What a slot's worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The worker is in the scheduler, or asleep in the reactor.
    Runtime,
    /// The worker runs a green thread.
    Green,
    /// The worker runs a green thread, inside a call that may block in the kernel.
    Call,
    /// The worker runs a green thread, inside a call that is known to block.
    Offered,
}

/// A worker's address, which is a multiple of 128: the modes fit below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerId(pub usize);

const MODES: usize = 3;

/// The owner word, as it was seen at some moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seen(usize);

impl Seen {
    /// Is the slot vacant?
    #[inline]
    pub fn is_vacant(self) -> bool {
        self.0 == 0
    }

    /// The worker that has the slot; meaningless where the slot is vacant.
    #[inline]
    pub fn worker(self) -> WorkerId {
        WorkerId(self.0 & !MODES)
    }

    /// What the slot's worker does; `None`: the slot is vacant.
    #[inline]
    pub fn mode(self) -> Option<Mode> {
        const ALL: [Mode; 4] = [Mode::Runtime, Mode::Green, Mode::Call, Mode::Offered];
        (self.0 != 0).then(|| ALL[self.0 & MODES])
    }
}

/// The owner word.
pub struct Owner(AtomicUsize);

#[inline]
fn word(worker: WorkerId, mode: Mode) -> usize {
    worker.0 | mode as usize
}

impl Owner {
    constructor! {
        /// Vacant.
        pub fn new() -> Owner {
            Owner(AtomicUsize::new(0))
        }
    }

    /// The word as it is, ordered with all other sequentially consistent steps.
    pub fn see(&self) -> Seen {
        Seen(self.0.load(SeqCst))
    }

    /// The word as it was at some moment, without an order: a hint.
    #[inline]
    pub fn glance(&self) -> Seen {
        Seen(self.0.load(Relaxed))
    }

    /// The worker has the slot from now on, in Runtime. Called where no other worker can have it.
    pub fn assign(&self, worker: WorkerId) {
        self.0.store(word(worker, Mode::Runtime), Release);
    }

    #[inline]
    fn exchange(&self, from: usize, to: usize) -> Result<usize, usize> {
        self.0.compare_exchange(from, to, AcqRel, Relaxed)
    }

    /// The worker comes into the scheduler from its green thread. False: the slot was taken.
    #[inline]
    pub fn enter(&self, worker: WorkerId) -> bool {
        let to = word(worker, Mode::Runtime);
        // A call that was said to block may come upon a hook inside libc, and park.
        [Mode::Green, Mode::Call, Mode::Offered].into_iter().any(|mode| self.exchange(word(worker, mode), to).is_ok())
    }

    /// The worker leaves the scheduler for a green thread.
    #[inline]
    pub fn leave(&self, worker: WorkerId) {
        self.0.store(word(worker, Mode::Green), Release);
    }

    /// The worker gives its slot back. Called in Runtime.
    pub fn vacate(&self) {
        self.0.store(0, Release);
    }

    /// Is this worker in a call, with the slot its own?
    #[inline]
    pub fn is_in_call(&self, worker: WorkerId) -> bool {
        let now = self.0.load(Relaxed);
        now == word(worker, Mode::Call) || now == word(worker, Mode::Offered)
    }

    /// The worker's green thread begins a call: `Mode::Call` or `Mode::Offered`. False: the slot was taken.
    #[inline]
    pub fn begin_call(&self, worker: WorkerId, mode: Mode) -> bool {
        self.exchange(word(worker, Mode::Green), word(worker, mode)).is_ok()
    }

    /// Ends the call that `begin_call` has begun. True: the slot is the worker's, in Green. (It is in Green already where the green thread
    /// parked inside the call, and was resumed.)
    #[inline]
    pub fn end_call(&self, worker: WorkerId, mode: Mode) -> bool {
        let green = word(worker, Mode::Green);
        !matches!(self.exchange(word(worker, mode), green), Err(now) if now != green)
    }

    /// The worker's green thread leaves a call of whatever mode that will not return: as `end_call`.
    pub fn leave_call(&self, worker: WorkerId) -> bool {
        self.end_call(worker, Mode::Call) || self.end_call(worker, Mode::Offered)
    }

    /// Takes the slot from the worker that was seen, which is not in Runtime. False: the worker has moved meanwhile.
    pub fn take_from(&self, seen: Seen) -> bool {
        debug_assert!(seen.mode() != Some(Mode::Runtime));
        self.exchange(seen.0, 0).is_ok()
    }

    /// Takes the slot, if it is offered, for this worker.
    pub fn take_offered(&self, worker: WorkerId) -> bool {
        let seen = self.glance();
        seen.mode() == Some(Mode::Offered) && self.exchange(seen.0, word(worker, Mode::Runtime)).is_ok()
    }
}
