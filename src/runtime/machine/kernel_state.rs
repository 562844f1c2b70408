//! Kernel state that goes with a green thread beside the mask: processors, rights of protection keys, the GS base, and CPU time.
//!
//! All are rare, so a switch asks one question (`unusual` of worker and thread), and pays only in a program that uses them: a thread with
//! processors of its own brings them to its kernel thread, the next one without puts the process's back. CPU time is counted from the
//! moment when the first green thread's clock is read: one system call a switch. What was computed before is on no thread's clock, except
//! main's until its first thread.
//!
//! The flags below only go from false to true, after which each worker has its bit; a fork child keeps them, for it has the keys and the
//! segments, too.

use crate::arch;
use crate::arch::segment::fast_switch;
use crate::base::kept::Kept;
use crate::runtime::machine::parts::{self, Green, Worker};
use crate::runtime::machine::unusual::{COUNTS, DEATH, PROCESSORS, RIGHTS, SEGMENT};
use crate::runtime::machine::{counts, death_signal};
use crate::sys::{self, Processors};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

/// The program has protection keys.
static HAS_KEYS: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));
/// The program has set the base of a GS segment.
static HAS_SEGMENTS: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));
/// CPU time is counted.
static COUNTING: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));
/// The processors that the process was given.
static USUAL: Kept<[AtomicU64; 16]> = Kept::new([const { AtomicU64::new(0) }; 16]);

