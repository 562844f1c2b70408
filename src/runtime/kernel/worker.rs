//! Workers: the loop on a worker's own stack, the spares, and how kernel threads come and go.
//!
//! The loop is where a worker is when nothing is ready: it steals, and sleeps in its slot's reactor. A worker whose slot was taken
//! becomes a spare once its green thread comes back; at most one spare waits, further ones retire, and the waiting one retires
//! when it is not wanted for a while. Their stacks stay for the next ones (`reserve`).
//! But who has forked a child that lives stays among the spares, and serves again meanwhile: the child
//! may have asked to die with the kernel thread that forked it (PR_SET_PDEATHSIG). The leader (the process's first kernel thread) never
//! retires: /proc/self would go empty. A spare that is woken for an offered slot (`call`) takes it by itself; if its owner was back before,
//! it waits on.
//!
//! Kernel threads ≤ workers + green threads stuck in the kernel + 3 (the monitor, the caretaker, and one that it makes or buries), and
//! those with children. `GATE` lets one vessel's birth happen at a time, which first waits until the one that died last is really gone.

use crate::base::lock::RawLock;
use crate::base::pages;
use crate::runtime::kernel::reserve::{self, Woken};
use crate::runtime::kernel::{caretaker, identity, shortage};
use crate::runtime::machine::{alternate, counts, kernel_state};
use crate::runtime::monitor;
use crate::runtime::sched::slots::{self, Slot, Worker, MODE, OFFERED, RUNTIME, VACANT};
use crate::runtime::signal::delivery;
use crate::runtime::trap::inline;
use crate::{arch, glibc, sys};
use std::cell::{Cell, UnsafeCell};
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::*};

static FAST_SWITCH: AtomicBool = AtomicBool::new(false);

/// May the switch load the fs base itself (FSGSBASE), or must it ask the kernel?
#[inline(always)]
pub fn fast_switch() -> bool {
    FAST_SWITCH.load(Relaxed)
}

pub fn set_fast_switch(fast: bool) {
    FAST_SWITCH.store(fast, Relaxed);
}

/// The loop; returns when the worker is to retire.
pub fn run(worker: &'static Worker) {
    worker.finish();
    loop {
        let Some(slot) = worker.slot() else {
            if become_spare(worker) {
                continue;
            }
            return outlive_children(worker);
        };
        let Some(green) = find(slot) else {
            delivery::close(worker);
            slot.sleep();
            if shortage::is_shared() && !slot.has_ready() {
                leave_slot(worker, slot);
            }
            continue;
        };
        slots::prepare(worker, green);
        // SAFETY: `green` is ready, so its context is saved and nobody else's; ours is resumed by the green thread that finds
        // nothing to switch to, on this kernel thread.
        unsafe { arch::switch(worker.sp.get(), *green.sp.get(), green.fs.get(), fast_switch()) };
        worker.finish();
    }
}

/// To come back to this one or another, as the monitor has it.
#[cold]
fn leave_slot(worker: &'static Worker, slot: &'static Slot) {
    worker.slot.set(std::ptr::null());
    vacate(slot);
}

fn vacate(slot: &Slot) {
    slot.owner.store(0, Release);
    VACANT.fetch_add(1, SeqCst);
}

/// The kernel thread that runs here is no worker any more: the monitor gives its slot to another. (A kernel thread made here
/// would inherit what this one has.)
pub fn resign(worker: &'static Worker) {
    arch::guard_up();
    if let Some(slot) = worker.enter() {
        leave_slot(worker, slot);
        monitor::call();
    }
    delivery::leave_runtime();
}

