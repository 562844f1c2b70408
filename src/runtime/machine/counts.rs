//! Counts for the statistics (`stats=PATH`), the list of all workers, and when the figures are told.
//!
//! Each worker counts in its own `Counters`, by a plain load and store, for one kernel thread at a time writes them; the sums are made when
//! they are asked for. Threads that are no workers share `COUNTS.others` in the same way, and may lose a count to each other. The handler
//! that tells the figures before a signal ends the process (`end`) stands here, too.

use crate::audit::green;
use crate::base::kept::Kept;
use crate::figures::{Counters, ROWS};
use crate::runtime::machine::disposition;
use crate::runtime::machine::parts::Worker;
use crate::sys::{self, older};
use once_cell::race::OnceBox;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::*};

/// What is counted for the process as a whole, the list of the workers' counters, and when the figures were told.
/// The statistics read the fields by their addresses.
pub struct Counts {
    /// The calls of each hook by threads that are no workers; they may lose a count to each other.
    pub others: [AtomicU64; ROWS],
    /// The calls among `others` that went on to libc.
    pub others_passed: [AtomicU64; ROWS],
    /// Green threads that were created by threads that are no workers.
    pub green_threads: AtomicU64,
    /// The most green threads that were alive at a time.
    pub green_threads_peak: AtomicU64,
    /// Slots that were taken from workers whose calls or green threads lasted.
    pub hand_overs: AtomicU64,
    /// Hand-overs for nothing: the kernel thread was runnable, but had not got a processor for a tick, after the monitor had waited for it
    /// for 20 ms.
    pub false_alarms: AtomicU64,
    /// Kernel threads of the process that the library knows.
    kernel_threads: AtomicU64,
    /// The most kernel threads at a time.
    pub kernel_threads_peak: AtomicU64,
    /// The workers' counters, the last one's first, linked by `next`. Only added to, so it is walked without a lock, also by a signal
    /// handler.
    pub workers: AtomicPtr<Counters>,
    began_ms: AtomicU64,
    next_ms: AtomicU64,
    /// The sum that was told last.
    told: AtomicU64,
}

/// The only value of `Counts`.
pub static COUNTS: Counts = Counts {
    others: [const { AtomicU64::new(0) }; ROWS],
    others_passed: [const { AtomicU64::new(0) }; ROWS],
    green_threads: AtomicU64::new(0),
    green_threads_peak: AtomicU64::new(0),
    hand_overs: AtomicU64::new(0),
    false_alarms: AtomicU64::new(0),
    kernel_threads: AtomicU64::new(1),
    kernel_threads_peak: AtomicU64::new(1),
    workers: AtomicPtr::new(std::ptr::null_mut()),
    began_ms: AtomicU64::new(0),
    next_ms: AtomicU64::new(0),
    told: AtomicU64::new(0),
};

/// How many of libc's entries lead to the hooks. A fork child keeps it, for it has its parent's entries.
pub static ENTRIES: Kept<AtomicU64> = Kept::new(AtomicU64::new(0));

/// Adds 1 to a counter that only one kernel thread writes at a time.
#[inline(always)]
pub fn count_one(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}

/// Counts one call of the hook in row `row`.
#[inline(always)]
pub fn count(row: usize) {
    let counter = match crate::runtime::machine::parts::current() {
        Some(green) => &green.worker().counters.calls[row],
        None => &COUNTS.others[row],
    };
    count_one(counter);
}

/// Counts one call of the hook in row `row` that goes on to libc.
#[inline(always)]
pub fn count_passed(row: usize) {
    let counter = match crate::runtime::machine::parts::current() {
        Some(green) => &green.worker().counters.passed[row],
        None => &COUNTS.others_passed[row],
    };
    count_one(counter);
}

/// The calls of the hook in row `row`: {how many came, how many of them did not go on to libc}. A call that its handler still works on is
/// in both.
pub fn came_and_served(row: usize) -> (u64, u64) {
    // First what passed: what comes meanwhile must not look like more than came.
    let passed = COUNTS.others_passed[row].load(Relaxed) + sum(|worker| &worker.passed[row]);
    let came = COUNTS.others[row].load(Relaxed) + sum(|worker| &worker.calls[row]);
    (came, came.saturating_sub(passed))
}

