//! The monitor: a kernel thread that runs nothing green, and watches the workers, which do.
//!
//! The monitor looks at each slot every tick. A slot whose worker has resumed no thread since the last tick runs one green thread for
//! long. While no other thread waits the slot stays as it is. Else the thread is first asked to make room (`attention`: heeded by the
//! next hook that finds what it wants at once), and if that does not help the slot goes to another worker: a *hand-over*. So
//! spinning, computing, an unhooked call or a lock inside libc costs a slot milliseconds only.
//!
//! The monitor's look at a slot's owner word, and what follows:
//!
//! ```text
//!   mode       seen                                             then                             next look
//!   (vacant)   work anywhere                                    give it to a worker              (rest)
//!   (vacant)   work anywhere, no worker is to be had            take in its events, share        a tick later
//!   Runtime    idle                                             nothing                          (rest)
//!   Runtime    at work                                          nothing                          a tick later
//!   Offered    no spare is coming                               hand over                        STEP_NS later
//!   Call       held for a tick, or others wait                  attention; at the second look,   STEP_NS later
//!                                                               after STEP_NS, hand over
//!   Green      others wait, the worker used CPU time            attention; after                 a tick later
//!                                                               UNTIL_TAKEN_NS, hand over
//!   Green      others wait, the worker used none                hand over                        STEP_NS later
//!   either     as above, but the worker waits for a processor   hand over after NO_PROCESSOR_NS  a tick later
//!   any        no thread waits, blocked for STANDS_LONG_NS      hand over                        a tick later
//! ```
//!
//! Computing and blocking in the kernel are told apart by the worker's CPU time: a worker that used none since the last look is blocked,
//! and loses the slot at this second look. A worker that waits for a processor uses no CPU time either, and keeps the slot (`runnable`):
//! the next worker would wait for one as well. So a thread that computes loses its slot only once it has had a tick of CPU time, or after
//! 20 ms. Where one thread blocks, the next in line often will (a barrier, a slow disk): the next `QUICK_LOOKS` looks follow each other
//! after `STEP_NS` instead of a tick, unless the worker that lost the slot last has used CPU time since: then it was not blocked, only
//! waiting for a processor.
//!
//! A call that may block (`call`) is looked at again a step later, not a tick: if the thread is still there, and sleeps, the slot goes. The
//! slot goes after a tick even if no thread waits yet, so that a thread that becomes ready finds a worker awake.
//!
//! While every slot sleeps the monitor sleeps too; the thread that wakes a slot calls it. `SUMMONS.bell`:
//!
//! ```text
//!   from      to        by
//!   TICKING   ASLEEP    sleep, after TICKS_UNTIL_SLEEP ticks at which nothing ran
//!   ASLEEP    other     summon, which wakes the monitor
//!   any       TICKING   sleep, at its end; a fork child
//! ```

use crate::audit::away::Away;
use crate::audit::green;
use crate::base::clock::{now_ms, set_now};
use crate::base::signal_set;
use crate::base::summon::{ASLEEP, SUMMONS, TICKING};
use crate::runtime::births::{duties, end, yard};
use crate::runtime::kernel::runnable::{self, Runnable};
use crate::runtime::kernel::{reserve, shortage, worker};
use crate::runtime::machine::counts;
use crate::runtime::machine::owner::{Mode, Seen};
use crate::runtime::machine::parts::{Slot, Worker};
use crate::runtime::news::reactor;
use crate::runtime::news::waiter::Batch;
use crate::runtime::sched::slots::{self, UNUSED};
use crate::runtime::sched::spares;
use crate::runtime::signal::{cpu_timer, delivery, sweep};
use crate::runtime::trap::inline;
use crate::runtime::waiting::cancel;
use crate::{glibc, sys};
use std::ffi::c_void;
use std::sync::atomic::Ordering::*;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize};

