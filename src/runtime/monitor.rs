//! The monitor: a kernel thread that runs nothing green and watches those who do.
//!
//! Every tick it looks at each slot. A slot whose worker has resumed nobody since the last tick runs one green thread for
//! long. While nobody else waits that is fine. Else the thread is first asked to make room (`attention`: heeded by the
//! next hook that finds what it wants at once), and if that does not help, or it sits in a call known to block, the slot goes to another
//! worker: a *hand-over*. So spinning, computing, an unhooked call or a lock inside libc costs a slot milliseconds only.
//!
//! While everybody sleeps the monitor sleeps too; whoever wakes a slot calls it.

use super::raw_lock::RawLock;
use super::sched::{self, Slot, CALL, GREEN, MODE, VACANT};
use super::worker::{self, GATE};
use super::{signal, stats, thread, vessel};
use crate::{glibc, sys};
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// How often it looks while anybody runs.
const TICK_NS: u64 = 1_000_000;
/// Ticks in one green thread until its slot is taken; a call known to block gets one.
const TICKS_OF_PATIENCE: u32 = 3;
/// Ticks without anybody running until it sleeps without an end.
const TICKS_UNTIL_SLEEP: u32 = 50;

static NOW_MS: AtomicU64 = AtomicU64::new(0);

/// What the monitor sleeps on: 0 ticking, 1 sleeping without an end, 2 called.
static BELL: AtomicU32 = AtomicU32::new(0);
const TICKING: u32 = 0;
const ASLEEP: u32 = 1;
const CALLED: u32 = 2;

/// CLOCK_MONOTONIC in milliseconds, as of the last tick or the last slot that went to sleep: costs nothing to read.
#[inline]
pub fn now_ms() -> u64 {
    NOW_MS.load(Relaxed)
}

/// Brings `now_ms` up to date.
pub fn set_now() -> u64 {
    let now = sys::now_ns() / 1_000_000;
    NOW_MS.store(now, Relaxed);
    now
}

/// There is something for the monitor to do now.
pub fn call() {
    if BELL.swap(CALLED, SeqCst) != CALLED {
        sys::futex_wake(BELL.as_ptr(), 1);
    }
}

/// A slot has woken up: the monitor is not to sleep through it.
#[inline]
pub fn awake() {
    if BELL.load(Relaxed) == ASLEEP {
        call();
    }
}

/// What the monitor remembers of a slot.
#[derive(Clone, Copy, Default)]
struct Watch {
    switches: u64,
    same: u32,
}

/// Starts the monitor. False: no kernel thread to be had.
pub fn start() -> bool {
    set_now();
    stats::kernel_thread_born();
    let old_mask = sys::set_signal_mask(signal::CLOSED);
    let born = glibc::create_thread(monitor_main, std::ptr::null_mut(), None);
    sys::set_signal_mask(old_mask);
    born.is_ok()
}

extern "C" fn monitor_main(_: *mut c_void) -> *mut c_void {
    let mut watches = vec![Watch::default(); sched::slots().len()];
    let (mut quiet, mut shrink_at_ms) = (0, 0);
    loop {
        sleep(&mut quiet);
        let now_ms = set_now();
        let mut running = false;
        for (slot, watch) in sched::slots().iter().zip(&mut watches) {
            running |= look(slot, watch);
        }
        if sched::injected() {
            sched::call_for_help();
        }
        signal::hand_out();
        GATE.tidy();
        vessel::bury_dying();
        if now_ms >= shrink_at_ms {
            vessel::shrink_pool();
            shrink_at_ms = now_ms + 1000;
        }
        let main_leaves = thread::see_main_off();
        quiet = if running || main_leaves { 0 } else { quiet + 1 };
    }
}

fn sleep(quiet: &mut u32) {
    if *quiet < TICKS_UNTIL_SLEEP {
        signal::listen(|| sys::futex_wait(&BELL, TICKING, Some(sys::now_ns() + TICK_NS)).ok());
    } else if BELL.compare_exchange(TICKING, ASLEEP, SeqCst, Relaxed).is_ok() {
        // Pooled vessels are let go even while nothing happens.
        let deadline = vessel::pool_is_large().then(|| sys::now_ns() + 500_000_000);
        if !sched::slots().iter().any(in_use) {
            signal::listen(|| sys::futex_wait(&BELL, ASLEEP, deadline).ok());
        }
        vessel::shrink_pool();
        *quiet = 0;
    }
    BELL.store(TICKING, SeqCst);
}

