//! The scheduler: green threads, workers and slots.
//!
//! *Green threads* run on *workers* (kernel threads); a worker needs a *slot*, the right to run, and there are as many slots as
//! processors. The tension: a slot must never wait while something is ready, but a worker may sit in the kernel or in a
//! loop for as long as it likes. So the slot, not the worker, owns the run queue, the timers and the reactor, and the monitor
//! can take it away from a worker that does not come back.
//!
//! The owner word of a slot says who has it and what he is doing:
//!
//! ```text
//!     vacant (0)        nobody: work that shows up makes the monitor send a worker
//!     worker | RUNTIME  in the scheduler, or asleep in the reactor: the slot cannot be taken
//!     worker | GREEN    runs a green thread: the monitor may take the slot (one compare-exchange)
//!     worker | CALL     the same, inside a call that may block: the monitor takes it sooner
//!     worker | OFFERED  the same, inside a call known to block: a spare is on its way
//! ```
//!
//! A worker enters the scheduler by compare-exchange GREEN → RUNTIME; when that fails its slot is gone, and its green thread goes
//! to the injector while the worker becomes a spare. Leaving is a plain store, for nobody takes a slot in RUNTIME.
//!
//! A switch goes straight from green thread to green thread where one is ready, else to the worker's own stack (the loop in
//! `worker.rs`). What the leaver wanted (park, yield, end) is done by whoever runs next (`finish`), on another stack: before that the
//! leaver's stack is in use.
//!
//! Woken by a green thread: first in line at its slot (`next`), for it finds its data warm; the one it displaces goes to the
//! queue's end. A pair that wakes each other for ever must not starve the queue: after some turns `next` waits in line too.

use crate::arch;
use crate::base::own_fds;
use crate::figures::Counters;
use crate::runtime::births::thread;
use crate::runtime::kernel::worker;
use crate::runtime::machine::counts::{self, count_one as count};
use crate::runtime::machine::green::{current, Green};
use crate::runtime::machine::kernel_state;
use crate::runtime::monitor;
use crate::runtime::news::timer::{TimerNode, Timers};
use crate::runtime::news::verify::{self, Verify};
use crate::runtime::sched::injector::INJECTOR;
use crate::runtime::signal::{delivery, handler, sweep};
use crate::runtime::waiting::readiness;
use crate::runtime::waiting::wait::Batch;
use crate::sys::{self, older};
use crossbeam_queue::ArrayQueue;
use std::cell::{Cell, UnsafeCell};
use std::sync::atomic::{fence, AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::*};

pub const RUNTIME: usize = 0;
pub const GREEN: usize = 1;
pub const CALL: usize = 2;
pub const OFFERED: usize = 3;
pub const MODE: usize = 3;

/// The right to run, and what belongs to it.
#[repr(align(128))]
pub struct Slot {
    pub number: usize,
    pub owner: AtomicUsize,
    next: AtomicPtr<Green>,
    queue: ArrayQueue<usize>,
    epoll: i32,
    wake: i32,
    pub timers: Timers,
    /// Waits that rest on hints, and those that rest on guesses.
    verify: Verify,
    guesses: Verify,
    /// Resumes so far: how the monitor sees whether anything moves.
    pub switches: AtomicU64,
    turns_of_next: Cell<u32>,
    /// A free vessel, for the next thread that is made here (`vessel`).
    pub vessel: AtomicPtr<Green>,
    /// The monitor asks whoever runs here to let others run.
    pub attention: AtomicBool,
    /// The monitor asks for a look into the reactor, though the queue is never empty.
    pub poll_due: AtomicBool,
    /// 0 busy, 1 asleep in the reactor, 2 the same and woken.
    idle: AtomicU32,
}

// SAFETY: the cells are touched by the slot's owner in RUNTIME only.
unsafe impl Sync for Slot {}

