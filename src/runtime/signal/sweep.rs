//! Signals that were sent to the process: which thread gets one, and how it comes to it before what was sent later.
//!
//! The kernel gives such a signal to any kernel thread that does not block it, or keeps it until there is one. So it is in one of three
//! places: in the kernel's queue (everybody who may take it is asleep, or has yet to get up for it), in hand (a kernel thread has taken
//! it and is on its way to a thread's queue or the shelf), or where it belongs. Who brings news to a thread sweeps the first two.

use crate::arch;
use crate::base::lock::RawLock;
use crate::base::own_fds;
use crate::runtime::machine::disposition::{self, bit};
use crate::runtime::machine::green::{current, Green};
use crate::runtime::machine::pending::{is_of_same_timer, Aside, Shelf, FIRST_OF_MANY};
use crate::runtime::machine::{counts, roll};
use crate::runtime::monitor;
use crate::runtime::sched::slots::{self, Slot, Worker, MODE, RUNTIME};
use crate::runtime::signal::delivery::{
    addressee, blocked_by_handlers, give, knock, leave_runtime, main_takes, pass_to, post, taker, takes, unwrapped,
    CLOSED, SI_PUT_BACK,
};
use crate::sys::{self, older};
use libc::{c_int, c_void, siginfo_t, ucontext_t};
use std::cell::Cell;
use std::sync::atomic::{fence, AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering::*};

struct Watch {
    lock: RawLock,
    fd: AtomicI32,
}

static SHELF: Shelf = Shelf::new();
/// What stands for signals of timers that were put back.
static ASIDE: Aside = Aside::new();
/// Signals that nobody took when they came: the monitor leaves them to the kernel until somebody unblocks them.
static REFUSED: AtomicU64 = AtomicU64::new(0);
/// Signals that the program reads from descriptors.
static ON_DESCRIPTORS: AtomicU64 = AtomicU64::new(0);
/// What the sleeping monitor takes right now.
static LISTENED: AtomicU64 = AtomicU64::new(0);
/// How often it has done so; whoever waits for it sleeps on this.
static LISTENINGS: AtomicU32 = AtomicU32::new(0);
/// The descriptor that tells of signals that are wanted; changed under the lock.
static WATCH: Watch = Watch { lock: RawLock::new(), fd: AtomicI32::new(-1) };
/// Some may have been left in the kernel's queue, to threads that run.
static LEFT: AtomicBool = AtomicBool::new(false);
/// How many signals are on their way from the kernel to a thread's queue, or the shelf.
static IN_HAND: AtomicU32 = AtomicU32::new(0);
/// Real-time signals that a sweeper takes from the kernel right now: no worker opens its mask for them meanwhile.
static TAKING: AtomicU64 = AtomicU64::new(0);

/// In a fork child: nothing waits for it.
pub fn after_fork() {
    SHELF.after_fork();
    ASIDE.after_fork();
    REFUSED.store(0, Relaxed);
    LISTENED.store(0, Relaxed);
    WATCH.lock.reset();
    WATCH.fd.store(-1, Relaxed);
    LEFT.store(false, Relaxed);
    IN_HAND.store(0, Relaxed);
    TAKING.store(0, Relaxed);
}

/// Nothing can be done with it here: the monitor hands it out, if nobody does before.
pub fn shelve(info: &siginfo_t) {
    IN_HAND.fetch_add(1, SeqCst);
    SHELF.put(info);
    IN_HAND.fetch_sub(1, SeqCst);
    monitor::call();
}

/// It comes inside the runtime: it is handed out when that is left.
pub fn shelve_until_left(info: &siginfo_t) {
    knock();
    shelve(info);
}

/// Are there some that came before one that comes now, which is not to overtake them?
pub fn comes_after_shelved(signal: c_int) -> bool {
    signal >= FIRST_OF_MANY && !SHELF.is_empty()
}

/// Gives a signal that has just come, and is the process's, to a thread that takes it; else it goes back to the kernel, blocked here.
pub fn hand(info: &siginfo_t, context: *mut c_void) {
    IN_HAND.fetch_add(1, SeqCst);
    hand_or_block(info, context);
    IN_HAND.fetch_sub(1, SeqCst);
}

