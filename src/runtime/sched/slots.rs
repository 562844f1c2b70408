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

use crate::arch::{self, segment};
use crate::base::{clock, guard, summon};
use crate::runtime::machine::counts::count_one as count;
use crate::runtime::machine::owner::Owner;
use crate::runtime::machine::parts::{here, Green, Leaving, Slot, Worker};
use crate::runtime::machine::{kernel_state, unusual};
use crate::runtime::news::timer::{TimerNode, Timers};
use crate::runtime::news::verify::{self, Verify};
use crate::runtime::news::waiter::{Batch, Waiter};
use crate::runtime::news::{poller, reactor};
use crate::runtime::sched::injector::INJECTOR;
use crate::runtime::sched::mask::apply_mask;
use crate::sys;
use crossbeam_queue::ArrayQueue;
use std::cell::Cell;
use std::sync::atomic::{fence, AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::*};

/// Does what the context that was left wanted. Runs on another stack, right after the switch.
#[inline]
pub fn finish(worker: &Worker) {
    match worker.leaving.replace(Leaving::Nothing) {
        Leaving::Park(green) => {
            if !green.waiter.set_parked() {
                queue_up(worker, green);
            }
        }
        Leaving::Yield(green) => queue_up(worker, green),
        Leaving::Return(green) => worker.slot().map_or_else(|| inject(green), |slot| push_next(slot, green)),
        Leaving::End(green, ended) => ended(green),
        Leaving::Nothing => {}
    }
}

/// To the end of the line.
fn queue_up(worker: &Worker, green: &'static Green) {
    match worker.slot() {
        Some(slot) => push(slot, green),
        None => inject(green),
    }
}

const QUEUE: usize = 1024;
/// How often in a row `next` goes before the queue.
const TURNS: u32 = 16;

