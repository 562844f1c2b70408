//! What is counted, for `stats=PATH`. Each kernel thread counts for itself, without atomic read-modify-write; the sums are made
//! when somebody asks. What asks for them before a signal ends the process stands here, too.

use crate::figures::{Counters, ROWS};
use crate::runtime::machine::disposition;
use crate::runtime::machine::parts::Worker;
use crate::sys::{self, older};
use once_cell::race::OnceBox;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::*};

/// The calls of all threads that are no workers; they may lose a count to each other.
pub static OTHERS: [AtomicU64; ROWS] = [const { AtomicU64::new(0) }; ROWS];

/// How many of libc's entries lead to the hooks. A fork child has them as its parent.
pub static ENTRIES: AtomicU64 = AtomicU64::new(0);

/// Those of them that went on to libc.
pub static OTHERS_PASSED: [AtomicU64; ROWS] = [const { AtomicU64::new(0) }; ROWS];

/// Those that no worker created.
pub static GREEN_THREADS: AtomicU64 = AtomicU64::new(0);
pub static GREEN_THREADS_PEAK: AtomicU64 = AtomicU64::new(0);
pub static HAND_OVERS: AtomicU64 = AtomicU64::new(0);
/// Hand-overs for nothing: the kernel thread was runnable and had not computed for a tick. The monitor had waited for 20 ms, and could not
/// wait for longer.
pub static FALSE_ALARMS: AtomicU64 = AtomicU64::new(0);
static KERNEL_THREADS: AtomicU64 = AtomicU64::new(1);
pub static KERNEL_THREADS_PEAK: AtomicU64 = AtomicU64::new(1);

/// The workers' counters, the last one's first. Only added to: whoever walks the list needs no lock, a signal handler neither.
pub static WORKERS: AtomicPtr<Counters> = AtomicPtr::new(std::ptr::null_mut());

/// One more, of what only one kernel thread counts at a time.
#[inline(always)]
pub fn count_one(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}

/// Counts one call of the hook in row `row`.
#[inline(always)]
pub fn count(row: usize) {
    let counter = match crate::runtime::machine::parts::current() {
        Some(green) => &green.worker().counters.calls[row],
        None => &OTHERS[row],
    };
    count_one(counter);
}

/// Counts one call of the hook in row `row` that goes on to libc.
#[inline(always)]
pub fn count_passed(row: usize) {
    let counter = match crate::runtime::machine::parts::current() {
        Some(green) => &green.worker().counters.passed[row],
        None => &OTHERS_PASSED[row],
    };
    count_one(counter);
}

/// The calls of the hook in row `row`: how many came, and how many of them its handler has answered, or not come back from. A call
/// that its handler still works on is among both.
pub fn came_and_served(row: usize) -> (u64, u64) {
    // First what passed: what comes meanwhile must not look like more than came.
    let passed = OTHERS_PASSED[row].load(Relaxed) + sum(|worker| &worker.passed[row]);
    let came = OTHERS[row].load(Relaxed) + sum(|worker| &worker.calls[row]);
    (came, came.saturating_sub(passed))
}