/// How often the monitor looks while anything runs.
const TICK_NS: u64 = 1_000_000;
/// How soon the monitor looks again at a call that may block.
const STEP_NS: u64 = 50_000;
/// Ticks in one green thread until its slot is taken.
const TICKS_UNTIL_TAKEN: u32 = 3;
/// `TICKS_UNTIL_TAKEN` in nanoseconds.
const UNTIL_TAKEN_NS: u64 = TICKS_UNTIL_TAKEN as u64 * TICK_NS;
/// How many looks follow after `STEP_NS` once a worker was found blocked.
const QUICK_LOOKS: u32 = 8;
/// Looks in a row at which a slot had no worker, until threads that block in calls of their own step aside.
const LOOKS_UNTIL_TURN: u32 = 8;
/// Ticks at which nothing ran until the monitor sleeps without an end.
const TICKS_UNTIL_SLEEP: u32 = 5;
/// How long a thread may block in a call that has no hook while no other thread waits.
const STANDS_LONG_NS: u64 = 20_000_000;
/// How long a worker may wait for a processor until its slot is taken all the same. Its thread may yield to the kernel again and again, and
/// come to a tick of CPU time late on a busy machine, while the thread that it spins for waits for this slot.
const NO_PROCESSOR_NS: u64 = 20_000_000;

/// The monitor's memory of a slot: since when, and in how many looks, it has seen one green thread run there.
#[derive(Clone, Copy, Default)]
struct Watch {
    /// The slot's count of switches at the last look: another count means another thread, or the same one anew.
    switches: u64,
    /// When the present thread was seen first, CLOCK_MONOTONIC.
    since_ns: u64,
    /// Looks at the present thread while others waited.
    looks: u32,
    /// The worker's CPU time at the last look that asked for it; 0: none has.
    cpu_ns: u64,
    /// The worker's CPU time at the first look that asked for it.
    first_cpu_ns: u64,
    /// Quick looks that are left.
    quick_looks: u32,
    /// The worker that was found blocked last: its kernel thread, and that one's CPU time then.
    blocked: (i32, u64),
}

impl Watch {
    /// Has this kernel thread used no CPU time since the last look that asked? False at the first look that asks.
    fn stands_still(&mut self, kernel_tid: i32) -> bool {
        let before_ns = std::mem::replace(&mut self.cpu_ns, sys::cpu_ns_of(kernel_tid));
        if before_ns == 0 {
            self.first_cpu_ns = self.cpu_ns;
        }
        before_ns != 0 && before_ns == self.cpu_ns
    }

    /// Has the worker, as far as was seen, computed for a tick?
    fn has_computed(&self) -> bool {
        self.cpu_ns.saturating_sub(self.first_cpu_ns) >= TICK_NS
    }

    /// Begins quick looks: a blocked worker loses the slot, and the next may block as well.
    fn look_quickly(&mut self, kernel_tid: i32) {
        (self.quick_looks, self.blocked) = (QUICK_LOOKS, (kernel_tid, sys::cpu_ns_of(kernel_tid)));
    }

    /// Is this a quick look? Counts it.
    fn is_quick(&mut self) -> bool {
        if self.quick_looks > 0 {
            let (kernel_tid, cpu_ns) = self.blocked;
            self.quick_looks = if sys::cpu_ns_of(kernel_tid) == cpu_ns { self.quick_looks - 1 } else { 0 };
        }
        self.quick_looks > 0
    }
}

/// How soon a slot wants to be looked at again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pace {
    /// Nothing runs there: the slot need not be looked at before the monitor is called.
    Rest,
    /// The slot is to be looked at after `TICK_NS`.
    Tick,
    /// The slot is to be looked at after `STEP_NS`.
    Step,
}

/// The monitor, and what it finds at a look.
struct Monitor {
    /// Whether the monitor's thread may begin. A futex.
    ///
    /// ```text
    ///   from   to      by
    ///   any    WAIT    start, before the thread is made
    ///   WAIT   BEGIN   begin: the start has succeeded
    ///   WAIT   GO      dismiss: the start has failed, and the thread ends
    /// ```
    may_begin: AtomicU32,
    /// The monitor's pthread_t, for `dismiss`.
    thread: AtomicUsize,
    /// The monitor's kernel thread; 0 before it runs.
    kernel_tid: AtomicI32,
    /// True: some slot could not be given to a worker at this look.
    is_short: AtomicBool,
    /// The number of the slot that the next look begins with, and that so is given a worker first: the slot after the one that got the last
    /// worker.
    next: AtomicUsize,
}

static MONITOR: Monitor = Monitor {
    may_begin: AtomicU32::new(0),
    thread: AtomicUsize::new(0),
    kernel_tid: AtomicI32::new(0),
    is_short: AtomicBool::new(false),
    next: AtomicUsize::new(0),
};
const WAIT: u32 = 0;
const BEGIN: u32 = 1;
const GO: u32 = 2;

/// The tid of the monitor's kernel thread. Asked on any thread.
pub fn kernel_tid() -> i32 {
    MONITOR.kernel_tid.load(Relaxed)
}

