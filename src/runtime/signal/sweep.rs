//! The sweep of signals that were sent to the process: which thread gets one, and how it comes to it before what was sent later.
//!
//! The kernel gives such a signal to any kernel thread that does not block it, or keeps it until there is one. So the signal is in one of
//! three places, and the first two are swept before news reach a thread:
//!
//! ```text
//!   the kernel's queue   every kernel thread that may take it is asleep, or has yet to wake up for it
//!   in hand              a kernel thread has taken it, and is about to put it into a thread's queue or onto the shelf
//!   where it belongs     a thread's queue, or the shelf
//! ```
//!
//! Real-time signals keep their order against a kernel thread that is about to unblock them, and so to take them itself:
//!
//! 1. A sweep stores what it will take into `TAKING.swept`, fences, then reads the masks of threads and workers (`takeable`, `heard`).
//! 2. A kernel thread opens its noted mask (SeqCst), then reads `TAKING.swept` and waits until it is clear (`mask::open_for`).
//! 3. One of the two stores comes first: the sweep sees that the signal is taken elsewhere and leaves it, or the kernel thread waits until
//!    the sweep is over. Signals without a handler have no order to keep.

use crate::base::guard::{self, knock, leave_runtime, KNOCKED};
use crate::base::signal_set::{bit, CLOSED};
use crate::runtime::machine::owner::Mode;
use crate::runtime::machine::parts::{self, current, Green, Slot, Worker};
use crate::runtime::machine::put_back::unwrapped;
use crate::runtime::machine::siginfo::SI_PUT_BACK;
use crate::runtime::machine::{counts, disposition, pending, roll};
use crate::runtime::sched::mask::{stop_listening, OF_MANY, TAKING};
use crate::runtime::sched::slots;
use crate::runtime::signal::delivery::{self, give, pass_to, put_back, take_waiting};
use crate::runtime::signal::shelf::{refuse, wanted, ARRIVALS};
use crate::runtime::signal::takers::{addressee, blocked_by_handlers, main_takes, taker, takes};
use crate::{arch, sys};
use libc::{c_int, c_void, siginfo_t, ucontext_t};
use std::cell::Cell;
use std::sync::atomic::{fence, AtomicBool, Ordering::*};

/// What the last sweeps have left.
struct Left {
    /// True: signals may have been left in the kernel's queue, to threads that run; the monitor comes back to them.
    in_kernel: AtomicBool,
}

static LEFT: Left = Left { in_kernel: AtomicBool::new(false) };

/// Forgets the signals on their way in a fork child.
pub fn after_fork() {
    let Left { in_kernel } = &LEFT;
    in_kernel.store(false, Relaxed);
}

/// Gives a signal that has just come, and is the process's, to a thread that takes it; else it goes back to the kernel, and the frame's end
/// blocks it here. Called by `entry` with the guard up; `context` is the frame's.
pub fn hand(info: &siginfo_t, context: *mut c_void) {
    ARRIVALS.in_hand.fetch_add(1, SeqCst);
    hand_or_block(info, context);
    ARRIVALS.in_hand.fetch_sub(1, SeqCst);
}

/// Does what `hand` says. Where no thread takes the signal it is blocked in the mask that the frame brings back, and noted so: otherwise
/// the kernel would deliver it here again as soon as it is put back.
fn hand_or_block(info: &siginfo_t, context: *mut c_void) {
    if let Some(green) = taker(info.si_signo) {
        return give(green, info);
    }
    let blocked = sys::without_kept_open(bit(info.si_signo));
    // SAFETY: the frame of the handler that runs: the mask that its end brings back.
    unsafe { *(&mut (*(context as *mut ucontext_t)).uc_sigmask as *mut _ as *mut u64) |= blocked };
    if let Some(me) = current() {
        me.worker().mask.store(me.worker().mask.load(Relaxed) | blocked, Relaxed);
    }
    put_back(info);
}

/// Blocks the signal on this kernel thread, or the kernel would deliver here again what is about to be put back. Needed only after main's
/// pthread_exit, when no kernel thread has main's mask.
fn block_here(signal: c_int) {
    let mask = sys::signal_mask();
    if mask & bit(signal) == 0 {
        sys::set_signal_mask(mask | bit(signal));
        parts::here().inspect(|worker| worker.mask.store(mask | bit(signal), Relaxed));
    }
}

/// Hands out what was put on the shelf. Called on any kernel thread with the guard up, or by the monitor.
pub fn hand_out_shelf() {
    if !ARRIVALS.shelf.is_empty() {
        ARRIVALS.shelf.clear(hand_out_one);
    }
}

/// Hands one signal out: to its addressee, to a thread that takes it, or back to the kernel.
fn hand_out_one(info: &siginfo_t) {
    let mut info = *info;
    match addressee(&mut info) {
        Some(whose) => pass_to(whose, &info),
        None => match taker(info.si_signo) {
            Some(green) => give(green, &info),
            None => {
                block_here(info.si_signo);
                put_back(&info)
            }
        },
    }
}