/// A kernel thread that runs green threads.
#[repr(align(128))]
pub struct Worker {
    /// Its own context while it runs a green thread.
    pub sp: UnsafeCell<*mut u8>,
    pub fs: Cell<usize>,
    /// The slot it believes it has; only its own kernel thread, or who wakes it as a spare, writes it.
    pub slot: Cell<*const Slot>,
    leaving: Cell<Leaving>,
    pub kernel_tid: AtomicI32,
    pub is_leader: bool,
    /// What the kernel thread's signal mask is now; its own kernel thread writes it.
    pub mask: AtomicU64,
    pub signal_stack: Cell<usize>,
    /// Whose its kernel thread is.
    pub bond: worker::Bond,
    /// It does not retire: it is the leader, or a child of its own lives. Written before it waits among the spares.
    pub stays: Cell<bool>,
    /// A spare sleeps on it.
    pub bell: AtomicU32,
    /// A worker at rest: 1 until the kernel has let its last kernel thread go (`reserve`).
    pub kernel_thread_alive: AtomicU32,
    /// Its pthread_t.
    pub thread: Cell<usize>,
    /// What a switch must see to, beside the mask (`kernel_state`).
    pub unusual: AtomicU32,
    /// Who ran here last, or does, and from when on its CPU time is to be charged to it.
    pub charged: AtomicPtr<Green>,
    pub since_ns: AtomicU64,
    /// What it counts, for the statistics.
    pub counters: Counters,
}

// SAFETY: as said at the fields.
unsafe impl Sync for Worker {}
// SAFETY: as above.
unsafe impl Send for Worker {}

/// What the context that was left wanted.
#[derive(Clone, Copy)]
pub enum Leaving {
    Nothing,
    Park(&'static Green),
    Yield(&'static Green),
    Return(&'static Green),
    End(&'static Green),
}

impl Worker {
    pub fn new(is_leader: bool) -> &'static Worker {
        Box::leak(Box::new(Worker {
            sp: UnsafeCell::new(std::ptr::null_mut()),
            fs: Cell::new(0),
            slot: Cell::new(std::ptr::null()),
            leaving: Cell::new(Leaving::Nothing),
            kernel_tid: AtomicI32::new(0),
            is_leader,
            mask: AtomicU64::new(0),
            signal_stack: Cell::new(0),
            bond: worker::Bond::default(),
            stays: Cell::new(false),
            bell: AtomicU32::new(0),
            kernel_thread_alive: AtomicU32::new(0),
            thread: Cell::new(0),
            unusual: AtomicU32::new(0),
            charged: AtomicPtr::new(std::ptr::null_mut()),
            since_ns: AtomicU64::new(0),
            counters: counts::none(),
        }))
    }

    /// Whose counters these are.
    pub fn of_counters(counters: &'static Counters) -> &'static Worker {
        let place = counters as *const Counters as usize - std::mem::offset_of!(Worker, counters);
        // SAFETY: only workers have enlisted counters, and workers are never freed.
        unsafe { &*(place as *const Worker) }
    }

    /// The owner word of its slot.
    #[inline]
    pub fn word(&self, mode: usize) -> usize {
        self as *const Worker as usize | mode
    }

    /// Whose owner word that is; `None`: the slot is vacant.
    pub fn of_word(owner: usize) -> Option<&'static Worker> {
        // SAFETY: null, or a worker's address; workers are never freed.
        unsafe { ((owner & !MODE) as *const Worker).as_ref() }
    }

    /// The slot it believes it has.
    #[inline]
    pub fn slot(&self) -> Option<&'static Slot> {
        // SAFETY: null or a slot; slots are never freed.
        unsafe { self.slot.get().as_ref() }
    }

    /// Into the scheduler; `None`: the slot was taken. (A call that was said to block may come upon a hook inside libc, and park.)
    #[inline]
    pub fn enter(&self) -> Option<&'static Slot> {
        let slot = self.slot()?;
        let from = |mode| slot.owner.compare_exchange(self.word(mode), self.word(RUNTIME), AcqRel, Relaxed).is_ok();
        if from(GREEN) || from(CALL) || from(OFFERED) {
            return Some(slot);
        }
        self.slot.set(std::ptr::null());
        None
    }

    /// Out of the scheduler, into the green thread that was resumed.
    #[inline]
    fn leave(&self) {
        if let Some(slot) = self.slot() {
            slot.owner.store(self.word(GREEN), Release);
        }
    }

    /// Takes up a slot that was given to it (or is its from the start).
    pub fn take_up(&self, slot: &'static Slot) {
        self.slot.set(slot);
        slot.owner.store(self.word(RUNTIME), Release);
    }

    /// Does what the context that was left wanted. Runs on another stack, right after the switch.
    #[inline]
    pub fn finish(&self) {
        match self.leaving.replace(Leaving::Nothing) {
            Leaving::Park(green) => {
                if !green.waiter.set_parked() {
                    self.queue_up(green);
                }
            }
            Leaving::Yield(green) => self.queue_up(green),
            Leaving::Return(green) => self.slot().map_or_else(|| inject(green), |slot| slot.push_next(green)),
            Leaving::End(green) => thread::ended(green),
            Leaving::Nothing => {}
        }
    }

    /// To the end of the line.
    fn queue_up(&self, green: &'static Green) {
        match self.slot() {
            Some(slot) => slot.push(green),
            None => inject(green),
        }
    }
}

impl Slot {
    /// The marks of the wake descriptor and of that which tells of signals, among the events.
    pub const WAKE: u64 = u64::MAX;
    pub const SIGNAL: u64 = u64::MAX - 1;
    const QUEUE: usize = 1024;
    /// How often in a row `next` goes before the queue.
    const TURNS: u32 = 16;

