//! Workers: the loop on a worker's own stack, the spares, and how kernel threads come and go.
//!
//! The loop is where a worker is when nothing is ready: it steals, and sleeps in its slot's reactor. A worker's way:
//!
//! ```text
//!   where it is            moved on by
//!   at rest (`reserve`)    a hire: with a slot it serves, without one it is the caretaker
//!   serves (`run`)         its slot was taken, and its green thread has left it: becomes a spare
//!   spare                  TAKE_SLOT: serves. COME: serves if a slot is still offered (`call`), otherwise waits on
//!                          RETIRE, or `LONGEST_SPARE_NS` without a bell: retires
//!   retires                waits while it has children, then rests again; without room there its kernel thread ends (`gate`)
//! ```
//!
//! At most one spare waits; further ones retire. Three kinds of worker stay among the spares beside that one, and serve again meanwhile:
//! one whose kernel thread has forked a child that lives, for the child may have asked to die with the kernel thread that forked it
//! (PR_SET_PDEATHSIG); one that may have submitted to a ring of io_uring's (`RINGS`); and the leader, the process's first kernel thread,
//! which never retires: /proc/self would go empty.
//!
//! Kernel threads ≤ workers + green threads stuck in the kernel + 3 (the monitor, the caretaker, and one that it makes or buries), and
//! those with children. `GATE` lets one vessel's birth happen at a time, which first waits until the one that died last is really gone.

use crate::arch::segment::fast_switch;
use crate::base::kept::Kept;
use crate::base::{guard, pages, signal_set, summon};
use crate::runtime::kernel::gate::GATE;
use crate::runtime::kernel::reserve::{self, Woken};
use crate::runtime::kernel::{asking, caretaker, shortage, small_stacks};
use crate::runtime::machine::parts::{Green, Slot, Worker};
use crate::runtime::machine::{alternate, counts, kernel_state};
use crate::runtime::sched::mask;
use crate::runtime::sched::slots::{self, UNUSED};
use crate::runtime::sched::spares::{remove, ring, COME, RETIRE, SLEEP, SPARES, TAKE_SLOT};
use crate::runtime::signal::{sweep, worker_stack};
use crate::runtime::trap::inline;
use crate::{arch, glibc, sys};
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};

/// Runs the loop of a worker, on its own stack; returns when the worker is to retire. A switch leads from here to a green thread, and back
/// when that finds nothing to switch to.
pub fn run(worker: &'static Worker) {
    slots::finish(worker);
    loop {
        let Some(slot) = worker.slot() else {
            if become_spare(worker) {
                continue;
            }
            return outlive_children(worker);
        };
        let Some(green) = find(slot) else {
            mask::close(worker);
            slots::sleep(slot, sweep::sweep);
            if shortage::is_shared() && !slot.has_ready() {
                leave_slot(worker, slot);
            }
            continue;
        };
        slots::prepare(worker, green);
        // SAFETY: `green` is ready, so its context is saved and no other worker resumes it; this worker's is resumed by the green thread
        // that finds nothing to switch to, on this kernel thread.
        unsafe { arch::switch(worker.sp.get(), *green.sp.get(), green.fs.get(), fast_switch()) };
        slots::finish(worker);
    }
}

/// Leaves a slot vacant and becomes a spare: the monitor gives this worker the slot again, or another.
#[cold]
fn leave_slot(worker: &'static Worker, slot: &'static Slot) {
    worker.slot.set(std::ptr::null());
    vacate(slot);
}

/// Notes that the slot has no owner. The monitor looks for vacant slots at each tick.
fn vacate(slot: &Slot) {
    slot.owner.vacate();
    UNUSED.vacant.fetch_add(1, SeqCst);
}

/// Leaves the slot of a kernel thread that is no worker any more: the monitor gives the slot to another. The next worker is not made here,
/// for its kernel thread would inherit what this one has. Called on the worker's kernel thread, by the green thread that runs there.
pub fn resign(worker: &'static Worker) {
    guard::enter_runtime();
    if let Some(slot) = worker.enter() {
        leave_slot(worker, slot);
        summon::call();
    }
    guard::leave_runtime();
}

/// Finds a green thread to run: the slot's own, or one that an event makes ready now, or another slot's.
fn find(slot: &'static Slot) -> Option<&'static Green> {
    let found = slots::choose(slot, sweep::sweep);
    if found.is_some() || slots::slots().len() == 1 {
        return found;
    }
    slots::poll(slot, Some(0), sweep::sweep);
    slots::choose(slot, sweep::sweep).or_else(|| slots::steal(slot))
}

/// True: the program submits to rings of io_uring's. The kernel cancels what a kernel thread has submitted when that ends, so none ends.
/// A fork child has its parent's rings.
static RINGS: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));

