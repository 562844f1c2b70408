//! The reactor: takes a poller's events, hands them to the records, and has waits tried again after the process was stopped.
//!
//! Natively a stop (SIGSTOP, SIGTSTP) and SIGCONT end some calls with EINTR. A green thread that waits for a descriptor is not in that
//! call, so the reactor notices the stop: its own epoll_wait, with all signals blocked, ends with EINTR only then; and where no worker was
//! in epoll_wait, it returns later than it was due (`LATE_NS`). Then waits on such descriptors (`STOPS`) are fired, and their calls tried.
//!
//! One `poll`: (1) a delay is noticed, before and after the wait; (2) epoll_wait; (3) the records, then their first waits, are prefetched;
//! (4) each event goes to its record, which sets the hints and fires waits into the batch. The caller makes the batch's threads ready.

use crate::base::kept::Kept;
use crate::base::signal_set::CLOSED;
use crate::runtime::news::poller::Poller;
use crate::runtime::news::record::{self, known_record, known_stretches, Record, IN, OUT};
use crate::runtime::news::waiter::Batch;
use crate::sys::{self, older};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Hands one event of a slot's epoll to the record that it is about. An event of an older generation is about a file that has been closed,
/// and is dropped. `data` is generation << 32 | number, as `Record::register` gave it to the kernel.
pub fn dispatch(data: u64, events: u32, batch: &Batch) {
    if let Some(record) = known_record(data as u32 as i32) {
        if record.generation.load(Relaxed) == (data >> 32) as u32 {
            record.event(events, batch);
        }
    }
}

/// The pattern of `Record::info` that marks descriptors whose waits are to be tried again when the process was stopped and goes on: {bits,
/// their values}; 0, 0: there are none. Set once.
pub static STOPS: Kept<[AtomicU64; 2]> = Kept::new([const { AtomicU64::new(0) }; 2]);

/// Sets the pattern (`STOPS`), if there is none yet. Called by a hook before the first such wait.
pub fn try_when_continued(bits: u64, values: u64) {
    if STOPS[0].load(Relaxed) == 0 {
        STOPS[1].store(values, Relaxed);
        STOPS[0].store(bits, Release);
    }
}

/// The time of the last `poll` (CLOCK_MONOTONIC), kept while `STOPS` is set. In a fork child's first `poll` it is its
/// parent's, and waits are tried once more than need be.
pub static SEEN_NS: Kept<AtomicU64> = Kept::new(AtomicU64::new(0));

/// The delay, in nanoseconds, from which on the process may have been stopped meanwhile.
pub const LATE_NS: u64 = 20_000_000;

/// Notes that a `poll` is at work that was due at `due_ns` (0: at no time); true: it is later than `LATE_NS`.
pub fn is_late(due_ns: u64) -> bool {
    let now_ns = sys::now_ns();
    SEEN_NS.store(now_ns, Relaxed);
    due_ns != 0 && now_ns > due_ns + LATE_NS
}

/// Fires the waits that match `STOPS`: the process has perhaps been stopped, and goes on. A delay may also mean that a thread has computed,
/// and then nothing is lost by a try.
pub fn continued(batch: &Batch) {
    let bits = STOPS[0].load(Acquire);
    if bits != 0 {
        let values = STOPS[1].load(Relaxed);
        stir_all(|known| known & bits == values, batch);
    }
}

/// Fires all waits on descriptors of whose `Record::info` `known` holds, as if an event had come. Called on any thread, under no lock.
pub fn stir_all(known: impl Fn(u64) -> bool, batch: &Batch) {
    let concerned = |fd: &i32| known_record(*fd).is_some_and(|record| known(record.info.load(Relaxed)));
    for stretch in known_stretches(0, Record::NUMBERS as u32) {
        stretch.filter(concerned).filter_map(known_record).for_each(|record| record.event(IN | OUT, batch));
    }
}

/// Takes the poller's events, and waits for them until `deadline_ns` (`Some(0)`: what is there; `None`: until something is); returns how
/// many events there were. Fires waits into `batch`. Called by the slot's owner in Runtime, or by the monitor for a vacant slot.
pub fn poll(poller: &Poller, deadline_ns: Option<u64>, batch: &Batch) -> usize {
    /// Few: what the kernel has just touched for an event is still warm when its thread runs.
    const AT_ONCE: usize = 32;
    let mut events = [const { libc::epoll_event { events: 0, u64: 0 } }; AT_ONCE];
    let stops_matter = STOPS[0].load(Relaxed) != 0;
    if stops_matter && is_late(SEEN_NS.load(Relaxed)) {
        continued(batch);
    }
    let polled = older::epoll_wait(poller.epoll(), &mut events, deadline_ns, CLOSED);
    // No handler interrupts it, for all signals are blocked: EINTR says that the process was stopped and goes on.
    if stops_matter && is_late(deadline_ns.unwrap_or(0)) || polled == Err(libc::EINTR) {
        continued(batch);
    }
    let count = polled.unwrap_or(0);
    for event in &events[..count] {
        record::warm(event.u64 as u32 as i32);
    }
    for event in &events[..count] {
        record::warm_wait(event.u64 as u32 as i32);
    }
    for event in &events[..count] {
        let (data, bits) = (event.u64, event.events);
        match data {
            Poller::WAKE => poller.clear(),
            Poller::SIGNAL => {}
            _ => dispatch(data, bits, batch),
        }
    }
    count
}