/// Returns those of the signals in the set that are to be taken from the kernel for a thread. A signal that no thread takes stays where it
/// is, in its order. So does a signal that a running thread takes, for its kernel thread gets it; if that stops running first, the monitor
/// comes back to it (`LEFT.in_kernel`).
fn takeable(signals: u64) -> u64 {
    let (untaken, left) = (Cell::new(signals), Cell::new(0));
    roll::search(|green| {
        let soon = untaken.get() & blocked_by_handlers(green);
        let takes = untaken.get() & (!green.mask.get() | green.signals.waits_for.get());
        untaken.set(untaken.get() & !(soon | takes));
        left.set(left.get() | soon | if takes != 0 && runs_elsewhere(green) { takes } else { 0 });
        untaken.get() == 0
    });
    (1..=64).filter(|&signal| untaken.get() & bit(signal) != 0).for_each(refuse);
    if left.get() != 0 {
        LEFT.in_kernel.store(true, SeqCst);
    }
    signals & !untaken.get() & !left.get()
}

/// Does the thread run on another worker's kernel thread, with the program's code, so that this one takes its signals from the kernel
/// itself? `charged` alone says only that no other thread has run there since.
fn runs_elsewhere(green: &Green) -> bool {
    // SAFETY: null before its first resume; workers are never freed.
    let Some(worker) = (unsafe { green.worker.load(SeqCst).as_ref() }) else { return false };
    let here = || parts::here().is_some_and(|here| std::ptr::eq(here, worker));
    std::ptr::eq(worker.charged.load(SeqCst), green) && !here() && {
        let running = |slot: &Slot| {
            let seen = slot.owner.see();
            seen.worker() == worker.id() && seen.mode() != Some(Mode::Runtime)
        };
        slots::slots().iter().any(running)
    }
}

/// Returns the signals that a kernel thread other than the monitor's would take now, or be told of. A worker that sleeps, or is about to,
/// is told of all.
fn open_elsewhere() -> u64 {
    let in_runtime = |slot: &Slot| slot.owner.see().mode() == Some(Mode::Runtime);
    if slots::slots().iter().any(in_runtime) {
        return u64::MAX;
    }
    slots::slots().iter().fold(0, |open, slot| {
        let worker = Worker::of_seen(slot.owner.see());
        open | worker.map_or(0, |worker| !worker.mask.load(Relaxed))
    })
}

/// Hands out the signals that came before news from outside which are about to reach a thread: the signals that wait in the kernel for a
/// kernel thread to wake up, and the signals that are on their way. Called with no lock held.
#[inline]
pub fn sweep() {
    if disposition::handled() != 0 || !ARRIVALS.shelf.is_empty() {
        sweep_up();
    }
}

/// Hands out the signals that came before news which came without a wait: only a signal that another kernel thread has in hand may still be
/// on its way. Called with no lock held.
#[inline]
pub fn sweep_unwaited() {
    let handled = disposition::handled();
    if handled != 0 && (slots::slots().len() > 1 || TAKING.listened.load(Relaxed) & handled != 0) {
        sweep_up();
    }
}

/// Takes all that may be waiting, in the order in which it came:
///
/// 1. What is on the shelf is handed out: it was taken from the kernel before.
/// 2. What waits in the kernel is taken, with the shelf kept for this sweep (`while_clearing`); another sweep waits its turn.
/// 3. Signals in hand are waited for, up to `MOST_LOOKS`, and the shelf is handed out once more.
///
/// The guard is up meanwhile: a signal that comes to this kernel thread goes to the shelf, behind the others.
#[inline(never)]
fn sweep_up() {
    /// After how many looks the wait for signals in hand ends. A kernel thread with a signal in hand needs a microsecond. It may have to
    /// wait for a processor, perhaps the one that this loop uses: so the wait has an end.
    const MOST_LOOKS: u32 = 1000;
    guard::enter_runtime();
    loop {
        hand_out_shelf();
        // Signals keep their order: a sweep at the same time takes the next one once this one is in its queue.
        if ARRIVALS.shelf.while_clearing(take_all) {
            break;
        }
        sys::yield_processor();
    }
    for _ in 0..MOST_LOOKS {
        if ARRIVALS.in_hand.load(SeqCst) == 0 {
            break;
        }
        sys::yield_processor();
    }
    hand_out_shelf();
    leave_runtime();
}

/// Takes what waits in the kernel for some thread. False: a signal came to the shelf before that, and goes first. Each round asks anew what
/// is wanted and taken, for a signal that was handed out may have changed which threads take the next. Real-time signals are asked for
/// twice, before and after `TAKING` says that they are taken (the race above).
fn take_all() -> bool {
    loop {
        let mut set = takeable(wanted());
        if set & OF_MANY != 0 {
            TAKING.swept.store(set & OF_MANY, SeqCst);
            fence(SeqCst);
            set = takeable(set);
            set &= !heard(set & OF_MANY);
            if set & OF_MANY != 0 && !ARRIVALS.shelf.is_empty() {
                TAKING.swept.store(0, SeqCst);
                return false;
            }
        }
        let taken = take_from_kernel(set);
        taken.inspect(hand_out_one);
        TAKING.swept.store(0, SeqCst);
        if taken.is_none() {
            return true;
        }
    }
}