/// Notes that the program has a ring. Called by hooks.
pub fn note_rings() {
    RINGS.store(true, Relaxed);
}

/// May this kernel thread have requests of the program's with the kernel? A ring that was made without a hook is found, too.
fn has_submitted() -> bool {
    if !RINGS.load(Relaxed) && sys::task::has_ring() {
        note_rings();
    }
    RINGS.load(Relaxed)
}

/// Waits for a slot, among the spares. False: the worker is to retire.
fn become_spare(worker: &'static Worker) -> bool {
    if worker.bond.spoilt.get() {
        return give_up(worker);
    }
    mask::change_mask(worker, signal_set::CLOSED);
    kernel_state::settle(worker);
    worker.stays.set(worker.is_leader || sys::has_children() || RINGS.load(Relaxed));
    let mut first = true;
    while wait_among_spares(worker) {
        if std::mem::take(&mut first) {
            summon::call();
        }
        match await_bell(worker) {
            TAKE_SLOT => return true,
            COME if take_offered(worker) => return true,
            COME => {}
            _ if has_submitted() => worker.stays.set(true),
            _ => return false,
        }
    }
    has_submitted() && become_spare(worker)
}

/// Puts the worker among the spares. False: there are enough of them. While user or group ids are being set no kernel thread may end: then
/// all of them wait.
fn wait_among_spares(worker: &'static Worker) -> bool {
    let may_end = !asking::is_asking();
    SPARES.with(|waiting| {
        if may_end && !worker.stays.get() && !waiting.is_empty() {
            return false;
        }
        if let Some(place) = waiting.iter().position(|other| may_end && !other.stays.get()) {
            ring(waiting.remove(place), RETIRE);
        }
        worker.bell.store(SLEEP, Relaxed);
        waiting.push(worker);
        true
    })
}

/// Sleeps on the worker's bell until a spare is wanted, and returns what for: TAKE_SLOT, COME or RETIRE. A time that runs out is a RETIRE,
/// unless the worker was chosen at that moment: the spares' lock decides, under which a spare is taken out of the list.
fn await_bell(worker: &Worker) -> u32 {
    /// How long a spare waits before it retires, in nanoseconds.
    const LONGEST_SPARE_NS: u64 = 200_000_000;
    let longest_ns = if worker.stays.get() { LOOKS_AGAIN_EVERY_NS } else { LONGEST_SPARE_NS };
    loop {
        let deadline = (!worker.is_leader).then(|| sys::now_ns() + longest_ns);
        let timed_out = sys::futex_wait(&worker.bell, SLEEP, deadline) == Err(libc::ETIMEDOUT);
        let rung = worker.bell.load(Acquire);
        if rung != SLEEP {
            return rung;
        }
        if timed_out && !(worker.stays.get() && sys::has_children()) && SPARES.with(|waiting| remove(waiting, worker)) {
            return RETIRE;
        }
    }
}

/// Takes an offered slot, if there still is one: the owners may all be back.
fn take_offered(worker: &'static Worker) -> bool {
    let taken = slots::slots().iter().find(|slot| slot.owner.take_offered(worker.id()));
    SPARES.came();
    if let Some(slot) = taken {
        worker.slot.set(slot);
        counts::hand_over();
    }
    taken.is_some()
}

/// Retires a kernel thread that was one green thread's alone, for it may serve no other. The leader sleeps for ever, since it must not end,
/// and a worker that has submitted for others before sleeps as long as there are rings.
fn give_up(worker: &'static Worker) -> bool {
    mask::change_mask(worker, signal_set::CLOSED);
    worker.bell.store(SLEEP, Relaxed);
    if worker.is_leader {
        loop {
            sys::futex_wait(&worker.bell, SLEEP, None).ok();
        }
    }
    while worker.bond.owes_answers.get() && sys::task::has_ring() {
        sys::futex_wait(&worker.bell, SLEEP, Some(sys::now_ns() + LOOKS_AGAIN_EVERY_NS)).ok();
    }
    false
}

/// How often a kernel thread that must not end yet looks whether it may, in nanoseconds: no bell tells of the end of a child or a ring.
const LOOKS_AGAIN_EVERY_NS: u64 = 1_000_000_000;

/// Keeps a kernel thread that is to retire alive while it has children: their parent-death signal is sent when it ends.
fn outlive_children(worker: &'static Worker) {
    worker.bell.store(SLEEP, Relaxed);
    while sys::has_children() {
        sys::futex_wait(&worker.bell, SLEEP, Some(sys::now_ns() + LOOKS_AGAIN_EVERY_NS)).ok();
    }
}