fn new_slot(number: usize) -> Result<Slot, i32> {
    Ok(Slot {
        number,
        owner: Owner::new(),
        next: AtomicPtr::new(std::ptr::null_mut()),
        queue: ArrayQueue::new(QUEUE),
        poller: poller::of(number),
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

/// To the end of the line; what does not fit goes to the injector.
pub fn push(slot: &Slot, green: &'static Green) {
    if slot.queue.push(green as *const Green as usize).is_err() {
        INJECTOR.push(green);
    }
    call_for_help();
}

/// First in line; the one it displaces goes to the end.
#[inline]
fn push_next(slot: &Slot, green: &'static Green) {
    let displaced = slot.next.swap(green as *const Green as *mut Green, SeqCst);
    // SAFETY: null or a green thread.
    if let Some(displaced) = unsafe { displaced.as_ref() } {
        push(slot, displaced);
    }
    rouse_if_asleep(slot);
}

/// Who runs next, from what is ready here; the reactor is looked at when the monitor says that it is time.
#[inline]
pub fn choose(slot: &Slot, sweep: impl Fn()) -> Option<&'static Green> {
    if slot.poll_due.load(Relaxed) {
        slot.poll_due.store(false, Relaxed);
        poll(slot, Some(0), sweep);
        if let Some(green) = INJECTOR.pop() {
            push(slot, green);
        }
    }
    let turns = slot.turns_of_next.get();
    if turns < TURNS {
        if let Some(green) = slot.take_next() {
            slot.turns_of_next.set(turns + 1);
            return Some(green);
        }
    }
    slot.turns_of_next.set(0);
    slot.pop().or_else(|| slot.take_next()).or_else(|| INJECTOR.pop())
}

/// Takes in events and deadlines until `deadline_ns` (`Some(0)`: only what is there); returns how many events. Before they reach
/// anybody `sweep` hands out the signals that came earlier. It does nothing on the stack of a green thread that is about to be switched
/// away: a signal for that very thread would be handed to it as to a running one, and it does not look again before it parks.
pub fn poll(slot: &Slot, deadline_ns: Option<u64>, sweep: impl Fn()) -> usize {
    let batch = Batch::new();
    let events = reactor::poll(slot.poller, deadline_ns, &batch);
    if events > 0 {
        sweep();
    }
    if slot.timers.earliest() != crate::runtime::news::timer::NEVER {
        let now = sys::now_ns();
        if slot.timers.earliest() <= now {
            slot.timers.expire(now, &batch);
        }
    }
    look_again(&slot.verify, clock::now_ms(), verify::BUSY_PATIENCE_MS);
    look_again(&slot.guesses, clock::now_ms(), verify::BUSY_GUESS_MS);
    batch.release(|waiter| {
        let green = Green::of_waiter(waiter);
        green.warm();
        push(slot, green);
    });
    events
}

/// Looks again at descriptors whose waits rest on hints for longer than `patience_ms`.
#[inline]
fn look_again(set: &Verify, now_ms: u64, patience_ms: u64) {
    let batch = Batch::new();
    set.look_again(now_ms, patience_ms, &batch);
    batch.release(wake);
}

/// The monitor takes in what has come for a vacant slot, for others to run.
pub fn mind(slot: &Slot) {
    let batch = Batch::new();
    reactor::poll(slot.poller, Some(0), &batch);
    let now = sys::now_ns();
    if slot.timers.earliest() <= now {
        slot.timers.expire(now, &batch);
    }
    look_again(&slot.verify, clock::now_ms(), verify::IDLE_PATIENCE_MS);
    look_again(&slot.guesses, clock::now_ms(), verify::IDLE_GUESS_MS);
    batch.release(|waiter| push(slot, Green::of_waiter(waiter)));
    if slot.has_ready() {
        spread(slot);
    }
}

/// Asleep until an event, a deadline or a wake-up; looks once more for work after it has said that it sleeps.
pub fn sleep(slot: &Slot, sweep: impl Fn() + Copy) {
    slot.idle.store(1, SeqCst);
    IDLE.fetch_add(1, SeqCst);
    fence(SeqCst);
    // Guesses are looked at only when the reactor has no other work.
    let busy = anything_ready() || slot.guesses.earliest(0).is_some();
    if !busy || poll(slot, Some(0), sweep) == 0 && !anything_ready() {
        poll(slot, earliest(slot), sweep);
    }
    if slot.idle.swap(0, SeqCst) == 1 {
        IDLE.fetch_sub(1, SeqCst);
    }
    summon::awake();
}

/// Until when the slot may sleep. What waits on a guess is looked at before, what waits on hints after a while.
fn earliest(slot: &Slot) -> Option<u64> {
    let now_ms = clock::now_ms();
    look_again(&slot.guesses, now_ms, verify::IDLE_GUESS_MS);
    let verification = slot.verify.earliest(verify::IDLE_PATIENCE_MS).and_then(|_| {
        let now_ms = clock::set_now();
        look_again(&slot.verify, now_ms, verify::IDLE_PATIENCE_MS);
        slot.verify.earliest(verify::IDLE_PATIENCE_MS)
    });
    let earliest =
        slot.timers.earliest().min(verification.map_or(crate::runtime::news::timer::NEVER, |ms| ms * 1_000_000));
    (earliest != crate::runtime::news::timer::NEVER).then_some(earliest.max(1))
}

/// For whoever believes that the slot is his: it may have been taken, and its new worker may sleep. (What it is to find
/// was put there by a sequentially consistent exchange, or a fence came between.)
#[inline]
fn rouse_if_asleep(slot: &Slot) {
    if slot.idle.load(SeqCst) == 1 {
        rouse(slot);
    }
}

/// Wakes the slot if it is asleep.
pub fn rouse(slot: &Slot) -> bool {
    if slot.idle.compare_exchange(1, 2, SeqCst, Relaxed).is_err() {
        return false;
    }
    IDLE.fetch_sub(1, SeqCst);
    slot.poller.wake();
    true
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

/// Makes the slots; `signals` is the descriptor that wakes those that sleep when there are signals to hand out.
pub fn make_slots(count: usize, signals: i32) -> Result<(), i32> {
    poller::make_all(count, signals)?;
    let slots: Result<Vec<Slot>, i32> = (0..count).map(new_slot).collect();
    SLOTS.store(Box::into_raw(Box::new(slots?)), Release);
    Ok(())
}

/// How many descriptors `make_slots` wants, the one that it moves at the time included.
pub fn descriptors(slots: usize) -> usize {
    2 * slots + 2
}

/// The start has failed. (Their descriptors are among our own, which are closed.)
pub fn unmake_slots() {
    let slots = SLOTS.swap(std::ptr::null_mut(), AcqRel);
    if !slots.is_null() {
        // SAFETY: made by `make_slots`, and nothing runs that knows them.
        drop(unsafe { Box::from_raw(slots) });
    }
    poller::unmake_all();
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
        slots().iter().any(rouse);
    } else if VACANT.load(Relaxed) > 0 {
        summon::call();
    }
}

/// How many slots nobody has.
pub static VACANT: AtomicUsize = AtomicUsize::new(0);

fn inject(green: &'static Green) {
    INJECTOR.push(green);
    call_for_help();
}

/// Makes a thread ready that was parked, or is new.
#[inline]
pub fn ready(green: &'static Green) {
    guard::enter_runtime();
    match here().and_then(|worker| worker.slot()) {
        Some(slot) => push_next(slot, green),
        None => inject(green),
    }
    guard::leave_runtime();
}

/// Makes the thread ready whose parked waiter was fired.
#[inline]
pub fn wake(waiter: &'static Waiter) {
    ready(Green::of_waiter(waiter));
}

/// Makes a new thread ready: it waits in line.
pub fn ready_last(green: &'static Green) {
    guard::enter_runtime();
    match here().and_then(|worker| worker.slot()) {
        Some(slot) => push(slot, green),
        None => inject(green),
    }
    guard::leave_runtime();
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

/// Leaves the running green thread for the next ready one, or for the worker's own stack; comes back when resumed.
#[inline]
fn switch_away(me: &'static Green, leaving: Leaving) {
    guard::enter_runtime();
    let worker = me.worker();
    worker.leaving.set(leaving);
    if worker.unusual.load(Relaxed) & unusual::REGISTERS != 0 {
        kernel_state::keep_registers(worker, me);
    }
    let next = worker.enter().and_then(|slot| choose(slot, || {}));
    // SAFETY: `next` is ready, so its context is saved and nobody else's; a worker's own context is saved while it runs a
    // green thread. Ours is saved at `me.sp`, and resumed only after `finish` has published us.
    unsafe {
        match next {
            Some(next) => {
                prepare(worker, next);
                arch::switch(me.sp.get(), *next.sp.get(), next.fs.get(), segment::fast_switch());
            }
            None => arch::switch(me.sp.get(), *worker.sp.get(), worker.fs.get(), segment::fast_switch()),
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
    finish(worker);
    worker.leave();
    guard::leave_runtime();
}

/// Parks the running green thread, whose waiter is armed, until it is fired.
#[inline]
pub fn park(me: &'static Green) {
    let worker = me.worker();
    count(&worker.counters.parks);
    switch_away(me, Leaving::Park(me));
}

/// Ends the running green thread: never comes back, unless as another one on the same vessel. `ended` publishes the end, on another stack.
pub fn end(me: &'static Green, ended: fn(&'static Green)) {
    switch_away(me, Leaving::End(me, ended));
}

/// Goes to the end of the line: the running green thread comes back when it is its turn again.
pub fn step_back(me: &'static Green) {
    switch_away(me, Leaving::Yield(me));
}

/// At the start: the leader's own stack begins, and main comes back to the leader, for nobody else takes what is first in line.
pub fn begin_leader(main: &'static Green) {
    switch_away(main, Leaving::Return(main));
}

/// Puts a deadline of this thread's where its worker looks. The slot may have been taken meanwhile, and whoever has it now
/// may sleep until a later deadline: he is woken.
pub fn insert_timer(me: &Green, node: &TimerNode) {
    let slot = me.worker().slot().unwrap_or(slot(0));
    slot.timers.insert(node);
    fence(SeqCst);
    rouse_if_asleep(slot);
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
    if set.add(fd as usize, clock::now_ms()) {
        rouse_if_asleep(slot);
    }
}

/// Moves what waits first in line to where others can take it, and wakes one of them: the monitor's help for a slot whose
/// green thread computes.
pub fn spread(slot: &Slot) {
    if let Some(green) = slot.take_next() {
        push(slot, green);
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