fn hand_or_block(info: &siginfo_t, context: *mut c_void) {
    if let Some(green) = taker(info.si_signo) {
        return give(green, info);
    }
    let blocked = sys::open(bit(info.si_signo));
    // SAFETY: the frame of the handler that runs: the mask that its end brings back.
    unsafe { *(&mut (*(context as *mut ucontext_t)).uc_sigmask as *mut _ as *mut u64) |= blocked };
    if let Some(me) = current() {
        me.worker().mask.store(me.worker().mask.load(Relaxed) | blocked, Relaxed);
    }
    put_back(info);
}

/// What is put back is not to come here again at once. (It would where main leaves by pthread_exit: no thread's mask is the kernel's then.)
fn block_here(signal: c_int) {
    let mask = sys::signal_mask();
    if mask & bit(signal) == 0 {
        sys::set_signal_mask(mask | bit(signal));
        slots::here().inspect(|worker| worker.mask.store(mask | bit(signal), Relaxed));
    }
}

/// Nobody takes it: it waits in the kernel's queue. What no kernel thread may block cannot: it waits in main's.
pub fn put_back(info: &siginfo_t) {
    if let Some(main) = roll::main().filter(|_| sys::open(bit(info.si_signo)) == 0) {
        return post(main, info);
    }
    let of_timer = info.si_signo < FIRST_OF_MANY && info.si_code == libc::SI_TIMER;
    let is_aside = of_timer && !is_read_from_descriptors(info.si_signo) && ASIDE.put(info);
    let mut back = *info;
    (back.si_errno, back.si_code) = (info.si_code, SI_PUT_BACK);
    sys::queue_signal_to_process(info.si_signo, &back).ok();
    refuse(info.si_signo);
    // (Who has unblocked it meanwhile has looked before it stood there.)
    if is_aside && REFUSED.load(SeqCst) & bit(info.si_signo) == 0 {
        bring_back(bit(info.si_signo));
    }
}

/// A timer's signal that came from the kernel's queue, where it was put back: itself, unless it has been handed out without that.
pub fn taken_back(info: &siginfo_t) -> Option<siginfo_t> {
    let stands_aside = info.si_signo < FIRST_OF_MANY && !is_read_from_descriptors(info.si_signo);
    if info.si_code != libc::SI_TIMER || !stands_aside {
        return Some(*info);
    }
    ASIDE.take(|kept| is_of_same_timer(kept, info))
}

/// One of these that was put back, and for which nothing may stand in the kernel's queue.
pub fn take_aside(signals: u64) -> Option<siginfo_t> {
    ASIDE.take(|kept| signals & bit(kept.si_signo) != 0)
}

/// Somebody takes these now: those that were put back go the way of those that come.
#[cold]
fn bring_back(signals: u64) {
    while let Some(info) = take_aside(signals) {
        shelve(&info);
    }
}

/// The monitor leaves this signal to the kernel. Whoever unblocks it meanwhile looks at `REFUSED` after that, we look at him after
/// this.
fn refuse(signal: c_int) {
    REFUSED.fetch_or(bit(signal), SeqCst);
    if roll::search(|green| takes(green, signal)).is_some() {
        REFUSED.fetch_and(!bit(signal), SeqCst);
    }
    watch_anew();
}

/// What was put on the shelf, by whoever comes to it first.
pub fn hand_out_shelf() {
    if !SHELF.is_empty() {
        SHELF.clear(hand_out_one);
    }
}

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

/// What has a handler, and perhaps somebody who takes it.
fn wanted() -> u64 {
    disposition::handled() & !REFUSED.load(SeqCst)
}

/// Of these, those that are to be taken from the kernel for somebody. What nobody takes stays where it is, in its order, and so does what
/// a running thread takes: its kernel thread hears it. (If it stops running first, the monitor comes back to that.)
fn takeable(signals: u64) -> u64 {
    let (untaken, left) = (Cell::new(signals), Cell::new(0));
    roll::search(|green| {
        let soon = untaken.get() & blocked_by_handlers(green);
        let takes = untaken.get() & (!green.mask.get() | green.waits_for.get());
        untaken.set(untaken.get() & !(soon | takes));
        left.set(left.get() | soon | if takes != 0 && runs_elsewhere(green) { takes } else { 0 });
        untaken.get() == 0
    });
    (1..=64).filter(|&signal| untaken.get() & bit(signal) != 0).for_each(refuse);
    if left.get() != 0 {
        LEFT.store(true, SeqCst);
    }
    signals & !untaken.get() & !left.get()
}