/// Makes the monitor's kernel thread, which waits until `begin` or `dismiss`. Called by the start. False: no kernel thread is to be had.
pub fn start() -> bool {
    set_now();
    runnable::reserve();
    MONITOR.may_begin.store(WAIT, Relaxed);
    counts::kernel_thread_born();
    let old_mask = sys::set_signal_mask(signal_set::CLOSED);
    let born = glibc::create_thread(monitor_main, std::ptr::null_mut(), None);
    sys::set_signal_mask(old_mask);
    MONITOR.thread.store(born.unwrap_or(0) as usize, Relaxed);
    if born.is_err() {
        counts::kernel_thread_gone();
    }
    born.is_ok()
}

/// Lets the monitor begin: there is something to watch. Called by the start, at its end.
pub fn begin() {
    MONITOR.may_begin.store(BEGIN, Release);
    sys::futex_wake(MONITOR.may_begin.as_ptr(), 1);
}

/// Ends the monitor's thread before it begins, and waits for that: the start has failed.
pub fn dismiss() {
    MONITOR.may_begin.store(GO, Release);
    sys::futex_wake(MONITOR.may_begin.as_ptr(), 1);
    glibc::join_thread(MONITOR.thread.load(Relaxed) as libc::pthread_t);
    counts::kernel_thread_gone();
}

/// Runs on the monitor's kernel thread, which blocks all signals but while it sleeps (`sweep::listen`). Waits for no lock that a green
/// thread may hold, but as the last resort of `duties::send`: the caretaker does what might need one.
extern "C" fn monitor_main(_: *mut c_void) -> *mut c_void {
    MONITOR.kernel_tid.store(sys::kernel_thread_id(), Relaxed);
    while MONITOR.may_begin.load(Acquire) == WAIT {
        sys::futex_wait(&MONITOR.may_begin, WAIT, None).ok();
    }
    if MONITOR.may_begin.load(Relaxed) == GO {
        return std::ptr::null_mut();
    }
    inline::arm_own();
    let mut watches = vec![Watch::default(); slots::slots().len()];
    let mut runnable = Runnable::new();
    let (mut quiet, mut pace, mut shrink_at_ms, mut first, mut short) = (0, Pace::Tick, 0, 0, 0);
    loop {
        let (ticks, slept_ns) = (quiet < TICKS_UNTIL_SLEEP, sys::now_ns());
        sleep(&mut quiet, pace);
        let now_ms = set_now();
        if ticks && sys::now_ns() - slept_ns > reactor::LATE_NS {
            let batch = Batch::new();
            reactor::continued(&batch);
            batch.release(slots::wake);
        }
        let count = watches.len();
        let in_turn = (0..count).map(|number| (number + first) % count);
        pace = in_turn
            .fold(Pace::Rest, |pace, number| pace.max(look(slots::slot(number), &mut watches[number], &mut runnable)));
        if slots::injected() {
            slots::call_for_help();
        }
        sweep::hand_out();
        short = if MONITOR.is_short.swap(false, Relaxed) { short + 1 } else { 0 };
        if short == LOOKS_UNTIL_TURN {
            shortage::ring_those_without_slot();
            short = 0;
        }
        first = MONITOR.next.load(Relaxed) % count;
        let some_are_left = shortage::share_workers();
        delivery::ring_those_again(cancel::remind_again);
        cpu_timer::look();
        if now_ms >= shrink_at_ms {
            duties::shrink_pool();
            reserve::ask_again();
            shrink_at_ms = now_ms + 1000;
        }
        duties::send();
        let main_leaves = end::see_main_off();
        quiet = if pace != Pace::Rest || main_leaves || some_are_left { 0 } else { quiet + 1 };
    }
}