fn in_use(slot: &Slot) -> bool {
    slot.owner.load(SeqCst) & MODE != 0
}

/// Looks at one slot; true while somebody runs there.
fn look(slot: &'static Slot, watch: &mut Watch) -> bool {
    let owner = slot.owner.load(SeqCst);
    if owner == 0 {
        send_worker(slot);
        return false;
    }
    if owner & MODE == 0 {
        watch.same = 0;
        return !slot.is_idle();
    }
    let switches = slot.switches.load(Relaxed);
    if switches != watch.switches {
        *watch = Watch { switches, same: 0 };
        slot.poll_due.store(true, Relaxed);
        return true;
    }
    watch.same += 1;
    if !others_wait(slot) {
        return true;
    }
    slot.attention.store(true, Relaxed);
    slot.poll_due.store(true, Relaxed);
    sched::spread(slot);
    let patience = if owner & MODE == CALL { 1 } else { TICKS_OF_PATIENCE };
    if watch.same >= patience {
        hand_over(slot, owner);
        watch.same = 0;
    }
    true
}

/// Is there anything that only this slot's owner would see to?
fn others_wait(slot: &Slot) -> bool {
    slot.has_ready() || sched::injected() || slot.timers.earliest() <= sys::now_ns() || sys::readable(slot.epoll())
}

/// Takes the slot from its worker, unless that comes back just now, and gives it to another.
fn hand_over(slot: &'static Slot, owner: usize) {
    debug_assert!(owner & MODE == GREEN || owner & MODE == CALL);
    if slot.owner.compare_exchange(owner, 0, AcqRel, Relaxed).is_ok() {
        stats::hand_over();
        worker::give(slot);
    }
}

/// A vacant slot gets a worker when there is work for it.
fn send_worker(slot: &'static Slot) {
    // One that was in use may have descriptors and deadlines waited for.
    let used = slot.switches.load(Relaxed) > 0;
    let work = used || sched::injected() || sched::slots().iter().any(|slot| slot.has_ready());
    if work && VACANT.load(Relaxed) > 0 {
        VACANT.fetch_sub(1, SeqCst);
        worker::give(slot);
    }
}

/// Stacks of the workers: they run the scheduler and, at worst, a signal handler.
const SMALL_STACK: usize = 256 << 10;

struct SmallStacks {
    lock: RawLock,
    free: UnsafeCell<Vec<usize>>,
}

// SAFETY: the list is only touched under the lock.
unsafe impl Sync for SmallStacks {}

static SMALL_STACKS: SmallStacks = SmallStacks { lock: RawLock::new(), free: UnsafeCell::new(Vec::new()) };

/// A worker's stack: (lowest address, bytes).
pub fn small_stack() -> (usize, usize) {
    // SAFETY: under the lock.
    let free = SMALL_STACKS.lock.with(|| unsafe { (*SMALL_STACKS.free.get()).pop() });
    let lowest = free.or_else(|| sys::map(SMALL_STACK, libc::MAP_STACK).map(|stack| stack as usize));
    (lowest.unwrap_or_else(|| sys::abort("no memory for a worker's stack")), SMALL_STACK)
}

/// The stack on which the TCB `tcb` lies serves the next worker.
pub fn return_small_stack(tcb: usize) {
    // SAFETY: under the lock. The TCB lies in the stack's uppermost pages (glibc puts it there).
    SMALL_STACKS.lock.with(|| unsafe { (*SMALL_STACKS.free.get()).push(tcb / 4096 * 4096 + 4096 - SMALL_STACK) });
}

/// In a fork child: there is no monitor until the runtime starts again.
pub fn after_fork() {
    BELL.store(TICKING, Relaxed);
    SMALL_STACKS.lock.reset();
}
