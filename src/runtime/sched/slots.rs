//! Slots: the rights to run, each with its run queue, reactor and deadlines; and the switch from one green thread to the next.
//!
//! *Green threads* run on *workers* (kernel threads). A worker needs a *slot*, and there are as many slots as processors. The tension: a
//! slot must never wait while something is ready, but a worker may sit in the kernel or in a loop for as long as it likes. So the slot,
//! not the worker, owns what is ready, and the monitor can take it away from a worker that does not come back (`machine::owner` has the
//! owner word and its transitions).
//!
//! A worker enters the scheduler by a compare-exchange to Runtime. Where that fails its slot is gone: its green thread goes to the
//! injector and the worker becomes a spare.
//!
//! A switch leads straight from green thread to green thread where one is ready, else to the worker's own stack (the loop in
//! `kernel::worker`). What the leaving thread asks for (`Leaving`: park, yield, end) is done by `finish`, which runs first thing after the
//! switch, on the stack that was switched to: before the switch the leaving thread's stack is in use.
//!
//! A green thread that another one wakes is put first in line (`next`), for it finds its data in the cache; the one that it displaces goes
//! to the queue's end. So that two threads that wake each other for ever do not starve the queue, `next` goes before the queue at most
//! `TURNS` times in a row.
//!
//! The states of a slot's `idle` word:
//!
//! ```text
//!   from     to       by       who
//!   BUSY     ASLEEP   sleep    the slot's worker, before it looks for work a last time
//!   ASLEEP   ROUSED   rouse    any thread: one compare-exchange wins, and writes the wake-up
//!   any      BUSY     sleep    the slot's worker, when it has slept
//! ```
//!
//! The race between a slot that goes to sleep and work that is made ready:
//!
//! 1. The sleeper stores ASLEEP, adds to `UNUSED.idle`, passes a full fence, then loads the queues, `next`, the injector and the deadlines.
//! 2. A waker stores the green thread into a queue, passes a full fence, then loads `UNUSED.idle`, or the word of the slot it has in mind.
//! 3. At least one sees the other: the sleeper finds the work, or the waker finds ASLEEP and rouses the slot.

use crate::arch::{self, segment};
use crate::base::kept::Kept;
use crate::base::{clock, guard, summon};
use crate::runtime::machine::counts::count_one as count;
use crate::runtime::machine::owner::Owner;
use crate::runtime::machine::parts::{here, Green, Leaving, Slot, Worker};
use crate::runtime::machine::words::idle;
use crate::runtime::machine::{kernel_state, unusual};
use crate::runtime::news::timer::{self, TimerNode, Timers};
use crate::runtime::news::verify::{self, Verify};
use crate::runtime::news::waiter::{Batch, Waiter};
use crate::runtime::news::{poller, reactor};
use crate::runtime::sched::injector::INJECTOR;
use crate::runtime::sched::mask::apply_mask;
use crate::sys;
use crossbeam_queue::ArrayQueue;
use std::cell::Cell;
use std::sync::atomic::{fence, AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::*};

/// Does what the context that was left has asked for (`Leaving`). Called right after each switch, on the stack that was switched to, with
/// the guard up.
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

/// Puts a green thread last in line at the worker's slot, or into the injector.
fn queue_up(worker: &Worker, green: &'static Green) {
    match worker.slot() {
        Some(slot) => push(slot, green),
        None => inject(green),
    }
}

/// How many green threads a slot's queue holds; the injector takes what does not fit.
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
        idle: AtomicU32::new(idle::BUSY),
    })
}

/// Puts a green thread last in line at a slot, or into the injector where the queue is full, and calls for help. Called on any thread.
pub fn push(slot: &Slot, green: &'static Green) {
    if slot.queue.push(green as *const Green as usize).is_err() {
        INJECTOR.push(green);
    }
    call_for_help();
}

/// Puts a green thread first in line at a slot; the one that it displaces goes to the end.
#[inline]
fn push_next(slot: &Slot, green: &'static Green) {
    let displaced = slot.next.swap(green as *const Green as *mut Green, SeqCst);
    // SAFETY: null or a green thread, which is never freed; out of `next` it is in no queue.
    if let Some(displaced) = unsafe { displaced.as_ref() } {
        push(slot, displaced);
    }
    rouse_if_asleep(slot);
}

/// Takes the green thread that runs next out of this slot's queues or the injector. Called by the slot's worker in Runtime, also on the
/// stack of a green thread that leaves. Polls the reactor first where the monitor has asked for it; `sweep` is as for `poll`.
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