/// Sleeps until the next tick or step; after `TICKS_UNTIL_SLEEP` quiet ticks, until called. The race with a thread that wakes a slot:
///
/// 1. The monitor exchanges `SUMMONS.bell`: TICKING → ASLEEP, then looks at every slot, then sleeps on the word.
/// 2. The waker takes the slot out of its sleep, then reads the word, and calls where it is ASLEEP (`summon::awake`).
/// 3. All SeqCst: the monitor sees the slot in use and does not sleep, or the waker sees ASLEEP.
fn sleep(quiet: &mut u32, pace: Pace) {
    if *quiet < TICKS_UNTIL_SLEEP {
        let time_ns = if pace == Pace::Step { STEP_NS } else { TICK_NS };
        sweep::listen(false, || sys::futex_wait(&SUMMONS.bell, TICKING, Some(sys::now_ns() + time_ns)).ok());
    } else if SUMMONS.bell.compare_exchange(TICKING, ASLEEP, SeqCst, Relaxed).is_ok() {
        // Pooled vessels are let go even while nothing happens, but not by a monitor that is called before that time.
        let let_go_ns = sys::now_ns() + 500_000_000;
        let deadline = yard::pool_is_large().then_some(let_go_ns);
        // The statistics are written here, before a sleep: a disk may be slow, and while anything runs the monitor must not wait for one.
        let deadline = deadline.or(counts::keep_up(now_ms()).map(|ms| ms * 1_000_000));
        let deadline = deadline.into_iter().chain(cpu_timer::next_look()).min();
        if !slots::slots().iter().any(in_use) && !delivery::is_to_ring() && !sweep::are_left() {
            sweep::listen(true, || sys::futex_wait(&SUMMONS.bell, ASLEEP, deadline).ok());
        }
        if sys::now_ns() >= let_go_ns {
            duties::shrink_pool();
        }
        *quiet = 0;
    }
    SUMMONS.bell.store(TICKING, SeqCst);
}

/// Has the slot a worker that does not sleep in the reactor?
fn in_use(slot: &Slot) -> bool {
    !slot.owner.see().is_vacant() && !slot.is_idle()
}

/// Gives a slot without an owner to a worker, and moves `MONITOR.next` on. False: there is no worker for it, and the slot is vacant.
fn give(slot: &'static Slot) -> bool {
    let given = worker::give(slot);
    if given {
        MONITOR.next.store(slot.number + 1, Relaxed);
    }
    given
}

/// Makes slots take turns where there are more of them than workers, and a thread waits for one.
fn share() {
    if shortage::is_here() && slots::anything_ready() {
        MONITOR.is_short.store(true, Relaxed);
        slots::slots().iter().for_each(take_for_others);
    }
}

/// Takes a slot in which a green thread runs, perhaps for ever: its worker is to serve another. The slot is vacant then; the worker finds
/// that out when its thread next switches.
fn take_for_others(slot: &'static Slot) {
    let seen = slot.owner.glance();
    if seen.mode() == Some(Mode::Green) && slot.owner.take_from(seen) {
        UNUSED.vacant.fetch_add(1, SeqCst);
    }
}

/// Looks at one slot, by the table above, and returns how soon it is to be looked at again.
fn look(slot: &'static Slot, watch: &mut Watch, runnable: &mut Runnable) -> Pace {
    let seen = slot.owner.see();
    let Some(mode) = seen.mode() else { return send_worker(slot) };
    let now_ns = sys::now_ns();
    let switches = slot.switches.load(Relaxed);
    if mode == Mode::Runtime || switches != watch.switches {
        *watch = Watch { switches, since_ns: now_ns, looks: 0, cpu_ns: 0, first_cpu_ns: 0, ..*watch };
    }
    match mode {
        Mode::Runtime if slot.is_idle() => Pace::Rest,
        Mode::Runtime if watch.is_quick() => Pace::Step,
        Mode::Runtime => Pace::Tick,
        Mode::Offered => {
            if !spares::is_coming() {
                hand_over(slot, seen, 0);
            }
            Pace::Step
        }
        _ => make_room(slot, seen, watch, now_ns - watch.since_ns, runnable),
    }
}

/// Sees to it that others get the slot in which one green thread has run for `held_ns` nanoseconds: asks it to yield, or hands the slot
/// over.
fn make_room(slot: &'static Slot, seen: Seen, watch: &mut Watch, held_ns: u64, runnable: &mut Runnable) -> Pace {
    let in_call = seen.mode() == Some(Mode::Call);
    let is_quick = watch.is_quick();
    slot.poll_due.store(true, Relaxed);
    let wanted = || in_call && held_ns >= TICK_NS || others_wait(slot);
    if held_ns == 0 && !in_call && !is_quick || !wanted() {
        return let_stand(slot, seen, watch, held_ns, runnable);
    }
    slot.attention.store(true, Relaxed);
    slots::spread(slot);
    let Some(worker) = Worker::of_seen(seen) else { return Pace::Rest };
    let kernel_tid = worker.kernel_tid.load(Relaxed);
    let stands_still = watch.stands_still(kernel_tid);
    let (looks, time_ns) = if in_call { (1, STEP_NS) } else { (TICKS_UNTIL_TAKEN - 1, UNTIL_TAKEN_NS) };
    if stands_still && !in_call || watch.looks >= looks && held_ns >= time_ns {
        let needs_processor = !watch.has_computed() && runnable.ask(kernel_tid) == Some(true);
        if needs_processor && held_ns < NO_PROCESSOR_NS {
            return if in_call && !stands_still { Pace::Step } else { Pace::Tick };
        }
        if hand_over(slot, seen, held_ns) && needs_processor {
            counts::false_alarm();
        }
        watch.looks = 0;
        if in_call || stands_still {
            watch.look_quickly(kernel_tid);
            return Pace::Step;
        }
        return Pace::Tick;
    }
    watch.looks += 1;
    if in_call || is_quick || watch.looks == 1 {
        Pace::Step
    } else {
        Pace::Tick
    }
}