    fn new(number: usize, signals: i32) -> Result<Slot, i32> {
        let epoll = own_fds::keep(older::epoll_create()?);
        let wake = own_fds::keep(older::event_fd()?);
        sys::epoll_control(epoll, libc::EPOLL_CTL_ADD, wake, libc::EPOLLIN as u32, Slot::WAKE)?;
        // An edge for each one that comes, at one of the slots that sleep.
        let edges = (libc::EPOLLIN | libc::EPOLLET | libc::EPOLLEXCLUSIVE) as u32;
        sys::epoll_control(epoll, libc::EPOLL_CTL_ADD, signals, edges, Slot::SIGNAL)?;
        Ok(Slot {
            number,
            owner: AtomicUsize::new(0),
            next: AtomicPtr::new(std::ptr::null_mut()),
            queue: ArrayQueue::new(Slot::QUEUE),
            epoll,
            wake,
            timers: Timers::new(),
            verify: Verify::new().ok_or(libc::ENOMEM)?,
            guesses: Verify::new().ok_or(libc::ENOMEM)?,
            switches: AtomicU64::new(0),
            turns_of_next: Cell::new(0),
            vessel: AtomicPtr::new(std::ptr::null_mut()),
            attention: AtomicBool::new(false),
            poll_due: AtomicBool::new(false),
            idle: AtomicU32::new(0),
        })
    }

    pub fn epoll(&self) -> i32 {
        self.epoll
    }

    pub fn clear_wake(&self) {
        sys::event_clear(self.wake);
    }

    /// To the end of the line; what does not fit goes to the injector.
    pub fn push(&self, green: &'static Green) {
        if self.queue.push(green as *const Green as usize).is_err() {
            INJECTOR.push(green);
        }
        call_for_help();
    }

    /// First in line; the one it displaces goes to the end.
    #[inline]
    fn push_next(&self, green: &'static Green) {
        let displaced = self.next.swap(green as *const Green as *mut Green, SeqCst);
        // SAFETY: null or a green thread.
        if let Some(displaced) = unsafe { displaced.as_ref() } {
            self.push(displaced);
        }
        self.rouse_if_asleep();
    }

    #[inline]
    pub fn take_next(&self) -> Option<&'static Green> {
        if self.next.load(Relaxed).is_null() {
            return None;
        }
        // SAFETY: null or a green thread, which is ours once it is out of the place.
        unsafe { self.next.swap(std::ptr::null_mut(), AcqRel).as_ref() }
    }

