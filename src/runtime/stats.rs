//! What is counted, for `stats=PATH`. Each kernel thread counts for itself, without atomic read-modify-write; the sums are made
//! at exit.

use super::raw_lock::RawLock;
use super::sched::Worker;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Room for the hook table's rows.
pub const ROWS: usize = 384;

/// Calls of each hook.
pub struct Calls(Box<[AtomicU64; ROWS]>);

impl Calls {
    pub fn new() -> Calls {
        Calls(Box::new([const { AtomicU64::new(0) }; ROWS]))
    }
}

/// The calls of all threads that are no workers; they may lose a count to each other.
static OTHERS: [AtomicU64; ROWS] = [const { AtomicU64::new(0) }; ROWS];

/// Those that no worker created.
static GREEN_THREADS: AtomicU64 = AtomicU64::new(0);
static GREEN_THREADS_PEAK: AtomicU64 = AtomicU64::new(0);
static HAND_OVERS: AtomicU64 = AtomicU64::new(0);
static KERNEL_THREADS: AtomicU64 = AtomicU64::new(1);
static KERNEL_THREADS_PEAK: AtomicU64 = AtomicU64::new(1);

struct Workers {
    lock: RawLock,
    all: UnsafeCell<Vec<&'static Worker>>,
}

// SAFETY: the list is only touched under the lock.
unsafe impl Sync for Workers {}

static WORKERS: Workers = Workers { lock: RawLock::new(), all: UnsafeCell::new(Vec::new()) };

/// Counts one call of the hook in row `row`.
#[inline(always)]
pub fn count(row: usize) {
    let counter = match super::green::current() {
        Some(green) => &green.worker().calls.0[row],
        None => &OTHERS[row],
    };
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}

/// Takes a worker into the sums.
pub fn enlist(worker: &'static Worker) -> &'static Worker {
    // SAFETY: under the lock.
    WORKERS.lock.with(|| unsafe { (*WORKERS.all.get()).push(worker) });
    worker
}

pub fn for_each_worker(work: impl Fn(&Worker)) {
    // SAFETY: under the lock.
    WORKERS.lock.with(|| unsafe { (*WORKERS.all.get()).iter().for_each(|worker| work(worker)) });
}

/// One more was created, by that worker's kernel thread or by one that is none.
pub fn green_thread_created(by: Option<&Worker>, alive: u64) {
    match by {
        Some(worker) => worker.created.store(worker.created.load(Relaxed) + 1, Relaxed),
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

pub fn kernel_thread_born() {
    let now = KERNEL_THREADS.fetch_add(1, Relaxed) + 1;
    KERNEL_THREADS_PEAK.fetch_max(now, Relaxed);
}

pub fn kernel_thread_gone() {
    KERNEL_THREADS.fetch_sub(1, Relaxed);
}

/// The sums.
pub struct Sums {
    pub green_threads: u64,
    pub green_threads_peak: u64,
    pub parks: u64,
    pub switches: u64,
    pub hand_overs: u64,
    pub kernel_threads_peak: u64,
    /// Calls by row.
    pub calls: Vec<u64>,
}

pub fn sums(rows: usize) -> Sums {
    // SAFETY: under the lock.
    let workers: Vec<&Worker> = WORKERS.lock.with(|| unsafe { (*WORKERS.all.get()).clone() });
    let sum = |part: fn(&Worker) -> &AtomicU64| workers.iter().map(|worker| part(worker).load(Relaxed)).sum();
    let calls_of = |row: usize| workers.iter().map(|worker| worker.calls.0[row].load(Relaxed)).sum::<u64>();
    Sums {
        green_threads: GREEN_THREADS.load(Relaxed) + sum(|worker| &worker.created),
        green_threads_peak: GREEN_THREADS_PEAK.load(Relaxed),
        parks: sum(|worker| &worker.parks),
        switches: sum(|worker| &worker.switches),
        hand_overs: HAND_OVERS.load(Relaxed),
        kernel_threads_peak: KERNEL_THREADS_PEAK.load(Relaxed),
        calls: (0..rows.min(ROWS)).map(|row| OTHERS[row].load(Relaxed) + calls_of(row)).collect(),
    }
}

/// In a fork child: counts begin anew.
pub fn after_fork() {
    WORKERS.lock.reset();
    // SAFETY: the child has one thread.
    unsafe { (*WORKERS.all.get()).clear() };
    OTHERS.iter().for_each(|counter| counter.store(0, Relaxed));
    for counter in [&GREEN_THREADS, &GREEN_THREADS_PEAK, &HAND_OVERS] {
        counter.store(0, Relaxed);
    }
    KERNEL_THREADS.store(1, Relaxed);
    KERNEL_THREADS_PEAK.store(1, Relaxed);
}