/// Takes a worker into the sums.
pub fn enlist(worker: &'static Worker) -> &'static Worker {
    let counters = &worker.counters;
    let place = counters as *const Counters as *mut Counters;
    let mut head = WORKERS.load(Acquire);
    loop {
        counters.next.store(head, Relaxed);
        match WORKERS.compare_exchange(head, place, AcqRel, Acquire) {
            Ok(_) => return worker,
            Err(now) => head = now,
        }
    }
}

fn for_each_counters(mut work: impl FnMut(&'static Counters)) {
    let mut at = WORKERS.load(Acquire);
    // SAFETY: null, or the counters of a worker, and workers are never freed.
    while let Some(counters) = unsafe { at.as_ref() } {
        work(counters);
        at = counters.next.load(Acquire);
    }
}

pub fn for_each_worker(mut work: impl FnMut(&Worker)) {
    for_each_counters(|counters| work(Worker::of_counters(counters)));
}

/// One more was created, by that worker's kernel thread or by one that is none.
pub fn green_thread_created(by: Option<&Worker>, alive: u64) {
    match by {
        Some(worker) => count_one(&worker.counters.created),
        None => {
            GREEN_THREADS.fetch_add(1, Relaxed);
        }
    }
    if GREEN_THREADS_PEAK.load(Relaxed) < alive {
        GREEN_THREADS_PEAK.fetch_max(alive, Relaxed);
    }
}

pub fn hand_over() {
    HAND_OVERS.fetch_add(1, Relaxed);
}

pub fn false_alarm() {
    FALSE_ALARMS.fetch_add(1, Relaxed);
}

pub fn kernel_thread_born() {
    let now = KERNEL_THREADS.fetch_add(1, Relaxed) + 1;
    KERNEL_THREADS_PEAK.fetch_max(now, Relaxed);
}

pub fn kernel_thread_gone() {
    KERNEL_THREADS.fetch_sub(1, Relaxed);
}

/// One figure of all workers.
pub fn sum(part: impl Fn(&'static Counters) -> &'static AtomicU64) -> u64 {
    let mut sum = 0;
    for_each_counters(|counters| sum += part(counters).load(Relaxed));
    sum
}

/// Who tells the figures, where somebody asks for them.
pub struct Tellers {
    /// The runtime has started; there is one thread still.
    pub start: fn(),
    /// The monitor's duty.
    pub meanwhile: fn(),
    /// A signal is about to end the process.
    pub end: fn(),
}

static TELLERS: OnceBox<Tellers> = OnceBox::new();

pub fn tell_by(tellers: Tellers) {
    TELLERS.set(Box::new(tellers)).ok();
}

pub fn after_start() {
    if let Some(tellers) = TELLERS.get() {
        (tellers.start)();
    }
}

pub fn before_end() {
    if let Some(tellers) = TELLERS.get() {
        (tellers.end)();
    }
}

/// Figures that have changed are told at growing intervals: after as long again as the runtime has run, or after these.
const SHORTEST_MS: u64 = 10;
const LONGEST_MS: u64 = 1000;
static BEGAN_MS: AtomicU64 = AtomicU64::new(0);
static NEXT_MS: AtomicU64 = AtomicU64::new(0);
/// What was told last.
static TOLD: AtomicU64 = AtomicU64::new(0);

/// The monitor is about to sleep without an end: when it is to come again, for what has changed since the figures were told.
/// Only the monitor calls this.
pub fn keep_up(now_ms: u64) -> Option<u64> {
    let tellers = TELLERS.get()?;
    let sums = sum(|worker| &worker.switches) + sum(|worker| &worker.created) + GREEN_THREADS.load(Relaxed);
    if sums == TOLD.load(Relaxed) {
        return None;
    }
    let next_ms = NEXT_MS.load(Relaxed);
    if now_ms < next_ms {
        return Some(next_ms);
    }
    let began_ms = BEGAN_MS.load(Relaxed);
    if began_ms == 0 {
        BEGAN_MS.store(now_ms, Relaxed);
    }
    let age_ms = now_ms - if began_ms == 0 { now_ms } else { began_ms };
    NEXT_MS.store(now_ms + age_ms.clamp(SHORTEST_MS, LONGEST_MS), Relaxed);
    TOLD.store(sums, Relaxed);
    (tellers.meanwhile)();
    None
}

/// Does this signal, where its action is the default, meet `end` first?
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

/// In a fork child: counts begin anew.
pub fn after_fork() {
    WORKERS.store(std::ptr::null_mut(), Release);
    OTHERS.iter().chain(&OTHERS_PASSED).for_each(|counter| counter.store(0, Relaxed));
    for counter in [&GREEN_THREADS, &GREEN_THREADS_PEAK, &HAND_OVERS, &FALSE_ALARMS, &BEGAN_MS, &NEXT_MS, &TOLD] {
        counter.store(0, Relaxed);
    }
    KERNEL_THREADS.store(1, Relaxed);
    KERNEL_THREADS_PEAK.store(1, Relaxed);
}