    #[inline]
    pub fn pop(&self) -> Option<&'static Green> {
        if self.queue.is_empty() {
            return None; // (Without the fence of a `pop` in vain.)
        }
        // SAFETY: only green threads are pushed.
        self.queue.pop().map(|green| unsafe { &*(green as *const Green) })
    }

    pub fn has_ready(&self) -> bool {
        !self.queue.is_empty() || !self.next.load(Relaxed).is_null()
    }

    /// Who runs next, from what is ready here; the reactor is looked at when the monitor says that it is time.
    #[inline]
    pub fn choose(&self) -> Option<&'static Green> {
        if self.poll_due.load(Relaxed) {
            self.poll_due.store(false, Relaxed);
            self.poll(Some(0));
            if let Some(green) = INJECTOR.pop() {
                self.push(green);
            }
        }
        let turns = self.turns_of_next.get();
        if turns < Slot::TURNS {
            if let Some(green) = self.take_next() {
                self.turns_of_next.set(turns + 1);
                return Some(green);
            }
        }
        self.turns_of_next.set(0);
        self.pop().or_else(|| self.take_next()).or_else(|| INJECTOR.pop())
    }

    /// Takes in events and deadlines until `deadline_ns` (`Some(0)`: only what is there); how many events.
    pub fn poll(&self, deadline_ns: Option<u64>) -> usize {
        let batch = Batch::new();
        let events = readiness::poll(self, deadline_ns, &batch);
        // (On a green thread's stack, which is about to be left, a signal of its own would be lost.)
        if events > 0 && current().is_none() {
            sweep::sweep();
        }
        if self.timers.earliest() != crate::runtime::news::timer::NEVER {
            let now = sys::now_ns();
            if self.timers.earliest() <= now {
                self.timers.expire(now, &batch);
            }
        }
        self.verify.look_again(monitor::now_ms(), verify::BUSY_PATIENCE_MS);
        self.guesses.look_again(monitor::now_ms(), verify::BUSY_GUESS_MS);
        batch.release(|green| {
            green.warm();
            self.push(green);
        });
        events
    }

    /// The monitor takes in what has come for a vacant slot, for others to run.
    pub fn mind(&self) {
        let batch = Batch::new();
        readiness::poll(self, Some(0), &batch);
        let now = sys::now_ns();
        if self.timers.earliest() <= now {
            self.timers.expire(now, &batch);
        }
        self.verify.look_again(monitor::now_ms(), verify::IDLE_PATIENCE_MS);
        self.guesses.look_again(monitor::now_ms(), verify::IDLE_GUESS_MS);
        batch.release(|green| self.push(green));
        if self.has_ready() {
            spread(self);
        }
    }

    /// Asleep until an event, a deadline or a wake-up; looks once more for work after it has said that it sleeps.
    pub fn sleep(&self) {
        self.idle.store(1, SeqCst);
        IDLE.fetch_add(1, SeqCst);
        fence(SeqCst);
        // Guesses are looked at only when the reactor has no other work.
        let busy = anything_ready() || self.guesses.earliest(0).is_some();
        if !busy || self.poll(Some(0)) == 0 && !anything_ready() {
            self.poll(self.earliest());
        }
        if self.idle.swap(0, SeqCst) == 1 {
            IDLE.fetch_sub(1, SeqCst);
        }
        monitor::awake();
    }

    /// Until when the slot may sleep. What waits on a guess is looked at before, what waits on hints after a while.
    fn earliest(&self) -> Option<u64> {
        let now_ms = monitor::now_ms();
        self.guesses.look_again(now_ms, verify::IDLE_GUESS_MS);
        let verification = self.verify.earliest(verify::IDLE_PATIENCE_MS).and_then(|_| {
            let now_ms = monitor::set_now();
            self.verify.look_again(now_ms, verify::IDLE_PATIENCE_MS);
            self.verify.earliest(verify::IDLE_PATIENCE_MS)
        });
        let earliest =
            self.timers.earliest().min(verification.map_or(crate::runtime::news::timer::NEVER, |ms| ms * 1_000_000));
        (earliest != crate::runtime::news::timer::NEVER).then_some(earliest.max(1))
    }

    /// For whoever believes that the slot is his: it may have been taken, and its new worker may sleep. (What it is to find
    /// was put there by a sequentially consistent exchange, or a fence came between.)
    #[inline]
    fn rouse_if_asleep(&self) {
        if self.idle.load(SeqCst) == 1 {
            self.rouse();
        }
    }

    /// Wakes the slot if it is asleep.
    pub fn rouse(&self) -> bool {
        if self.idle.compare_exchange(1, 2, SeqCst, Relaxed).is_err() {
            return false;
        }
        IDLE.fetch_sub(1, SeqCst);
        sys::event_signal(self.wake);
        true
    }

    pub fn is_idle(&self) -> bool {
        self.idle.load(Relaxed) != 0
    }

    /// It was in use, and nobody has it: there may be descriptors and deadlines that are waited for.
    pub fn is_left(&self) -> bool {
        self.owner.load(Relaxed) == 0 && self.switches.load(Relaxed) > 0
    }
}

/// How many slots sleep.
static IDLE: AtomicUsize = AtomicUsize::new(0);

/// All slots, made when the runtime starts.
static SLOTS: AtomicPtr<Vec<Slot>> = AtomicPtr::new(std::ptr::null_mut());

#[inline]
pub fn slots() -> &'static [Slot] {
    // SAFETY: null or a list that is never freed.
    unsafe { SLOTS.load(Acquire).as_ref() }.map_or(&[], |slots| slots.as_slice())
}