/// Makes ready what events and deadlines are for, and waits for them until `deadline_ns` (CLOCK_MONOTONIC; `Some(0)`: takes only what is
/// there; `None`: without an end). Returns how many events there were. Called by the slot's worker in Runtime.
///
/// `sweep` is called before the events' threads are made ready, and hands out the signals that came earlier. Callers on the stack of a
/// green thread that is about to be switched away pass a closure that does nothing: a signal for that thread would be handed to it as to a
/// running one, and it does not look again before it parks.
pub fn poll(slot: &Slot, deadline_ns: Option<u64>, sweep: impl Fn()) -> usize {
    let batch = Batch::new();
    let events = reactor::poll(slot.poller, deadline_ns, &batch);
    if events > 0 {
        sweep();
    }
    if slot.timers.earliest() != timer::NEVER {
        let now = sys::now_ns();
        if slot.timers.earliest() <= now {
            slot.timers.expire(now, &batch);
        }
    }
    look_again(&slot.verify, clock::now_ms(), verify::BUSY_HINT_MS);
    look_again(&slot.guesses, clock::now_ms(), verify::BUSY_GUESS_MS);
    batch.release(|waiter| {
        let green = Green::of_waiter(waiter);
        green.warm();
        push(slot, green);
    });
    events
}

/// Looks again at descriptors whose waits rest on hints for longer than `after_ms`.
#[inline]
fn look_again(set: &Verify, now_ms: u64, after_ms: u64) {
    let batch = Batch::new();
    set.look_again(now_ms, after_ms, &batch);
    batch.release(wake);
}

/// Makes ready what has come for a vacant slot, for other slots to run. Called by the monitor alone.
pub fn mind(slot: &Slot) {
    let batch = Batch::new();
    reactor::poll(slot.poller, Some(0), &batch);
    let now = sys::now_ns();
    if slot.timers.earliest() <= now {
        slot.timers.expire(now, &batch);
    }
    look_again(&slot.verify, clock::now_ms(), verify::IDLE_HINT_MS);
    look_again(&slot.guesses, clock::now_ms(), verify::IDLE_GUESS_MS);
    batch.release(|waiter| push(slot, Green::of_waiter(waiter)));
    if slot.has_ready() {
        spread(slot);
    }
}

/// Sleeps in the reactor until an event, a deadline or a wake-up. Called by the slot's worker, in Runtime and on its own stack, when
/// nothing is ready (steps 1 and 3 of the race above). Returns early where work is there.
pub fn sleep(slot: &Slot, sweep: impl Fn() + Copy) {
    slot.idle.store(idle::ASLEEP, SeqCst);
    UNUSED.idle.fetch_add(1, SeqCst);
    fence(SeqCst);
    // Guesses are looked at only when the reactor has no other work.
    let busy = anything_ready() || slot.guesses.earliest(0).is_some();
    if !busy || poll(slot, Some(0), sweep) == 0 && !anything_ready() {
        poll(slot, earliest(slot), sweep);
    }
    if slot.idle.swap(idle::BUSY, SeqCst) == idle::ASLEEP {
        UNUSED.idle.fetch_sub(1, SeqCst);
    }
    summon::awake();
}

/// The time until which the slot may sleep (CLOCK_MONOTONIC; `None`: without an end). Waits on guesses are verified here, before the sleep;
/// waits on hints shorten it.
fn earliest(slot: &Slot) -> Option<u64> {
    let now_ms = clock::now_ms();
    look_again(&slot.guesses, now_ms, verify::IDLE_GUESS_MS);
    let verification = slot.verify.earliest(verify::IDLE_HINT_MS).and_then(|_| {
        let now_ms = clock::set_now();
        look_again(&slot.verify, now_ms, verify::IDLE_HINT_MS);
        slot.verify.earliest(verify::IDLE_HINT_MS)
    });
    let earliest = slot.timers.earliest().min(verification.map_or(timer::NEVER, |ms| ms * 1_000_000));
    (earliest != timer::NEVER).then_some(earliest.max(1))
}

/// Wakes the slot that the caller believes to have: the monitor may have taken it meanwhile, and its new worker may sleep. Called after
/// what the slot is to find was stored by a sequentially consistent exchange or before a full fence (step 2 of the race above).
#[inline]
fn rouse_if_asleep(slot: &Slot) {
    if slot.idle.load(SeqCst) == idle::ASLEEP {
        rouse(slot);
    }
}

/// Wakes the slot if it is asleep; true: it was, and this call has woken it. Called on any thread.
pub fn rouse(slot: &Slot) -> bool {
    if slot.idle.compare_exchange(idle::ASLEEP, idle::ROUSED, SeqCst, Relaxed).is_err() {
        return false;
    }
    UNUSED.idle.fetch_sub(1, SeqCst);
    slot.poller.wake();
    true
}