/// Leaves the slot to its thread where no other waits for it. A thread that computes may go on, and is looked at every tick; a thread that
/// blocks in a call that has no hook loses the slot to a worker that can sleep without being looked at, so that an idle process is idle.
fn let_stand(slot: &'static Slot, seen: Seen, watch: &mut Watch, held_ns: u64, runnable: &mut Runnable) -> Pace {
    let Some(worker) = Worker::of_seen(seen) else { return Pace::Rest };
    let kernel_tid = worker.kernel_tid.load(Relaxed);
    if held_ns >= STANDS_LONG_NS && watch.stands_still(kernel_tid) && runnable.ask(kernel_tid) == Some(false) {
        hand_over(slot, seen, held_ns);
    }
    Pace::Tick
}

/// Is there anything that only this slot's owner would see to: a ready thread, a deadline, an event in its epoll?
fn others_wait(slot: &Slot) -> bool {
    slot.has_ready() || slots::injected() || slot.timers.earliest() <= sys::now_ns() || sys::readable(slot.epoll())
}

/// Takes the slot from its worker, and gives it to another. False: the owner word has changed since `seen`, for the worker has just come
/// back. Where green programs are audited, the thread's stretch of `held_ns` so far is told, if no call of the thread's does.
fn hand_over(slot: &'static Slot, seen: Seen, held_ns: u64) -> bool {
    let stretch = if green::is_on() { stretch(seen, sys::now_ns() - held_ns) } else { None };
    let taken = slot.owner.take_from(seen);
    if let (false, Some((away, kernel_tid))) = (taken, stretch) {
        away.give_back(kernel_tid);
    }
    if taken {
        counts::hand_over();
        if !give(slot) {
            share();
        }
    }
    taken
}

/// Notes which green thread the worker runs, before its slot is taken; `None`: its call tells.
#[cold]
fn stretch(seen: Seen, since_ns: u64) -> Option<(&'static Away, i32)> {
    let worker = Worker::of_seen(seen)?;
    // SAFETY: null, or a green thread; those are never freed.
    let running = unsafe { worker.charged.load(SeqCst).as_ref() }?;
    let kernel_tid = worker.kernel_tid.load(Relaxed);
    // SAFETY: a plain array, of which a name that changes meanwhile may be copied in part (`set_name`).
    let name = unsafe { *running.thread.name.get() };
    green::stretch(kernel_tid, running.tid(), running.fs.get(), name, since_ns).map(|away| (away, kernel_tid))
}

/// Gives a vacant slot a worker when there is work for it. Where none is to be had (no memory, no kernel thread), the monitor takes in the
/// slot's events and deadlines, for the workers that there are, and tries again.
fn send_worker(slot: &'static Slot) -> Pace {
    let work = slot.is_left() || slots::injected() || slots::slots().iter().any(|slot| slot.has_ready());
    if !work || UNUSED.vacant.load(Relaxed) == 0 {
        return Pace::Rest;
    }
    UNUSED.vacant.fetch_sub(1, SeqCst);
    if give(slot) {
        return Pace::Rest;
    }
    slots::mind(slot);
    share();
    Pace::Tick
}

/// In a fork child: there is no monitor until the runtime starts again.
pub fn after_fork() {
    // `start` writes `may_begin` and `thread` before it makes the next monitor.
    let Monitor { may_begin: _, thread: _, kernel_tid, is_short, next } = &MONITOR;
    kernel_tid.store(0, Relaxed);
    is_short.store(false, Relaxed);
    next.store(0, Relaxed);
}
