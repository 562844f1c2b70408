//! Yields: a green thread lets others run without waiting for anything.

use crate::runtime::machine::parts::current;
use crate::runtime::sched::slots::{self};
use crate::runtime::signal::{delivery, frames};
use crate::sys;
use std::sync::atomic::Ordering::*;

/// Lets the other green threads of this slot run. Where none of them is ready, the kernel's other threads get the processor, for the
/// program may be waiting for one of those. Called on any thread, with no lock held; the worker may be another one when it returns. Takes
/// signals that came meanwhile, so handlers may run.
pub fn yield_now() {
    let Some(me) = current() else { return sys::yield_processor() };
    if frames::is_bound(me) {
        return sys::yield_processor();
    }
    let (worker, switches) = (me.worker(), me.worker().counters.switches.load(Relaxed));
    if let Some(slot) = worker.slot() {
        slot.attention.store(false, Relaxed);
        slot.poll_due.store(true, Relaxed);
    }
    slots::step_back(me);
    if std::ptr::eq(worker, me.worker()) && worker.counters.switches.load(Relaxed) == switches + 1 {
        sys::yield_processor();
    }
    delivery::look(me);
}

/// Yields if the monitor has asked for it (`Slot::attention`). Called by hooks after a call that found what it wanted at once, as
/// `yield_now` is: a thread whose calls never wait would keep its slot.
#[inline]
pub fn breathe() {
    if let Some(me) = current() {
        if me.worker().slot().is_none_or(|slot| slot.attention.load(Relaxed)) {
            yield_now();
        }
    }
}