fn runs_elsewhere(green: &Green) -> bool {
    // SAFETY: null before its first resume; workers are never freed.
    let Some(worker) = (unsafe { green.worker.load(SeqCst).as_ref() }) else { return false };
    let here = || slots::here().is_some_and(|here| std::ptr::eq(here, worker));
    std::ptr::eq(worker.charged.load(SeqCst), green) && !here() && {
        let running = |slot: &Slot| {
            let owner = slot.owner.load(SeqCst);
            owner & !MODE == worker.word(RUNTIME) && owner & MODE != RUNTIME
        };
        slots::slots().iter().any(running)
    }
}

/// The signals that somebody other than the monitor would take now, or be told of: a worker that sleeps, or is about to, of all.
fn open_elsewhere() -> u64 {
    let in_runtime = |slot: &Slot| {
        let owner = slot.owner.load(SeqCst);
        owner != 0 && owner & MODE == RUNTIME
    };
    if slots::slots().iter().any(in_runtime) {
        return u64::MAX;
    }
    slots::slots().iter().fold(0, |open, slot| {
        let worker = Worker::of_word(slot.owner.load(SeqCst));
        open | worker.map_or(0, |worker| !worker.mask.load(Relaxed))
    })
}

/// News from outside are about to reach a thread: the signals that came before them go first, those that wait in the kernel for a kernel
/// thread to get up, and those that are on their way.
#[inline]
pub fn sweep() {
    if disposition::handled() != 0 || !SHELF.is_empty() {
        sweep_up();
    }
}

/// The same where nothing was waited for: only a signal that another kernel thread takes may still be on its way.
#[inline]
pub fn sweep_unwaited() {
    let handled = disposition::handled();
    if handled != 0 && (slots::slots().len() > 1 || LISTENED.load(Relaxed) & handled != 0) {
        sweep_up();
    }
}

#[inline(never)]
fn sweep_up() {
    /// Whoever has one in hand needs a microsecond, but may have to wait for a processor; not for ever, where we keep it from him.
    const PATIENCE: u32 = 1000;
    arch::guard_up();
    loop {
        hand_out_shelf();
        // In their order: whoever sweeps at the same time takes the next one after this one is in its queue.
        if SHELF.while_clearing(take_all) {
            break;
        }
        sys::yield_processor();
    }
    for _ in 0..PATIENCE {
        if IN_HAND.load(SeqCst) == 0 {
            break;
        }
        sys::yield_processor();
    }
    hand_out_shelf();
    leave_runtime();
}

/// Takes what waits in the kernel for somebody; false: something came to the shelf before that, which goes first.
fn take_all() -> bool {
    loop {
        let mut set = takeable(wanted());
        if set & OF_MANY != 0 {
            TAKING.store(set & OF_MANY, SeqCst);
            fence(SeqCst);
            set = takeable(set);
            set &= !heard(set & OF_MANY);
            if set & OF_MANY != 0 && !SHELF.is_empty() {
                TAKING.store(0, SeqCst);
                return false;
            }
        }
        let taken = take_from_kernel(set);
        taken.inspect(hand_out_one);
        TAKING.store(0, SeqCst);
        if taken.is_none() {
            return true;
        }
    }
}

/// Signals of which several may wait.
const OF_MANY: u64 = u64::MAX << (FIRST_OF_MANY - 1);

/// Of these, those that a kernel thread does not block: it takes the first, so that a later one is not to be taken past it.
fn heard(signals: u64) -> u64 {
    let heard = Cell::new(0);
    counts::for_each_worker(|worker| heard.set(heard.get() | signals & !worker.mask.load(SeqCst)));
    if heard.get() != 0 {
        LEFT.store(true, SeqCst);
    }
    heard.get()
}

/// A worker's kernel thread is about to have this mask: what that opens is left to it, once nobody takes it elsewhere any more. (Of what
/// has no handler there is no order to keep.)
pub fn open_for(worker: &Worker, mask: u64) {
    let opened = worker.mask.fetch_and(mask, SeqCst) & !mask & OF_MANY & disposition::handled();
    if opened != 0 {
        while TAKING.load(SeqCst) & opened != 0 {
            sys::yield_processor();
        }
        stop_listening(opened);
    }
}