fn find(slot: &'static Slot) -> Option<&'static crate::runtime::machine::green::Green> {
    let found = slot.choose();
    if found.is_some() || slots::slots().len() == 1 {
        return found;
    }
    slot.poll(Some(0));
    slot.choose().or_else(|| slots::steal(slot))
}

const SLEEP: u32 = 0;
const TAKE_SLOT: u32 = 1;
const RETIRE: u32 = 2;
const COME: u32 = 3;

/// Workers without a slot that wait for one.
struct Spares {
    lock: RawLock,
    waiting: UnsafeCell<Vec<&'static Worker>>,
}

// SAFETY: the list is only touched under the lock.
unsafe impl Sync for Spares {}

static SPARES: Spares = Spares { lock: RawLock::new(), waiting: UnsafeCell::new(Vec::new()) };

impl Spares {
    fn with<R>(&self, work: impl FnOnce(&mut Vec<&'static Worker>) -> R) -> R {
        // SAFETY: under the lock.
        self.lock.with(|| unsafe { work(&mut *self.waiting.get()) })
    }

    fn has_room(&self, workers: usize) -> bool {
        self.with(|waiting| pages::reserve(waiting, workers))
    }
}

fn ring(worker: &Worker, what: u32) {
    worker.bell.store(what, Release);
    sys::futex_wake(worker.bell.as_ptr(), 1);
}

/// The program submits to rings of io_uring's. The kernel cancels what a kernel thread has submitted when that ends, so none does.
static RINGS: AtomicBool = AtomicBool::new(false);

pub fn note_rings() {
    RINGS.store(true, Relaxed);
}

/// Threads submit by instructions that nobody sees (liburing's) to rings that are not one thread's own.
static UNSEEN: AtomicBool = AtomicBool::new(false);

pub fn note_unseen_submissions() {
    UNSEEN.store(true, Relaxed);
}

/// Whose a worker's kernel thread is.
#[derive(Default)]
pub struct Bond {
    /// One green thread's alone (`alone`).
    spoilt: Cell<bool>,
    /// Requests of threads that are not bound have been submitted from it.
    has_submitted: Cell<bool>,
    /// The same, and it is one green thread's alone now.
    owes_answers: Cell<bool>,
}

impl Bond {
    /// A thread that is not bound submits from here.
    pub fn note_submission(&self) {
        self.has_submitted.set(true);
    }

    /// Its kernel thread serves one green thread from now on, and is not to end with that where it has submitted for others.
    pub fn tie(&self) {
        self.spoilt.set(true);
        self.owes_answers.set(self.has_submitted.get() || UNSEEN.load(Relaxed));
    }

    /// It has a new kernel thread.
    pub fn begin_anew(&self) {
        self.spoilt.set(false);
        self.has_submitted.set(false);
        self.owes_answers.set(false);
    }
}

/// May it have requests of the program's with the kernel? (Who makes a ring by instructions of its own is found by it.)
fn has_submitted() -> bool {
    if !RINGS.load(Relaxed) && sys::task::has_ring() {
        note_rings();
    }
    RINGS.load(Relaxed)
}

/// Waits for a slot. False: retire.
fn become_spare(worker: &'static Worker) -> bool {
    if worker.bond.spoilt.get() {
        return give_up(worker);
    }
    delivery::change_mask(worker, delivery::CLOSED);
    kernel_state::settle(worker);
    worker.stays.set(worker.is_leader || sys::has_children() || RINGS.load(Relaxed));
    let mut first = true;
    while wait_among_spares(worker) {
        if std::mem::take(&mut first) {
            monitor::call();
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

/// False: there are enough of them. (While user or group ids are being set none may end: all serve.)
fn wait_among_spares(worker: &'static Worker) -> bool {
    let may_end = !identity::is_asking();
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

/// What a spare is wanted for.
fn await_bell(worker: &Worker) -> u32 {
    const PATIENCE_NS: u64 = 200_000_000;
    let patience_ns = if worker.stays.get() { LOOKS_AGAIN_EVERY_NS } else { PATIENCE_NS };
    loop {
        let deadline = (!worker.is_leader).then(|| sys::now_ns() + patience_ns);
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

/// Spares that were woken for an offered slot and have not yet looked for it.
static COMING: AtomicU32 = AtomicU32::new(0);

/// A slot is offered: a spare comes for it; where there is none the monitor sends one.
pub fn call_spare() {
    match SPARES.with(|waiting| waiting.pop()) {
        Some(spare) => {
            COMING.fetch_add(1, SeqCst);
            ring(spare, COME);
        }
        None => monitor::call(),
    }
}

/// Is somebody on his way to an offered slot?
pub fn is_coming() -> bool {
    COMING.load(SeqCst) > 0
}

/// Takes an offered slot, if there is one: their owners may all be back.
fn take_offered(worker: &'static Worker) -> bool {
    let taken = slots::slots().iter().find(|slot| {
        let owner = slot.owner.load(Relaxed);
        let take = || slot.owner.compare_exchange(owner, worker.word(RUNTIME), AcqRel, Relaxed).is_ok();
        owner & MODE == OFFERED && take()
    });
    COMING.fetch_sub(1, SeqCst);
    if let Some(slot) = taken {
        worker.slot.set(slot);
        counts::hand_over();
    }
    taken.is_some()
}

/// A kernel thread that was one green thread's alone serves no other: it retires. The leader sleeps, for it must not end, and so does, as
/// long as there are rings, one that has submitted for others before.
fn give_up(worker: &'static Worker) -> bool {
    delivery::change_mask(worker, delivery::CLOSED);
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

const LOOKS_AGAIN_EVERY_NS: u64 = 1_000_000_000;

/// One that can serve no other has children, too.
fn outlive_children(worker: &'static Worker) {
    worker.bell.store(SLEEP, Relaxed);
    while sys::has_children() {
        sys::futex_wait(&worker.bell, SLEEP, Some(sys::now_ns() + LOOKS_AGAIN_EVERY_NS)).ok();
    }
}

fn remove(waiting: &mut Vec<&'static Worker>, worker: &Worker) -> bool {
    let before = waiting.len();
    waiting.retain(|other| !std::ptr::eq(*other, worker));
    waiting.len() != before
}

/// Gives a slot that nobody owns to a spare, or to a worker at rest; false: there is none for now, the slot is vacant.
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

pub fn some_are_vacant() -> bool {
    VACANT.load(Relaxed) > 0
}

/// A worker that comes to rest at once; false: there is no memory or no kernel thread to be had.
pub fn make_at_rest() -> bool {
    let Some((worker, stack)) = new_worker() else { return false };
    let old_mask = sys::set_signal_mask(delivery::CLOSED);
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

/// How many workers there have been beside the leader.
static HIRED: AtomicUsize = AtomicUsize::new(0);

/// A worker, its stack, and a place for it in each list that it may come to.
fn new_worker() -> Option<(&'static Worker, (usize, usize))> {
    let stack = monitor::small_stack()?;
    let worker = GATE.take_free().or_else(|| {
        let workers = HIRED.fetch_add(1, Relaxed) + 2;
        let room = pages::has_reserve() && GATE.has_room(workers) && SPARES.has_room(workers);
        if !room {
            HIRED.fetch_sub(1, Relaxed);
        }
        room.then(|| counts::enlist(Worker::new(false)))
    });
    let Some(worker) = worker else {
        monitor::keep_small_stack(stack.0);
        return None;
    };
    worker.signal_stack.set(stack.0 - alternate::STACK_BYTES);
    Some((worker, stack))
}

/// No kernel thread is to be had for it.
fn not_made(worker: &'static Worker, stack: (usize, usize)) {
    monitor::keep_small_stack(stack.0);
    GATE.add_free(worker);
}

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
            arch::guard_up();
            caretaker::work();
        }
        kept = reserve::keep(worker, !hired);
        if kept {
            counts::kernel_thread_gone();
        }
        if !hired {
            caretaker::has_worked();
        }
    }
    worker.thread.set(arch::tcb());
    GATE.bury_later(worker);
    std::ptr::null_mut()
}

/// Makes this kernel thread, on its own stack and TCB, the worker's.
pub fn settle(worker: &'static Worker) {
    worker.kernel_tid.store(sys::kernel_thread_id(), Relaxed);
    worker.thread.set(arch::tcb());
    worker.fs.set(arch::tcb());
    arch::set_worker_word(worker as *const Worker as usize);
    arch::guard_up();
    if !worker.is_leader {
        kernel_state::arrive(worker);
        alternate::give(worker);
    }
    inline::arm();
}

/// One birth at a time; and the one that died last is gone before the next is born.
pub struct Gate {
    lock: RawLock,
    dead: UnsafeCell<Vec<&'static Worker>>,
    /// What is left of the buried, for the next ones born.
    free: UnsafeCell<Vec<&'static Worker>>,
    /// A vessel's kernel thread: 1 from its birth until the kernel has let it go.
    pub vessel_alive: AtomicU32,
}

// SAFETY: the list is only touched under the lock.
unsafe impl Sync for Gate {}

pub static GATE: Gate = Gate {
    lock: RawLock::new(),
    dead: UnsafeCell::new(Vec::new()),
    free: UnsafeCell::new(Vec::new()),
    vessel_alive: AtomicU32::new(0),
};

/// Serialises births beyond the short `lock`: it is held while a kernel thread is made, and is the tid of who has it.
static BIRTH: BirthLock = BirthLock(AtomicU32::new(0));

struct BirthLock(AtomicU32);

impl BirthLock {
    fn lock(&self) {
        let me = sys::kernel_thread_id() as u32;
        while let Err(owner) = self.0.compare_exchange(0, me, Acquire, Relaxed) {
            sys::futex_wait(&self.0, owner, Some(sys::now_ns() + 1_000_000)).ok();
        }
    }

    fn is_mine(&self) -> bool {
        self.0.load(Relaxed) == sys::kernel_thread_id() as u32
    }

    fn unlock(&self) {
        self.0.store(0, Release);
        sys::futex_wake(self.0.as_ptr(), 1);
    }
}

impl Gate {
    /// Waits for its turn, and until nobody is dying. Inside, the guard is up: others wait here in the kernel, so who is inside may wait
    /// in the kernel only, also for a lock of libc's.
    pub fn enter(&self) {
        arch::guard_up();
        BIRTH.lock();
        self.bury();
        self.await_vessel();
    }

    pub fn leave(&self) {
        BIRTH.unlock();
        delivery::leave_runtime();
    }

    /// Does the caller have it closed already (in a handler that has interrupted it)?
    pub fn is_mine(&self) -> bool {
        BIRTH.is_mine()
    }

    /// A fork that libc knows nothing of: its child finds libc's locks as they are, so nobody of ours makes or buries a kernel thread
    /// meanwhile. (But for the one who forks: in a handler that has interrupted it.)
    pub fn while_closed<R>(&self, fork: impl FnOnce() -> R) -> R {
        if BIRTH.is_mine() {
            return fork();
        }
        self.enter();
        let result = fork();
        self.leave();
        result
    }

    /// The kernel thread of the last vessel has gone for good.
    fn await_vessel(&self) {
        while self.vessel_alive.load(Acquire) != 0 {
            sys::futex_wait_shared(&self.vessel_alive, 1);
        }
    }

    /// Takes leave of the dead, and waits until they are gone.
    pub fn bury(&self) {
        // SAFETY: under the lock.
        let next = || unsafe { (*self.dead.get()).pop() };
        while let Some(worker) = self.lock.with(next) {
            glibc::join_thread_by(worker.thread.get() as libc::pthread_t, caretaker::while_it_waits);
            monitor::return_small_stack(worker.thread.get());
            counts::kernel_thread_gone();
            self.add_free(worker);
        }
    }

    /// Have the lists room for so many workers?
    fn has_room(&self, workers: usize) -> bool {
        // SAFETY: under the lock.
        self.lock
            .with(|| unsafe { [&self.dead, &self.free].iter().all(|list| pages::reserve(&mut *list.get(), workers)) })
    }

    fn take_free(&self) -> Option<&'static Worker> {
        // SAFETY: under the lock.
        self.lock.with(|| unsafe { (*self.free.get()).pop() })
    }

    /// A worker without a kernel thread waits for its next one.
    fn add_free(&self, worker: &'static Worker) {
        // SAFETY: under the lock.
        self.lock.with(|| unsafe { (*self.free.get()).push(worker) });
    }

    fn bury_later(&self, worker: &'static Worker) {
        // SAFETY: under the lock.
        self.lock.with(|| unsafe { (*self.dead.get()).push(worker) });
        monitor::call();
    }

    pub fn has_dead(&self) -> bool {
        // SAFETY: under the lock.
        self.lock.with(|| unsafe { !(*self.dead.get()).is_empty() })
    }

    fn after_fork(&self) {
        self.lock.reset();
        BIRTH.0.store(0, Relaxed);
        self.vessel_alive.store(0, Relaxed);
        // SAFETY: the child has one thread.
        unsafe {
            (*self.dead.get()).clear();
            // They are in no list of the child's statistics, by which time, rights and signals find their workers.
            (*self.free.get()).clear();
        }
    }
}

/// In a fork child: no worker but ours is left.
pub fn after_fork() {
    SPARES.lock.reset();
    COMING.store(0, Relaxed);
    HIRED.store(0, Relaxed);
    // SAFETY: the child has one thread.
    unsafe { (*SPARES.waiting.get()).clear() };
    GATE.after_fork();
    reserve::after_fork();
}
