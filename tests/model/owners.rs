//! Models of machine/owner.rs. The slot is a cell that its owner touches, in the scheduler only.

use crate::models;
use crate::runtime::machine::owner::{Mode, Owner, WorkerId};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread::spawn;

models! {
    enters_against_the_monitor: PlainStore Relaxed;
    calls_against_the_monitor_and_a_spare: PlainStore Relaxed;
    leaves_a_call_against_the_monitor: PlainStore Relaxed;
    parks_inside_a_call_against_a_spare: PlainStore Relaxed;
}

const WORKER: WorkerId = WorkerId(128);
const SPARE: WorkerId = WorkerId(256);

struct Slot {
    owner: Owner,
    cell: UnsafeCell<()>,
}

impl Slot {
    /// A slot whose worker is in the scheduler.
    fn new() -> Arc<Slot> {
        let slot = Arc::new(Slot { owner: Owner::new(), cell: UnsafeCell::new(()) });
        slot.owner.assign(WORKER);
        slot
    }

    /// The worker leaves the scheduler, where it has touched the slot.
    fn leave(&self) {
        self.touch();
        self.owner.leave(WORKER);
    }

    fn touch(&self) {
        self.cell.with_mut(|_| ());
    }

    /// The monitor takes the slot if it may; true: it has it.
    fn monitor(&self) -> bool {
        let seen = self.owner.see();
        let taken = !matches!(seen.mode(), None | Some(Mode::Runtime)) && self.owner.take_from(seen);
        self.touched(taken)
    }

    /// What the worker does at its next hook that switches.
    fn enter(&self) -> bool {
        self.touched(self.owner.enter(WORKER))
    }

    fn touched(&self, has_it: bool) -> bool {
        if has_it {
            self.touch();
        }
        has_it
    }
}

/// The worker or the monitor has the slot, not both.
fn enters_against_the_monitor() {
    let slot = Slot::new();
    let monitor = {
        let slot = slot.clone();
        spawn(move || slot.monitor())
    };
    slot.leave();
    let entered = slot.enter();
    assert!(monitor.join().unwrap() != entered);
}

/// The worker in a call, the monitor or a spare has the slot, no two of them.
fn calls_against_the_monitor_and_a_spare() {
    let slot = Slot::new();
    let monitor = {
        let slot = slot.clone();
        spawn(move || slot.monitor())
    };
    let spare = {
        let slot = slot.clone();
        spawn(move || slot.touched(slot.owner.take_offered(SPARE)))
    };
    slot.leave();
    let called = slot.owner.begin_call(WORKER, Mode::Offered) && slot.owner.end_call(WORKER, Mode::Offered);
    let entered = slot.enter();
    assert!(called || !entered, "came back into a slot that was taken");
    let owners = [entered, monitor.join().unwrap(), spare.join().unwrap()];
    assert_eq!(owners.into_iter().filter(|&has_it| has_it).count(), 1);
}

/// A call that does not return is left in either mode, or the monitor has the slot.
fn leaves_a_call_against_the_monitor() {
    for mode in [Mode::Call, Mode::Offered] {
        let slot = Slot::new();
        let monitor = {
            let slot = slot.clone();
            spawn(move || slot.monitor())
        };
        slot.leave();
        let left = slot.owner.begin_call(WORKER, mode) && slot.owner.leave_call(WORKER);
        let entered = slot.enter();
        assert!(left || !entered);
        assert!(monitor.join().unwrap() != entered);
    }
}

/// A worker whose thread parks inside a call that was said to block enters the scheduler, or a spare has the slot.
fn parks_inside_a_call_against_a_spare() {
    let slot = Slot::new();
    let spare = {
        let slot = slot.clone();
        spawn(move || slot.touched(slot.owner.take_offered(SPARE)))
    };
    slot.leave();
    assert!(slot.owner.begin_call(WORKER, Mode::Offered));
    let entered = slot.enter();
    assert!(spare.join().unwrap() != entered);
}
