//! What a green thread's kernel thread must have, or count, while it runs, beside the mask: its processors, its rights to pages with
//! protection keys, the base of its GS segment, and its CPU time.
//!
//! All are rare, so a switch asks one question (`unusual`), and pays only in a program that uses them: a thread with processors of
//! its own brings them to its kernel thread, the next one without puts the process's back. CPU time is counted from the moment
//! when the first green thread's clock is read: one system call a switch. What was computed before is on no thread's clock, except
//! main's until its first thread.

use crate::arch;
use crate::arch::segment::fast_switch;
use crate::runtime::machine::parts::{self, Green, Worker};
use crate::runtime::machine::unusual::{COUNTS, DEATH, PROCESSORS, RIGHTS, SEGMENT};
use crate::runtime::machine::{counts, death_signal};
use crate::sys::{self, Processors};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

static HAS_KEYS: AtomicBool = AtomicBool::new(false);
static HAS_SEGMENTS: AtomicBool = AtomicBool::new(false);
static COUNTING: AtomicBool = AtomicBool::new(false);
/// The processors that the process was given.
static USUAL: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

/// At the start, on main's kernel thread.
pub fn begin(main: &Green) {
    USUAL.iter().zip(sys::processors_of(0)).for_each(|(word, bits)| word.store(bits, Relaxed));
    main.cpu_ns.store(sys::clock_ns(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or(0), Relaxed);
    if arch::segment::read(fast_switch()) != 0 {
        HAS_SEGMENTS.store(true, SeqCst);
    }
}

/// A kernel thread becomes a worker's.
pub fn arrive(worker: &Worker) {
    worker.charged.store(std::ptr::null_mut(), Relaxed);
    worker.unusual.store(0, SeqCst);
    death_signal::arrive();
    if COUNTING.load(SeqCst) {
        begin_counting(worker);
    }
    if HAS_KEYS.load(SeqCst) {
        worker.unusual.fetch_or(RIGHTS, SeqCst);
    }
    if HAS_SEGMENTS.load(SeqCst) {
        worker.unusual.fetch_or(SEGMENT, SeqCst);
    }
}

/// The program has its first protection key. Until now all threads had the same rights.
pub fn begin_keys() {
    if !HAS_KEYS.swap(true, SeqCst) {
        counts::for_each_worker(|worker| {
            worker.unusual.fetch_or(RIGHTS, SeqCst);
        });
    }
}

/// The program has set the base of a GS segment. Until now all threads had the same, none: whoever runs elsewhere, and leaves before
/// its worker learns of this, has that one noted.
pub fn begin_segments() {
    if !HAS_SEGMENTS.swap(true, SeqCst) {
        counts::for_each_worker(|worker| {
            worker.unusual.fetch_or(SEGMENT, SeqCst);
        });
    }
}

/// The running thread is about to leave its kernel thread.
#[cold]
pub fn keep_registers(worker: &Worker, me: &Green) {
    let unusual = worker.unusual.load(Relaxed);
    if unusual & RIGHTS != 0 {
        // SAFETY: the program has a key.
        me.rights.set(unsafe { arch::keys::read() });
    }
    if unusual & SEGMENT != 0 {
        me.segment.set(arch::segment::read(fast_switch()));
    }
}

/// `green` is about to run here, after `worker.charged`.
#[cold]
pub fn change(worker: &Worker, green: &Green) {
    let unusual = worker.unusual.load(Relaxed);
    if unusual & COUNTS != 0 {
        charge(worker);
    }
    if unusual & RIGHTS != 0 {
        // SAFETY: the program has a key.
        unsafe { arch::keys::write(green.rights.get()) };
    }
    if unusual & DEATH != 0 {
        death_signal::bring_death_signal(worker);
    }
    if unusual & SEGMENT != 0 {
        arch::segment::write(green.segment.get(), fast_switch());
    }
    if (unusual | green.unusual.load(Relaxed)) & PROCESSORS != 0 {
        bring_processors(worker, green);
    }
}

fn bring_processors(worker: &Worker, green: &Green) {
    sys::set_processors(&processors(green));
    worker.unusual.fetch_and(!PROCESSORS, Relaxed);
    worker.unusual.fetch_or(green.unusual.load(Relaxed) & PROCESSORS, Relaxed);
}

/// The processors on which a thread may run.
pub fn processors(green: &Green) -> Processors {
    if green.unusual.load(Acquire) & PROCESSORS == 0 {
        return std::array::from_fn(|i| USUAL[i].load(Relaxed));
    }
    // SAFETY: a copy that may be of either side of a change, as natively.
    unsafe { *green.processors.get() }
}

/// A new thread has those that it was given, or its creator's, and has used nothing.
pub fn inherit(green: &Green, creator: Option<&Green>, given: Option<Processors>) {
    green.cpu_ns.store(0, Relaxed);
    green.unusual.store(0, Relaxed);
    let has_keys = HAS_KEYS.load(Relaxed);
    // SAFETY: the program has a key; the creator runs here.
    green.rights.set(if has_keys { unsafe { arch::keys::read() } } else { arch::keys::INITIAL });
    green.segment.set(if HAS_SEGMENTS.load(Relaxed) { arch::segment::read(fast_switch()) } else { 0 });
    let of_creator = creator.filter(|creator| creator.unusual.load(Relaxed) & PROCESSORS != 0).map(processors);
    if let Some(set) = given.or(of_creator) {
        set_processors(green, set, false);
    }
}

/// Gives a thread processors of its own. The running one is there at once, another when it next runs.
pub fn set_processors(green: &Green, set: Processors, runs_here: bool) {
    // SAFETY: as in `processors`.
    unsafe { *green.processors.get() = set };
    green.unusual.fetch_or(PROCESSORS, Release);
    if runs_here {
        bring_processors(green.worker(), green);
    }
}

/// What the kernel makes of a wish for processors: it is asked on this kernel thread, which then has its own again.
pub fn possible(size: usize, set: usize) -> Result<Processors, i32> {
    let before = sys::processors_of(0);
    sys::try_processors(size, set)?;
    let possible = sys::processors_of(0);
    sys::set_processors(&before);
    Ok(possible)
}

/// Whoever ran here since the last time has used the CPU time since then.
fn charge(worker: &Worker) {
    let now = sys::clock_ns(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or(0);
    // SAFETY: null or a green thread, which is never freed.
    if let Some(green) = unsafe { worker.charged.swap(std::ptr::null_mut(), AcqRel).as_ref() } {
        green.cpu_ns.fetch_add(now.saturating_sub(worker.since_ns.load(Relaxed)), Relaxed);
    }
    worker.since_ns.store(now, Relaxed);
}

/// A thread has ended here: what it used is not to be charged to its vessel's next one.
#[inline]
pub fn end(green: &Green) {
    if COUNTING.load(Relaxed) {
        parts::here()
            .filter(|worker| std::ptr::eq(worker.charged.load(Relaxed), green))
            .inspect(|worker| charge(worker));
    }
}

/// Nobody will run here for a while, and perhaps never again.
pub fn settle(worker: &Worker) {
    if worker.unusual.load(Relaxed) & COUNTS != 0 {
        charge(worker);
    }
}

/// A thread's CPU time.
pub fn cpu_ns(green: &Green) -> u64 {
    if !COUNTING.load(Relaxed) && !COUNTING.swap(true, SeqCst) {
        counts::for_each_worker(begin_counting);
    }
    loop {
        let charged = green.cpu_ns.load(Acquire);
        let running = running_ns(green);
        if green.cpu_ns.load(Acquire) == charged {
            return charged + running;
        }
    }
}

fn begin_counting(worker: &Worker) {
    worker.since_ns.store(sys::cpu_ns_of(worker.kernel_tid.load(Relaxed)), Relaxed);
    worker.unusual.fetch_or(COUNTS, SeqCst);
}

/// What is not charged yet.
fn running_ns(green: &Green) -> u64 {
    // SAFETY: null or a worker; workers are never freed.
    let Some(worker) = (unsafe { green.worker.load(Acquire).as_ref() }) else { return 0 };
    let since = worker.since_ns.load(Relaxed);
    if !std::ptr::eq(worker.charged.load(Acquire), green) {
        return 0;
    }
    sys::cpu_ns_of(worker.kernel_tid.load(Relaxed)).saturating_sub(since)
}