pub fn slot(number: usize) -> &'static Slot {
    &slots()[number]
}

/// Makes the slots.
pub fn make_slots(count: usize) -> Result<(), i32> {
    let signals = sweep::watch()?;
    let slots: Result<Vec<Slot>, i32> = (0..count).map(|number| Slot::new(number, signals)).collect();
    SLOTS.store(Box::into_raw(Box::new(slots?)), Release);
    Ok(())
}

/// How many descriptors `make_slots` wants, the one that it moves at the time included.
pub fn descriptors(slots: usize) -> usize {
    2 * slots + 2
}

/// The start has failed. (Their descriptors are among our own, which are closed.)
pub fn unmake_slots() {
    sweep::unwatch();
    let slots = SLOTS.swap(std::ptr::null_mut(), AcqRel);
    if !slots.is_null() {
        // SAFETY: made by `make_slots`, and nothing runs that knows them.
        drop(unsafe { Box::from_raw(slots) });
    }
}

pub fn anything_ready() -> bool {
    !INJECTOR.is_empty() || slots().iter().any(|slot| slot.has_ready())
}

/// Does a slot sleep in its reactor?
#[inline]
pub fn any_asleep() -> bool {
    IDLE.load(Relaxed) > 0
}

/// Is something ready that no slot has?
pub fn injected() -> bool {
    !INJECTOR.is_empty()
}

/// Takes work from the other slots' queues.
pub fn steal(thief: &Slot) -> Option<&'static Green> {
    let all = slots();
    (1..all.len()).find_map(|step| all[(thief.number + step) % all.len()].pop())
}

/// There is more ready than its slot will run at once: wakes one that sleeps, or has a worker sent to a vacant one.
#[inline]
pub fn call_for_help() {
    if slots().len() == 1 && IDLE.load(Relaxed) == 0 {
        return;
    }
    fence(SeqCst);
    if IDLE.load(Relaxed) > 0 {
        slots().iter().any(|slot| slot.rouse());
    } else if VACANT.load(Relaxed) > 0 {
        monitor::call();
    }
}

/// How many slots nobody has.
pub static VACANT: AtomicUsize = AtomicUsize::new(0);

fn inject(green: &'static Green) {
    INJECTOR.push(green);
    call_for_help();
}

/// The worker on whose kernel thread this runs, if any: a green thread's, or the one whose own stack this is.
#[inline]
pub fn here() -> Option<&'static Worker> {
    match current() {
        Some(green) => Some(green.worker()),
        // SAFETY: null or a worker; workers are never freed.
        None => unsafe { (arch::worker_word() as *const Worker).as_ref() },
    }
}

/// Makes a thread ready that was parked, or is new.
#[inline]
pub fn ready(green: &'static Green) {
    arch::guard_up();
    match here().and_then(|worker| worker.slot()) {
        Some(slot) => slot.push_next(green),
        None => inject(green),
    }
    delivery::leave_runtime();
}

/// Makes a new thread ready: it waits in line.
pub fn ready_last(green: &'static Green) {
    arch::guard_up();
    match here().and_then(|worker| worker.slot()) {
        Some(slot) => slot.push(green),
        None => inject(green),
    }
    delivery::leave_runtime();
}

/// Readies a resume: from now on `green` is what runs here.
#[inline]
pub fn prepare(worker: &'static Worker, green: &'static Green) {
    green.worker.store(worker as *const Worker as *mut Worker, Relaxed);
    count(&worker.counters.switches);
    if let Some(slot) = worker.slot() {
        slot.switches.store(slot.switches.load(Relaxed) + 1, Relaxed);
    }
    apply_mask(worker, green);
    if (worker.unusual.load(Relaxed) | green.unusual.load(Relaxed)) != 0 {
        kernel_state::change(worker, green);
    }
    worker.charged.store(green as *const Green as *mut Green, Relaxed);
}

/// Gives the kernel thread the green thread's signal mask, where it has another.
#[inline]
pub fn apply_mask(worker: &Worker, green: &Green) {
    if green.mask.get() != worker.mask.load(Relaxed) {
        delivery::change_mask(worker, green.mask.get());
    }
}