/// Returns those of the signals in the set that some kernel thread does not block: that kernel thread takes the first, and a later signal
/// may not be taken past it.
fn heard(signals: u64) -> u64 {
    let heard = Cell::new(0);
    counts::for_each_worker(|worker| heard.set(heard.get() | signals & !worker.mask.load(SeqCst)));
    if heard.get() != 0 {
        LEFT.in_kernel.store(true, SeqCst);
    }
    heard.get()
}

/// Takes a signal of `set` that waits in the kernel; `None`: none does.
fn take_from_kernel(set: u64) -> Option<siginfo_t> {
    if set == 0 {
        return None;
    }
    loop {
        let info = sys::take_signal(set).ok()?;
        match unwrapped(&info) {
            None => knock(), // A bell: its thread looks at its queue when it goes on.
            first => return first,
        }
    }
}

/// Does the monitor have to come back to signals that were left to running threads?
pub fn are_left() -> bool {
    LEFT.in_kernel.load(SeqCst)
}

/// Hands out what was put on the shelf where no thread goes on soon, and what no other kernel thread would take: the monitor's duty.
pub fn hand_out() {
    hand_out_shelf();
    if LEFT.in_kernel.swap(false, SeqCst) || wanted() & !open_elsewhere() != 0 {
        sweep_up();
    }
}

/// Lets the monitor sleep, with signals open meanwhile: (a) signals without a handler that main does not block, so that the default action
/// happens; (b) if it sleeps without a deadline (`endless`), also signals with a handler that no other kernel thread has open: it gives
/// them to a green thread (`entry`). Before it sleeps it says what it listens to (`TAKING.listened`), then looks at the masks again: a
/// thread that blocks a signal meanwhile sees the word and waits (`mask::stop_listening`), or this sees the mask.
pub fn listen(endless: bool, sleep: impl FnOnce() -> Option<()>) {
    let to_open = || {
        let of_main = !disposition::handled() & !roll::main().map_or(u64::MAX, |main| main.mask.get());
        of_main | if endless { takeable(wanted() & !open_elsewhere()) } else { 0 }
    };
    let mut open = to_open();
    loop {
        TAKING.listened.store(open, SeqCst);
        fence(SeqCst);
        match to_open() {
            now if now == open => break,
            now => open = now,
        }
    }
    sys::set_signal_mask(!open & CLOSED);
    sleep();
    sys::set_signal_mask(CLOSED);
    TAKING.listened.store(0, SeqCst);
    TAKING.listenings.fetch_add(1, SeqCst);
    sys::futex_wake(TAKING.listenings.as_ptr(), u32::MAX >> 1);
}

/// Sends a signal to the process: gives it to a thread that takes it. False: no thread does, and the kernel is to keep it. Called by the
/// hooks of kill and sigqueue.
pub fn post_to_process(info: &siginfo_t) -> bool {
    let me = current().filter(|me| takes(me, info.si_signo) && !main_takes(info.si_signo));
    let taker = me.or_else(|| taker(info.si_signo));
    if taker.is_none() {
        refuse(info.si_signo);
        stop_listening(bit(info.si_signo));
    }
    taker.inspect(|green| give(green, info)).is_some()
}

/// Takes a signal of `set` from the running thread's queue, or from the kernel's. Called by the hooks of sigwait and its like, on the
/// thread. `None`: none of them waits. What turns out to be another thread's on the way is given to that one.
pub fn take(me: &Green, set: u64) -> Option<siginfo_t> {
    me.signals.pending.take(set).or_else(|| loop {
        let Ok(info) = sys::take_signal(set) else { return crate::runtime::machine::put_back::take_aside(set) };
        if let Some(mut first) = unwrapped(&info) {
            if info.si_code == SI_PUT_BACK && first.si_code == libc::SI_TIMER {
                count_later_expiries(&mut first);
            }
            match addressee(&mut first) {
                Some(whose) if !whose.is_some_and(|green| std::ptr::eq(green, me)) => pass_to(whose, &first),
                _ => return Some(first),
            }
        }
    })
}

/// Counts later expiries into a timer's signal that was put back. The timer does not know that its signal waits again, so the next one
/// waits behind it; natively the kernel counts that as an overrun.
#[cold]
pub fn count_later_expiries(first: &mut siginfo_t) {
    while let Ok(info) = sys::take_signal(bit(first.si_signo)) {
        match unwrapped(&info) {
            Some(other) if !pending::count_expiries(first, &other) => return delivery::put_back(&other),
            _ => {}
        }
    }
}

/// Answers knocks as the guard goes down for the last time: hands out the shelf. Called by the guard, on the kernel thread that was inside.
/// The guard is up again meanwhile, so that signals which come now are shelved behind those that came before.
#[cold]
pub fn answer_knock() {
    while arch::guard_word() == KNOCKED {
        guard::enter_runtime();
        arch::set_guard_word(arch::guard_word() & !KNOCKED);
        hand_out_shelf();
        arch::guard_down();
    }
    if let Some(me) = current().filter(|_| arch::guard_word() == 0) {
        take_waiting(me);
    }
}
