//! When threads of this process were ready and had no processor, right after a wait of theirs was over: what another thread that waited for
//! one of them is not to be blamed for.
//!
//! A thread whose wait ended late for lack of a processor (`processor`) writes that stretch here before its call is over, so before it can
//! let another one go on. A new thread writes what it lacked until its first call. The waiting thread looks at its own wait's end, where it
//! waited for a thread of its process: for a lock, a condition, another thread's end, an eventfd.
//!
//! Whoever let it go is not known as a rule. So only the thread counts that came out of a wait last: where that was another one, which
//! lacked a processor meanwhile, the rest of the wait is as long as before, or nearly so. A thread that only computes writes nothing here.

use crate::audit::clock;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering::*};

/// How many stretches are known.
const KEPT: usize = 64;
/// The shortest stretch that is written, in nanoseconds.
const SHORTEST_NS: u64 = 1_000_000;

/// A stretch: whose, and from when to when, in ticks. An end of 0: none, or one that is being written.
struct Stretch {
    thread: AtomicI32,
    from: AtomicU64,
    to: AtomicU64,
}

/// The state of this file.
struct State {
    stretches: [Stretch; KEPT],
    /// How many were written.
    count: AtomicUsize,
    /// The latest end among them, in ticks.
    latest: AtomicU64,
}

static STATE: State = State {
    stretches: [const { Stretch { thread: AtomicI32::new(0), from: AtomicU64::new(0), to: AtomicU64::new(0) } }; KEPT],
    count: AtomicUsize::new(0),
    latest: AtomicU64::new(0),
};

/// Writes that a thread had no processor for so long, up to `to` (ticks). Called on that thread, behind its wait and before that returns to
/// the program.
pub fn note(thread: i32, lacked_ns: u64, to: u64) {
    if lacked_ns < SHORTEST_NS {
        return;
    }
    let State { stretches, count, latest } = &STATE;
    let stretch = &stretches[count.fetch_add(1, Relaxed) % KEPT];
    stretch.to.store(0, Release);
    stretch.thread.store(thread, Relaxed);
    stretch.from.store(to.saturating_sub(clock::ticks_of_us(lacked_ns / 1_000)), Relaxed);
    stretch.to.store(to, Release);
    latest.fetch_max(to, Release);
}

/// Returns how much of a wait from `began` to `ended` (ticks) the thread lacked a processor that came out of a wait last in it, in
/// nanoseconds; `own` is the waiting thread. Called at that wait's end.
pub fn of_another(own: i32, began: u64, ended: u64) -> u64 {
    if STATE.latest.load(Acquire) <= began {
        return 0;
    }
    let read = |stretch: &Stretch| {
        let to = stretch.to.load(Acquire);
        let (thread, from) = (stretch.thread.load(Relaxed), stretch.from.load(Relaxed));
        let is_whole = to != 0 && stretch.to.load(Acquire) == to;
        (is_whole && thread != own && to > began && to <= ended).then_some((to, thread, from.max(began)))
    };
    let within = || STATE.stretches.iter().filter_map(read);
    let Some((_, last, _)) = within().max() else { return 0 };
    let ticks: u64 = within().filter(|(_, thread, _)| *thread == last).map(|(to, _, from)| to - from).sum();
    clock::about_ns(ticks.min(ended - began))
}

/// Forgets the parent's threads in a fork child.
pub fn after_fork() {
    let State { stretches, count: _, latest } = &STATE;
    stretches.iter().for_each(|stretch| stretch.to.store(0, Relaxed));
    latest.store(0, Relaxed);
}