/// Leaves the running green thread for the next ready one, or for the worker's own stack; comes back when resumed.
#[inline]
fn switch_away(me: &'static Green, leaving: Leaving) {
    arch::guard_up();
    let worker = me.worker();
    worker.leaving.set(leaving);
    if worker.unusual.load(Relaxed) & kernel_state::REGISTERS != 0 {
        kernel_state::keep_registers(worker, me);
    }
    let next = worker.enter().and_then(|slot| slot.choose());
    // SAFETY: `next` is ready, so its context is saved and nobody else's; a worker's own context is saved while it runs a
    // green thread. Ours is saved at `me.sp`, and resumed only after `finish` has published us.
    unsafe {
        match next {
            Some(next) => {
                prepare(worker, next);
                arch::switch(me.sp.get(), *next.sp.get(), next.fs.get(), worker::fast_switch());
            }
            None => arch::switch(me.sp.get(), *worker.sp.get(), worker.fs.get(), worker::fast_switch()),
        }
    }
    arrived(me);
}

/// The first thing a resumed green thread does.
#[inline]
pub fn arrived(me: &'static Green) {
    if me.dying.get() {
        // Not a worker: the kernel thread that lets this vessel die.
        arch::guard_down();
        return;
    }
    let worker = me.worker();
    worker.finish();
    worker.leave();
    delivery::leave_runtime();
}

/// Parks the running green thread, whose waiter is armed, until it is fired.
#[inline]
pub fn park(me: &'static Green) {
    let worker = me.worker();
    count(&worker.counters.parks);
    switch_away(me, Leaving::Park(me));
}

/// Ends the running green thread: never comes back, unless as another one on the same vessel.
pub fn end(me: &'static Green) {
    switch_away(me, Leaving::End(me));
}

/// Lets the others run; where none of them is ready here, the kernel's other threads, for which the program may be waiting, too.
pub fn yield_now() {
    let Some(me) = current() else { return sys::yield_processor() };
    if handler::is_bound(me) {
        return sys::yield_processor();
    }
    let (worker, switches) = (me.worker(), me.worker().counters.switches.load(Relaxed));
    if let Some(slot) = worker.slot() {
        slot.attention.store(false, Relaxed);
        slot.poll_due.store(true, Relaxed);
    }
    switch_away(me, Leaving::Yield(me));
    if std::ptr::eq(worker, me.worker()) && worker.counters.switches.load(Relaxed) == switches + 1 {
        sys::yield_processor();
    }
    delivery::look(me);
}

/// At the start: the leader's own stack begins, and main comes back to the leader, for nobody else takes what is first in line.
pub fn begin_leader(main: &'static Green) {
    switch_away(main, Leaving::Return(main));
}

/// After a call that found what it wanted at once: lets others run when the monitor has asked for it.
#[inline]
pub fn breathe() {
    if let Some(me) = current() {
        if me.worker().slot().is_none_or(|slot| slot.attention.load(Relaxed)) {
            yield_now();
        }
    }
}

/// Puts a deadline of this thread's where its worker looks. The slot may have been taken meanwhile, and whoever has it now
/// may sleep until a later deadline: he is woken.
pub fn insert_timer(me: &Green, node: &TimerNode) {
    let slot = me.worker().slot().unwrap_or(slot(0));
    slot.timers.insert(node);
    fence(SeqCst);
    slot.rouse_if_asleep();
}

/// The number of the slot where this thread's descriptors are to be registered.
pub fn slot_number() -> usize {
    here().and_then(|worker| worker.slot()).map_or(0, |slot| slot.number)
}

/// A wait for this descriptor begins, and is to be verified when it lasts. Under its record's lock. As with deadlines, the slot may
/// have been taken, and may sleep.
#[inline]
pub fn verify_later(fd: i32, guess: bool) {
    let slot = here().and_then(|worker| worker.slot()).unwrap_or(slot(0));
    let set = if guess { &slot.guesses } else { &slot.verify };
    if set.add(fd as usize, monitor::now_ms()) {
        slot.rouse_if_asleep();
    }
}

/// Moves what waits first in line to where others can take it, and wakes one of them: the monitor's help for a slot whose
/// green thread computes.
pub fn spread(slot: &Slot) {
    if let Some(green) = slot.take_next() {
        slot.push(green);
    } else {
        call_for_help();
    }
}

/// In a fork child: nothing of this is left.
pub fn after_fork() {
    INJECTOR.after_fork();
    IDLE.store(0, Relaxed);
    VACANT.store(0, Relaxed);
}

/// main runs green from here on: its worker leaves the scheduler that it was never in.
pub fn begin(main: &'static Green) {
    main.worker().leave();
}