/// Takes a new worker into the list, and so into the sums. Called once for each worker.
pub fn enlist(worker: &'static Worker) -> &'static Worker {
    let counters = &worker.counters;
    let place = counters as *const Counters as *mut Counters;
    let mut head = COUNTS.workers.load(Acquire);
    loop {
        counters.next.store(head, Relaxed);
        match COUNTS.workers.compare_exchange(head, place, AcqRel, Acquire) {
            Ok(_) => return worker,
            Err(now) => head = now,
        }
    }
}

fn for_each_counters(mut work: impl FnMut(&'static Counters)) {
    let mut at = COUNTS.workers.load(Acquire);
    // SAFETY: null, or the counters of a worker, and workers are never freed.
    while let Some(counters) = unsafe { at.as_ref() } {
        work(counters);
        at = counters.next.load(Acquire);
    }
}

/// Calls `work` for every worker that was ever made, the last first, those at rest included. Called on any thread and in handlers; takes no
/// lock.
pub fn for_each_worker(mut work: impl FnMut(&Worker)) {
    for_each_counters(|counters| work(Worker::of_counters(counters)));
}

/// Counts a green thread that was created on worker `by`'s kernel thread (`None`: on another one), and `alive` towards the peak.
pub fn green_thread_created(by: Option<&Worker>, alive: u64) {
    match by {
        Some(worker) => count_one(&worker.counters.created),
        None => {
            COUNTS.green_threads.fetch_add(1, Relaxed);
        }
    }
    if COUNTS.green_threads_peak.load(Relaxed) < alive {
        COUNTS.green_threads_peak.fetch_max(alive, Relaxed);
    }
}

/// Counts a hand-over.
pub fn hand_over() {
    COUNTS.hand_overs.fetch_add(1, Relaxed);
    green::handed_over();
}

/// Counts a hand-over for nothing.
pub fn false_alarm() {
    COUNTS.false_alarms.fetch_add(1, Relaxed);
}

/// Counts a kernel thread that begins.
pub fn kernel_thread_born() {
    let now = COUNTS.kernel_threads.fetch_add(1, Relaxed) + 1;
    COUNTS.kernel_threads_peak.fetch_max(now, Relaxed);
}

/// Counts a kernel thread that has ended.
pub fn kernel_thread_gone() {
    COUNTS.kernel_threads.fetch_sub(1, Relaxed);
}

/// The sum of one counter of all workers.
pub fn sum(part: impl Fn(&'static Counters) -> &'static AtomicU64) -> u64 {
    let mut sum = 0;
    for_each_counters(|counters| sum += part(counters).load(Relaxed));
    sum
}

/// The functions that tell the figures, where statistics are asked for.
pub struct Tellers {
    /// Called when the runtime has started, while there is one thread still.
    pub start: fn(),
    /// Called by the monitor when the figures have changed.
    pub meanwhile: fn(),
    /// Called before a signal ends the process, also in a handler: takes no lock and allocates nothing.
    pub end: fn(),
}

static TELLERS: Kept<OnceBox<Tellers>> = Kept::new(OnceBox::new());

/// Sets the functions that tell the figures; the first call counts. Called by the library's constructor.
pub fn tell_by(tellers: Tellers) {
    TELLERS.set(Box::new(tellers)).ok();
}

/// Tells the figures for the first time, if they are asked for. Called by the start.
pub fn after_start() {
    if let Some(tellers) = TELLERS.get() {
        (tellers.start)();
    }
}

/// Tells the figures for the last time, if they are asked for. Called before a signal ends the process, in handlers too.
pub fn before_end() {
    if let Some(tellers) = TELLERS.get() {
        (tellers.end)();
    }
}

/// The bounds of the intervals, in milliseconds, at which changed figures are told: after as long again as the runtime has run.
const SHORTEST_MS: u64 = 10;
const LONGEST_MS: u64 = 1000;

/// Tells figures that have changed, where that is due. Returns the time (ms of the coarse clock) at which it will be; `None`: nothing is
/// left to tell. Called by the monitor alone, before it sleeps without an end.
pub fn keep_up(now_ms: u64) -> Option<u64> {
    let tellers = TELLERS.get()?;
    let sums = sum(|worker| &worker.switches) + sum(|worker| &worker.created) + COUNTS.green_threads.load(Relaxed);
    if sums == COUNTS.told.load(Relaxed) {
        return None;
    }
    let next_ms = COUNTS.next_ms.load(Relaxed);
    if now_ms < next_ms {
        return Some(next_ms);
    }
    let began_ms = COUNTS.began_ms.load(Relaxed);
    if began_ms == 0 {
        COUNTS.began_ms.store(now_ms, Relaxed);
    }
    let age_ms = now_ms - if began_ms == 0 { now_ms } else { began_ms };
    COUNTS.next_ms.store(now_ms + age_ms.clamp(SHORTEST_MS, LONGEST_MS), Relaxed);
    COUNTS.told.store(sums, Relaxed);
    (tellers.meanwhile)();
    None
}

/// Is `end` the kernel's handler for this signal, where its action is the default?
pub fn precedes(signal: i32) -> bool {
    TELLERS.get().is_some() && disposition::ends(signal)
}

/// The kernel's handler for a signal whose action is the default and ends the process: the same signal comes once more as soon as this
/// is over, and nothing stands before the kernel's default then. Nothing here takes a lock or allocates: it interrupts anything, in any
/// thread, a vfork child too.
pub extern "C" fn end(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    before_end();
    // SAFETY: the default action has no handler; the kernel passes a valid siginfo_t.
    unsafe {
        sys::signal_action(signal, &[0; 4], std::ptr::null_mut());
        if older::queue_signal(sys::kernel_thread_id(), signal, &*info).is_err() {
            sys::signal_thread(sys::kernel_thread_id(), signal).ok();
        }
    }
}

/// Clears the counts in a fork child, and the list: the parent's workers are not here.
pub fn after_fork() {
    let Counts {
        others,
        others_passed,
        green_threads,
        green_threads_peak,
        hand_overs,
        false_alarms,
        kernel_threads,
        kernel_threads_peak,
        workers,
        began_ms,
        next_ms,
        told,
    } = &COUNTS;
    workers.store(std::ptr::null_mut(), Release);
    others.iter().chain(others_passed).for_each(|counter| counter.store(0, Relaxed));
    for counter in [green_threads, green_threads_peak, hand_overs, false_alarms, began_ms, next_ms, told] {
        counter.store(0, Relaxed);
    }
    [kernel_threads, kernel_threads_peak].into_iter().for_each(|count| count.store(1, Relaxed));
}