/// How many slots run nothing. Written often: `SLOTS`, which is read at each turn, lies on another cache line.
#[repr(align(64))]
pub struct Unused {
    /// How many slots are ASLEEP, and not roused.
    idle: AtomicUsize,
    /// How many slots are vacant. Changed by the functions of `kernel` that vacate and assign slots.
    pub vacant: AtomicUsize,
}

/// The only value of `Unused`.
pub static UNUSED: Unused = Unused { idle: AtomicUsize::new(0), vacant: AtomicUsize::new(0) };

/// All slots, made when the runtime starts. A fork child makes others when it starts.
static SLOTS: Kept<AtomicPtr<Vec<Slot>>> = Kept::new(AtomicPtr::new(std::ptr::null_mut()));

/// All slots, in their numbers' order; none before the start.
#[inline]
pub fn slots() -> &'static [Slot] {
    // SAFETY: null or a list that is freed only by a start that fails, before another thread knows of it.
    unsafe { SLOTS.load(Acquire).as_ref() }.map_or(&[], |slots| slots.as_slice())
}

/// Slot `number`. Called once the slots are made; aborts for a number that none has.
pub fn slot(number: usize) -> &'static Slot {
    &slots()[number]
}

/// Makes the slots, or returns the error number. Called by the start, while there is one thread. `signals` is the descriptor that wakes a
/// slot that sleeps when there are signals to hand out.
pub fn make_slots(count: usize, signals: i32) -> Result<(), i32> {
    poller::make_all(count, signals)?;
    let slots: Result<Vec<Slot>, i32> = (0..count).map(new_slot).collect();
    SLOTS.store(Box::into_raw(Box::new(slots?)), Release);
    Ok(())
}

/// How many descriptors `make_slots` needs for so many slots, the one that it moves at the time included.
pub fn descriptors(slots: usize) -> usize {
    2 * slots + 2
}

/// Frees the slots of a start that has failed. Their descriptors are among the library's own, which `own_fds::close_all` closes.
pub fn unmake_slots() {
    let slots = SLOTS.swap(std::ptr::null_mut(), AcqRel);
    if !slots.is_null() {
        // SAFETY: `make_slots` has boxed them, and there is one thread, which uses none.
        drop(unsafe { Box::from_raw(slots) });
    }
    poller::unmake_all();
}

/// Is a green thread ready anywhere? Certain only for a caller that has passed a full fence since it said that it sleeps.
pub fn anything_ready() -> bool {
    !INJECTOR.is_empty() || slots().iter().any(|slot| slot.has_ready())
}

/// Does a slot sleep in its reactor? May be out of date.
#[inline]
pub fn any_asleep() -> bool {
    UNUSED.idle.load(Relaxed) > 0
}

/// Is a green thread ready that no slot has?
pub fn injected() -> bool {
    !INJECTOR.is_empty()
}

/// Takes a green thread from another slot's queue, the next slot's first. Called by a worker in Runtime that has nothing left.
pub fn steal(thief: &Slot) -> Option<&'static Green> {
    let all = slots();
    (1..all.len()).find_map(|step| all[(thief.number + step) % all.len()].pop())
}

/// Wakes a slot that sleeps, or has the monitor send a worker to a vacant one: more is ready than the caller's slot runs at once. Called
/// after the green thread is in a queue; passes the full fence of step 2 above, but where there is one slot and it does not sleep.
#[inline]
pub fn call_for_help() {
    if slots().len() == 1 && UNUSED.idle.load(Relaxed) == 0 {
        return;
    }
    fence(SeqCst);
    if UNUSED.idle.load(Relaxed) > 0 {
        slots().iter().any(rouse);
    } else if UNUSED.vacant.load(Relaxed) > 0 {
        summon::call();
    }
}

/// Puts a green thread into the injector and calls for help.
fn inject(green: &'static Green) {
    INJECTOR.push(green);
    call_for_help();
}

/// Makes a green thread ready that was parked: first in line at the caller's slot, in the injector where the caller has none. Called on any
/// thread by the one caller that has won its waiter (`Fired::Wake`, or `set_parked` that failed).
#[inline]
pub fn ready(green: &'static Green) {
    guard::enter_runtime();
    match here().and_then(|worker| worker.slot()) {
        Some(slot) => push_next(slot, green),
        None => inject(green),
    }
    guard::leave_runtime();
}

/// Makes the green thread ready whose parked waiter was fired. Called as `ready`.
#[inline]
pub fn wake(waiter: &'static Waiter) {
    ready(Green::of_waiter(waiter));
}