/// Gives a slot that has no owner to a spare, or to a worker at rest. Called by the monitor. False: there is none for now, and the slot is
/// vacant.
pub fn give(slot: &'static Slot) -> bool {
    if let Some(spare) = SPARES.with(|waiting| waiting.pop()) {
        spare.take_up(slot);
        ring(spare, TAKE_SLOT);
        return true;
    }
    if reserve::wake(Some(slot)) == Woken::Yes {
        return true;
    }
    vacate(slot);
    false
}

/// Are slots vacant? Asked without a lock.
pub fn some_are_vacant() -> bool {
    UNUSED.vacant.load(Relaxed) > 0
}

/// Makes a worker that comes to rest at once (`supply`). Calls the program's allocator, by glibc. False: there is no memory or no kernel
/// thread to be had.
pub fn make_at_rest() -> bool {
    let Some((worker, stack)) = new_worker() else { return false };
    let old_mask = sys::set_signal_mask(signal_set::CLOSED);
    // Its kernel thread runs nothing, and is not counted.
    let made = glibc::create_thread(worker_main, worker as *const Worker as *mut c_void, Some(stack));
    sys::set_signal_mask(old_mask);
    match made {
        // SAFETY: its descriptor, on a stack that workers keep.
        Ok(thread) => reserve::note_newest(unsafe { *glibc::tid_field(thread as usize) }),
        Err(_) => not_made(worker, stack),
    }
    made.is_ok()
}

/// The workers that were hired.
struct Hired {
    /// How many workers there have been beside the leader.
    count: AtomicUsize,
}

static HIRED: Hired = Hired { count: AtomicUsize::new(0) };

/// A worker, its stack, and a place for it in each list that it may come to.
fn new_worker() -> Option<(&'static Worker, (usize, usize))> {
    let stack = small_stacks::small_stack()?;
    let worker = GATE.take_free().or_else(|| {
        let workers = HIRED.count.fetch_add(1, Relaxed) + 2;
        let room = pages::has_reserve() && GATE.has_room(workers) && SPARES.has_room(workers);
        if !room {
            HIRED.count.fetch_sub(1, Relaxed);
        }
        room.then(|| counts::enlist(Worker::new(false)))
    });
    let Some(worker) = worker else {
        small_stacks::keep_small_stack(stack.0);
        return None;
    };
    worker.signal_stack.set(stack.0 - alternate::STACK_BYTES);
    Some((worker, stack))
}

/// Takes back a worker and its stack, for which no kernel thread was to be had.
fn not_made(worker: &'static Worker, stack: (usize, usize)) {
    small_stacks::keep_small_stack(stack.0);
    GATE.add_free(worker);
}

/// Runs on a worker's kernel thread from its birth to its end: rests, does what it was hired for, and rests again, as long as the reserve
/// keeps it. While it rests it is not counted (`counts::kernel_thread_gone`).
extern "C" fn worker_main(argument: *mut c_void) -> *mut c_void {
    // SAFETY: `make_at_rest` passes a worker, which is never freed.
    let worker: &'static Worker = unsafe { &*(argument as *const Worker) };
    worker.kernel_tid.store(sys::kernel_thread_id(), Relaxed);
    let mut kept = reserve::keep(worker, false);
    reserve::is_made();
    if !kept {
        counts::kernel_thread_born(); // Its burial counts it out.
    }
    while kept {
        reserve::rest(worker);
        let hired = worker.slot().is_some();
        if hired {
            settle(worker);
            run(worker);
        } else {
            worker.kernel_tid.store(sys::kernel_thread_id(), Relaxed);
            guard::enter_runtime();
            inline::arm_own();
            if let Some(duties) = caretaker::duties() {
                (duties.work)();
            }
        }
        kept = reserve::keep(worker, !hired);
        if kept {
            counts::kernel_thread_gone();
        }
        if !hired {
            if let Some(duties) = caretaker::duties() {
                (duties.has_worked)();
            }
        }
    }
    worker.thread.set(arch::tcb());
    GATE.bury_later(worker);
    std::ptr::null_mut()
}

/// Makes the calling kernel thread, on its own stack and TCB, the worker's. The guard is up when it returns.
pub fn settle(worker: &'static Worker) {
    worker.kernel_tid.store(sys::kernel_thread_id(), Relaxed);
    worker.thread.set(arch::tcb());
    worker.fs.set(arch::tcb());
    arch::set_worker_word(worker as *const Worker as usize);
    guard::enter_runtime();
    if !worker.is_leader {
        kernel_state::arrive(worker);
        worker_stack::give(worker);
    }
    inline::arm();
}

/// In a fork child: no worker but the calling one is left, and it is none any more.
pub fn after_fork() {
    let Hired { count } = &HIRED;
    count.store(0, Relaxed);
}