/// One that waits in the kernel.
fn take_from_kernel(set: u64) -> Option<siginfo_t> {
    if set == 0 {
        return None;
    }
    loop {
        let info = sys::take_signal(set).ok()?;
        match unwrapped(&info) {
            None => knock(), // A bell: who was here looks by himself.
            first => return first,
        }
    }
}

/// Does the monitor have to come back to some?
pub fn are_left() -> bool {
    LEFT.load(SeqCst)
}

/// The monitor's duty: what was put on the shelf where nobody goes on soon, and what nobody else would take.
pub fn hand_out() {
    hand_out_shelf();
    if LEFT.swap(false, SeqCst) || wanted() & !open_elsewhere() != 0 {
        sweep_up();
    }
}

/// Makes the descriptor that tells the sleeping workers of signals.
pub fn watch() -> Result<i32, i32> {
    let fd = own_fds::keep(older::signal_fd(-1, wanted())?);
    WATCH.fd.store(fd, Relaxed);
    Ok(fd)
}

/// The start has failed: that descriptor is closed.
pub fn unwatch() {
    WATCH.fd.store(-1, Relaxed);
}

/// What is wanted has changed.
pub fn watch_anew() {
    WATCH.lock.with(|| {
        let fd = WATCH.fd.load(Relaxed);
        if fd >= 0 {
            older::signal_fd(fd, wanted()).ok();
        }
    });
}

/// The monitor sleeps: it takes what has no handler and main does not block: the kernel does what the default is. And where it sleeps
/// without an end, what has one and nobody else would take: it finds somebody for it.
pub fn listen(endless: bool, sleep: impl FnOnce() -> Option<()>) {
    let to_open = || {
        let of_main = !disposition::handled() & !roll::main().map_or(u64::MAX, |main| main.mask.get());
        of_main | if endless { takeable(wanted() & !open_elsewhere()) } else { 0 }
    };
    let mut open = to_open();
    loop {
        LISTENED.store(open, SeqCst);
        fence(SeqCst);
        match to_open() {
            now if now == open => break,
            now => open = now,
        }
    }
    sys::set_signal_mask(!open & CLOSED);
    sleep();
    sys::set_signal_mask(CLOSED);
    LISTENED.store(0, SeqCst);
    LISTENINGS.fetch_add(1, SeqCst);
    sys::futex_wake(LISTENINGS.as_ptr(), u32::MAX >> 1);
}

/// A thread accepts now what `mask` does not hold, and no more: what nobody took may come again. main's own defaults are spared.
pub fn accept(me: &Green, mask: u64) {
    if REFUSED.load(Relaxed) & !mask != 0 {
        REFUSED.fetch_and(mask, SeqCst);
        watch_anew();
        bring_back(!mask);
    }
    if me.is_main && LISTENED.load(Relaxed) & mask != 0 {
        spare_main(mask);
    }
}

/// Of `signals`, those whose default main is to be spared from now on.
pub fn spare_main(signals: u64) {
    stop_listening(signals & !disposition::handled());
}

/// Waits until the monitor no longer stands in for these, or does so anew, knowing what has changed.
fn stop_listening(signals: u64) {
    let listenings = LISTENINGS.load(SeqCst);
    while LISTENED.load(SeqCst) & signals != 0 && LISTENINGS.load(SeqCst) == listenings {
        monitor::call();
        sys::futex_wait(&LISTENINGS, listenings, None).ok();
    }
}

/// Sends a signal to the process: false when nobody takes it, so that the kernel is to keep it.
pub fn post_to_process(info: &siginfo_t) -> bool {
    let me = current().filter(|me| takes(me, info.si_signo) && !main_takes(info.si_signo));
    let taker = me.or_else(|| taker(info.si_signo));
    if taker.is_none() {
        refuse(info.si_signo);
        stop_listening(bit(info.si_signo));
    }
    taker.inspect(|green| give(green, info)).is_some()
}

/// Does the program read this signal from a descriptor?
pub fn is_read_from_descriptors(signal: c_int) -> bool {
    ON_DESCRIPTORS.load(Relaxed) & bit(signal) != 0
}

/// The program reads signals from a descriptor: those that nobody takes are to reach it as they were sent.
pub fn leave_to_descriptor(signals: u64) {
    ON_DESCRIPTORS.fetch_or(signals, SeqCst);
    (1..=64).filter(|&signal| signals & bit(signal) != 0).for_each(refuse);
    stop_listening(REFUSED.load(SeqCst) & signals);
}