/// Makes a new green thread ready: last in line. Called by its creator, when all of it is written.
pub fn ready_last(green: &'static Green) {
    guard::enter_runtime();
    match here().and_then(|worker| worker.slot()) {
        Some(slot) => push(slot, green),
        None => inject(green),
    }
    guard::leave_runtime();
}

/// Prepares a resume: brings the kernel thread the mask and whatever else is `green`'s, and notes that it runs here. Called by the worker
/// in Runtime, right before the switch to `green`, with the guard up.
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

/// Leaves the running green thread for the next ready one, or for the worker's own stack. Returns when it is resumed, perhaps on another
/// kernel thread.
#[inline]
fn switch_away(me: &'static Green, leaving: Leaving) {
    guard::enter_runtime();
    let worker = me.worker();
    worker.leaving.set(leaving);
    if worker.unusual.load(Relaxed) & unusual::REGISTERS != 0 {
        kernel_state::keep_registers(worker, me);
    }
    let next = worker.enter().and_then(|slot| choose(slot, || {}));
    // SAFETY: `next` is ready and out of all queues, so its context is saved and no other worker resumes it; a worker's own context is
    // saved while it runs a green thread. `me`'s is saved at `me.sp`, and resumed only after `finish` has published it.
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

/// Finishes the switch on the resumed green thread's stack: called first thing there, with the guard up, and lowers it.
#[inline]
pub fn arrived(me: &'static Green) {
    if me.vessel.dying.get() {
        // Not a worker: the kernel thread that lets this vessel die.
        arch::guard_down();
        return;
    }
    let worker = me.worker();
    finish(worker);
    worker.leave();
    guard::leave_runtime();
}

/// Parks the running green thread `me`, whose waiter is armed and whose clauses are enqueued, until the waiter is fired. Called with no
/// lock held; the news are in the waiter.
#[inline]
pub fn park(me: &'static Green) {
    let worker = me.worker();
    count(&worker.counters.parks);
    switch_away(me, Leaving::Park(me));
}

/// Ends the running green thread. Returns only when its vessel serves another thread. `ended` is called on another stack and publishes the
/// end: from then on the vessel may be reused.
pub fn end(me: &'static Green, ended: fn(&'static Green)) {
    switch_away(me, Leaving::End(me, ended));
}

/// Puts the running green thread last in line and returns when its turn comes again.
pub fn step_back(me: &'static Green) {
    switch_away(me, Leaving::Yield(me));
}

/// Begins the leader's own stack, at the start: main steps aside, first in line, and returns on the leader, for `next` is not stolen.
pub fn begin_leader(main: &'static Green) {
    switch_away(main, Leaving::Return(main));
}

/// Puts a deadline of the running green thread's into its slot's heap; the caller removes it before its frame ends. The monitor may have
/// taken the slot meanwhile, and its new worker may sleep until a later deadline: that worker is woken.
pub fn insert_timer(me: &Green, node: &TimerNode) {
    let slot = me.worker().slot().unwrap_or(slot(0));
    slot.timers.insert(node);
    fence(SeqCst);
    rouse_if_asleep(slot);
}

/// The number of the slot in whose epoll the caller's descriptors are to be registered; 0 for a thread without a slot.
pub fn slot_number() -> usize {
    here().and_then(|worker| worker.slot()).map_or(0, |slot| slot.number)
}

/// Notes that a wait for this descriptor begins and is to be verified when it lasts (`guess`: soon). Called under its record's lock. As
/// with deadlines, the slot may have been taken, and may sleep: it is woken.
#[inline]
pub fn verify_later(fd: i32, guess: bool) {
    let slot = here().and_then(|worker| worker.slot()).unwrap_or(slot(0));
    let set = if guess { &slot.guesses } else { &slot.verify };
    if set.add(fd as usize, clock::now_ms()) {
        rouse_if_asleep(slot);
    }
}

/// Moves the green thread that is first in line to the queue, where other slots can take it, and wakes one of them. Called by the monitor
/// for a slot whose green thread computes.
pub fn spread(slot: &Slot) {
    if let Some(green) = slot.take_next() {
        push(slot, green);
    } else {
        call_for_help();
    }
}

/// Clears the counts in a fork child. Its slots are made anew when it starts; the parent's copies are left as they are.
pub fn after_fork() {
    let Unused { idle, vacant } = &UNUSED;
    [idle, vacant].into_iter().for_each(|count| count.store(0, Relaxed));
}

/// Says that main runs green from here on: its worker leaves the scheduler, which it never entered. Called by the start.
pub fn begin(main: &'static Green) {
    main.worker().leave();
}