/// Notes what the process has before it is green. Called by the start, on main's kernel thread.
pub fn begin(main: &Green) {
    USUAL.iter().zip(sys::processors_of(0)).for_each(|(word, bits)| word.store(bits, Relaxed));
    main.thread.cpu_ns.store(sys::clock_ns(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or(0), Relaxed);
    if arch::segment::read(fast_switch()) != 0 {
        HAS_SEGMENTS.store(true, SeqCst);
    }
}

/// Begins a worker's bits for its new kernel thread. Called on that kernel thread.
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

/// Has all workers keep rights apart from now on: the program has its first protection key. Until now all threads had the same rights.
pub fn begin_keys() {
    if !HAS_KEYS.swap(true, SeqCst) {
        counts::for_each_worker(|worker| {
            worker.unusual.fetch_or(RIGHTS, SeqCst);
        });
    }
}

/// Has all workers keep GS bases apart from now on: the program has set one. Until now all threads had none, and a thread that leaves its
/// worker before that one learns of this has none noted.
pub fn begin_segments() {
    if !HAS_SEGMENTS.swap(true, SeqCst) {
        counts::for_each_worker(|worker| {
            worker.unusual.fetch_or(SEGMENT, SeqCst);
        });
    }
}

/// Keeps the running thread's registers. Called by the switch, on the kernel thread that the thread is about to leave.
#[cold]
pub fn keep_registers(worker: &Worker, me: &Green) {
    let unusual = worker.unusual.load(Relaxed);
    if unusual & RIGHTS != 0 {
        // SAFETY: the program has a key (RIGHTS), so the processor has the instruction.
        me.thread.rights.set(unsafe { arch::keys::read() });
    }
    if unusual & SEGMENT != 0 {
        me.thread.segment.set(arch::segment::read(fast_switch()));
    }
}

/// Gives this kernel thread what `green`, which is about to run here, must have, and charges the CPU time to the thread in `charged`.
/// Called by the switch, where `unusual` of either is not 0.
#[cold]
pub fn change(worker: &Worker, green: &Green) {
    let unusual = worker.unusual.load(Relaxed);
    if unusual & COUNTS != 0 {
        charge(worker);
    }
    if unusual & RIGHTS != 0 {
        // SAFETY: the program has a key (RIGHTS), so the processor has the instruction; the rights are those that the thread left with.
        unsafe { arch::keys::write(green.thread.rights.get()) };
    }
    if unusual & DEATH != 0 {
        death_signal::bring_death_signal(worker);
    }
    if unusual & SEGMENT != 0 {
        arch::segment::write(green.thread.segment.get(), fast_switch());
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

/// The processors on which a thread may run. Called on any thread.
pub fn processors(green: &Green) -> Processors {
    if green.unusual.load(Acquire) & PROCESSORS == 0 {
        return std::array::from_fn(|i| USUAL[i].load(Relaxed));
    }
    // SAFETY: plain words that are always valid; a copy made during a change by another thread may have words of both masks.
    unsafe { *green.thread.processors.get() }
}

/// Returns the registers that a new thread begins with, this kernel thread's: rights of protection keys, and the base of the GS segment.
/// Called by its creator.
pub fn registers() -> (u32, usize) {
    let has_keys = HAS_KEYS.load(Relaxed);
    // SAFETY: the program has a key, so the processor has the instruction; the creator runs here, so these are its rights.
    let rights = if has_keys { unsafe { arch::keys::read() } } else { arch::keys::INITIAL };
    (rights, if HAS_SEGMENTS.load(Relaxed) { arch::segment::read(fast_switch()) } else { 0 })
}

/// Gives a new thread the processors that it was given, or its creator's. Called by its creator, before the thread is ready.
pub fn inherit(green: &Green, creator: Option<&Green>, given: Option<Processors>) {
    let of_creator = creator.filter(|creator| creator.unusual.load(Relaxed) & PROCESSORS != 0).map(processors);
    if let Some(set) = given.or(of_creator) {
        set_processors(green, set, false);
    }
}

/// Gives a thread processors of its own: the running one (`runs_here`) at once, another when it is next resumed.
pub fn set_processors(green: &Green, set: Processors, runs_here: bool) {
    // SAFETY: plain words that are always valid; a reader at the same time may see words of both masks.
    unsafe { *green.thread.processors.get() = set };
    green.unusual.fetch_or(PROCESSORS, Release);
    if runs_here {
        bring_processors(green.worker(), green);
    }
}

/// The processors that the kernel makes of a wish (sched_setaffinity's arguments), or its error number. It is asked on this kernel thread,
/// which has its own again afterwards.
pub fn possible(size: usize, set: usize) -> Result<Processors, i32> {
    let before = sys::processors_of(0);
    sys::try_processors(size, set)?;
    let possible = sys::processors_of(0);
    sys::set_processors(&before);
    Ok(possible)
}

/// Charges the CPU time since `since_ns` to the thread that ran here. Called on the worker's kernel thread.
fn charge(worker: &Worker) {
    let now = sys::clock_ns(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or(0);
    // SAFETY: null or a green thread, which is never freed.
    if let Some(green) = unsafe { worker.charged.swap(std::ptr::null_mut(), AcqRel).as_ref() } {
        green.thread.cpu_ns.fetch_add(now.saturating_sub(worker.since_ns.load(Relaxed)), Relaxed);
    }
    worker.since_ns.store(now, Relaxed);
}

/// Charges a thread that has ended here, so that its last time is not charged to its vessel's next thread.
#[inline]
pub fn end(green: &Green) {
    if COUNTING.load(Relaxed) {
        parts::here()
            .filter(|worker| std::ptr::eq(worker.charged.load(Relaxed), green))
            .inspect(|worker| charge(worker));
    }
}

/// Charges the last thread, where none will run here for a while. Called by a worker before it sleeps or ends.
pub fn settle(worker: &Worker) {
    if worker.unusual.load(Relaxed) & COUNTS != 0 {
        charge(worker);
    }
}

/// A thread's CPU time in nanoseconds. Called on any thread; the first call begins the counting for the whole process.
pub fn cpu_ns(green: &Green) -> u64 {
    if !COUNTING.load(Relaxed) && !COUNTING.swap(true, SeqCst) {
        counts::for_each_worker(begin_counting);
    }
    loop {
        let charged = green.thread.cpu_ns.load(Acquire);
        let running = running_ns(green);
        if green.thread.cpu_ns.load(Acquire) == charged {
            return charged + running;
        }
    }
}

fn begin_counting(worker: &Worker) {
    worker.since_ns.store(sys::cpu_ns_of(worker.kernel_tid.load(Relaxed)), Relaxed);
    worker.unusual.fetch_or(COUNTS, SeqCst);
}

/// The CPU time of a running thread that is not charged yet, in nanoseconds.
fn running_ns(green: &Green) -> u64 {
    // SAFETY: null or a worker; workers are never freed.
    let Some(worker) = (unsafe { green.worker.load(Acquire).as_ref() }) else { return 0 };
    let since = worker.since_ns.load(Relaxed);
    if !std::ptr::eq(worker.charged.load(Acquire), green) {
        return 0;
    }
    sys::cpu_ns_of(worker.kernel_tid.load(Relaxed)).saturating_sub(since)
}
