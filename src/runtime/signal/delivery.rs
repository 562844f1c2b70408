//! Signals: a handler runs on the green thread that it is for, with its stack, TLS, mask and a real signal frame, never on a
//! worker's own stack and never in the middle of the runtime.
//!
//! The kernel delivers to kernel threads, so every handler of the program's stands behind `entry`. Five facts carry the rest:
//!
//! - *A thread's mask is the truth* (`Green::mask`), in handlers too; its kernel thread has the same one while it runs.
//! - *A thread's queue is the truth* (`Green::pending`). A signal that one of us sends to a kernel thread is a bell: it says only
//!   "look into your queue", and rings in vain where another thread runs by then. It is the signal itself, so that the
//!   kernel makes the frame, applies the handler's mask and restarts system calls as natively.
//! - *A thread that goes on looks* (`look`): after every wait, every yield, and when it begins.
//! - *Who sleeps takes no signals, but is told of them.* Workers without work block everything; for the threads that are parked their
//!   reactors have a descriptor that is readable when there is one with a handler (`watch`). The sleeping monitor takes what nobody
//!   else would (`listen`), and what main would die of.
//! - *What came first is seen first* (`sweep`): who brings news from outside, of a descriptor or of a call that is over, first hands out
//!   the signals that came before them. Natively the kernel sees to that on the way out of the call.
//!
//! So a signal goes one of these ways:
//!
//! ```text
//!   to a thread (pthread_kill, tgkill, raise)   → its queue → it is parked: its wait ends, it looks; it runs: a bell
//!   to the process, at a running thread         → main takes it, if it may: main's queue; else the handler runs here
//!   to the process, at the monitor, or swept    → main, or any thread that does not block it: its queue
//!   ", and nobody takes it                      → back to the kernel, where it waits until somebody unblocks it
//!   inside the runtime (the guard is up)        → a knock, and what is no bell onto the shelf: seen to when the guard goes down
//!   a fault                                     → the handler runs here
//! ```
//!
//! How a handler runs stands in `handler`.

use crate::arch;
use crate::runtime::machine::disposition::{self, bit};
use crate::runtime::machine::green::{alert, current, life, Green};
use crate::runtime::machine::{alternate, pending, roll};
use crate::runtime::monitor;
use crate::runtime::sched::slots;
use crate::runtime::signal::handler::{self, act_by_default, run};
use crate::runtime::signal::{cpu_timer, owner, sweep, thread_timer};
use crate::runtime::waiting::cancel;
use crate::runtime::waiting::wait::{self, Cancel};
use crate::sys::{self, older};
use crate::why::Why;
use libc::{c_int, c_void, siginfo_t};
use std::sync::atomic::{fence, AtomicPtr, Ordering::*};

/// What no program's mask holds: KILL and STOP, and glibc's own 32 and 33.
pub const NEVER_BLOCKED: u64 = bit(libc::SIGKILL) | bit(libc::SIGSTOP) | bit(32) | bit(33);
/// What a kernel thread blocks that is not to take signals: glibc's own still come.
pub const CLOSED: u64 = !NEVER_BLOCKED;

/// Sent with tgkill, as pthread_kill does (source: asm-generic/siginfo.h).
const SI_TKILL: c_int = -6;
/// A bell: a code of our own, with the green thread's address as the value.
const SI_BELL: c_int = -77;
/// Put back into the kernel's queue; its own code stands in si_errno, for the kernel lets nobody repeat another's.
pub const SI_PUT_BACK: c_int = -78;

/// Threads for whom a bell rang while they were inside the runtime.
static AGAIN: AtomicPtr<Green> = AtomicPtr::new(std::ptr::null_mut());
/// What a signal says of itself, as the kernel would have it (layout: asm-generic/siginfo.h; pid and uid at 16, the value at 24).
pub fn information(signal: c_int, code: c_int, value: usize) -> siginfo_t {
    // SAFETY: all-zero is a value of siginfo_t.
    let mut info: siginfo_t = unsafe { std::mem::zeroed() };
    (info.si_signo, info.si_code) = (signal, code);
    let bytes = &mut info as *mut siginfo_t as *mut u8;
    // SAFETY: within siginfo_t's 128 bytes.
    unsafe {
        *(bytes.add(16) as *mut i32) = sys::process_id();
        *(bytes.add(20) as *mut u32) = sys::user_id();
        *(bytes.add(24) as *mut usize) = value;
    }
    info
}

/// The same for a signal sent to a thread.
pub fn by_thread(signal: c_int) -> siginfo_t {
    information(signal, SI_TKILL, 0)
}

fn value_of(info: &siginfo_t) -> usize {
    // SAFETY: the value's place, within siginfo_t.
    unsafe { *((info as *const siginfo_t as *const u8).add(24) as *const usize) }
}

/// The green thread that a bell rings for; one that came without its information rings for whoever runs here.
pub fn whose_bell(info: &siginfo_t) -> Option<usize> {
    match info.si_code {
        SI_BELL => Some(value_of(info)),
        _ if is_plain_bell(info) => current().map(|me| me as *const Green as usize),
        _ => None,
    }
}

/// Where the kernel refuses to queue signals with their information, those of this process's own to a kernel thread are bells: what the
/// program sends to a thread is in that thread's queue. (Not SIGABRT, which libc sends itself.)
fn is_plain_bell(info: &siginfo_t) -> bool {
    // SAFETY: si_pid is there for a signal by tgkill.
    let own = || unsafe { info.si_pid() } == sys::process_id();
    older::sends_plainly() && info.si_code == SI_TKILL && info.si_signo != libc::SIGABRT && own()
}

/// A signal from the kernel's queue as it first was; `None`: a bell.
pub fn unwrapped(info: &siginfo_t) -> Option<siginfo_t> {
    let mut info = *info;
    if info.si_code == SI_PUT_BACK {
        (info.si_code, info.si_errno) = (info.si_errno, 0);
        info = sweep::taken_back(&info)?;
    }
    (info.si_code != SI_BELL && !is_plain_bell(&info)).then_some(info)
}

/// Is it one of the library's own: a bell, or one that has come before and was put back?
pub fn is_own(info: &siginfo_t) -> bool {
    info.si_code == SI_BELL || info.si_code == SI_PUT_BACK || is_plain_bell(info)
}

/// The address of the handler that stands before the program's.
pub fn entry_address() -> usize {
    entry as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize
}

/// Every handler of the program's while the runtime runs.
extern "C" fn entry(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid siginfo_t, on this stack.
    let came = unsafe { &mut *info };
    // (libc aborts on a worker's own stack, too, when another's setuid fails in part: that cannot wait.)
    let aborts = signal == libc::SIGABRT && came.si_code == SI_TKILL;
    let (me, inside) = (current(), arch::guard_word() != 0 && !aborts);
    // SAFETY: the kernel's frame.
    if is_fault(came) && unsafe { arch::registers::Registers::of(context) }.mend_load() {
        return;
    }
    if is_fault(came) || is_trap(came) {
        arch::guard_up();
        return run(signal, info, context);
    }
    let Some(first) = unwrapped(came) else {
        return answer_bell(signal, info, context);
    };
    *came = first;
    if inside {
        return sweep::shelve_until_left(came);
    }
    if let Some(whose) = addressee(came) {
        return pass_to(whose, came);
    }
    let directed = came.si_code == SI_TKILL || is_own_doing(came);
    arch::guard_up();
    if !directed && sweep::comes_after_shelved(signal) {
        sweep::shelve_until_left(came);
        return leave_runtime();
    }
    let mine = match me {
        Some(me) => directed || takes(me, signal) && (me.is_main || !main_takes(signal)),
        None => directed,
    };
    if mine {
        me.inspect(|me| put_in_line(me, came, directed));
        return run(signal, info, context);
    }
    sweep::hand(came, context);
    leave_runtime();
}

/// The thread for which the process got this signal (a timer's, a descriptor's); `None`: it is the process's; `Some(None)`: it has ended.
pub fn addressee(info: &mut siginfo_t) -> Option<Option<&'static Green>> {
    thread_timer::whose(info).or_else(|| owner::whose(info))
}

/// Gives such a signal to its thread. Of a SIGIO that names no descriptor the process keeps one at a time: it may have been others', too.
pub fn pass_to(whose: Option<&'static Green>, info: &siginfo_t) {
    whose.inspect(|green| post(green, info));
    if owner::is_plain_one(info) {
        owner::others(whose, |green| post(green, info));
    }
}

/// Another of its kind waits in the thread's queue: that one goes first.
fn put_in_line(me: &Green, came: &mut siginfo_t, directed: bool) {
    if me.pending.bits() & bit(came.si_signo) != 0 {
        me.pending.add(came, directed);
        if let Some(first) = me.pending.take(bit(came.si_signo)) {
            *came = first;
        }
    }
}

/// The guard goes down. What came while it was up is seen to right here, before the thread does anything else: it may end next.
#[inline]
pub fn leave_runtime() {
    arch::guard_down();
    if arch::guard_word() & KNOCKED != 0 {
        answer_knock();
    }
}

/// In the guard's word: a signal came while it was up. (A handler between the reading and the writing of the word leaves it as it was,
/// or knocks too; what it knocks for is looked at after every writing.)
const KNOCKED: usize = 1 << 63;

pub fn knock() {
    arch::set_guard_word(arch::guard_word() | KNOCKED);
}

/// Whoever leaves last answers. The guard is up meanwhile: what comes now gets in line behind what came before.
#[cold]
fn answer_knock() {
    while arch::guard_word() == KNOCKED {
        arch::guard_up();
        arch::set_guard_word(arch::guard_word() & !KNOCKED);
        sweep::hand_out_shelf();
        arch::guard_down();
    }
    if let Some(me) = current().filter(|_| arch::guard_word() == 0) {
        take_waiting(me);
    }
}

/// A signal that arrived at another handler of ours but is the program's.
pub fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    if disposition::of(signal).is_handler() {
        entry(signal, info, context);
    // SAFETY: the kernel passes a valid siginfo_t.
    } else if disposition::of(signal).handler == libc::SIG_DFL || is_trap(unsafe { &*info }) {
        act_by_default(signal);
    }
}

/// A system call that this kernel thread was just about to make, and that a filter of the program's (seccomp) traps.
fn is_trap(info: &siginfo_t) -> bool {
    info.si_signo == libc::SIGSYS && info.si_code > 0
}

pub fn is_fault(info: &siginfo_t) -> bool {
    info.si_code > 0
        && matches!(info.si_signo, libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL | libc::SIGTRAP)
}

/// Did the call that runs right now bring this about itself? (The kernel says no more of it than of a kill by this process.)
fn is_own_doing(info: &siginfo_t) -> bool {
    // SAFETY: SI_USER has a pid field.
    matches!(info.si_signo, libc::SIGPIPE | libc::SIGXFSZ)
        && info.si_code == libc::SI_USER
        && unsafe { info.si_pid() } == sys::process_id()
}

/// Would this thread take the signal now: does it not block it, or wait for it?
pub fn takes(green: &Green, signal: c_int) -> bool {
    (!green.mask.get() | green.waits_for.get()) & bit(signal) != 0
}

/// What a thread blocks only while its handlers run.
pub fn blocked_by_handlers(green: &Green) -> u64 {
    if green.pinned.get() > 0 {
        green.mask.get() & !green.outer_mask.get()
    } else {
        0
    }
}

/// Who gets a signal: whoever takes it now, or else once a handler of his is over.
pub fn taker(signal: c_int) -> Option<&'static Green> {
    // (A handler may end between the two looks.)
    let sooner_or_later = |green: &'static Green| takes_soon(green, signal) || takes(green, signal);
    roll::search(|green| takes(green, signal)).or_else(|| roll::search(sooner_or_later))
}

fn takes_soon(green: &Green, signal: c_int) -> bool {
    blocked_by_handlers(green) & bit(signal) != 0
}

pub fn main_takes(signal: c_int) -> bool {
    roll::main().is_some_and(|main| takes(main, signal))
}

/// A bell: the queue has what it stands for. It may have rung for another thread, which was here and looks by itself when it goes on; and
/// while that one waited to be heard the kernel dropped a second of its kind: so whoever is here looks, whose ever it is.
fn answer_bell(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(me) = current() else { return };
    if arch::guard_word() != 0 {
        return knock();
    }
    if me.mask.get() & bit(signal) != 0 {
        return;
    }
    arch::guard_up();
    match me.pending.take(bit(signal)) {
        Some(kept) => {
            // SAFETY: the frame's siginfo is ours to change before the handler sees it.
            unsafe { *info = kept };
            run(signal, info, context);
        }
        None => leave_runtime(),
    }
}

/// The monitor will ring once more, with its next tick: rung at once, a bell would find the thread where the last one has left it, and no
/// instruction further. Takes no lock.
pub fn ring_again(me: &'static Green) {
    if me.rings_again.swap(true, AcqRel) {
        return;
    }
    let mut head = AGAIN.load(Relaxed);
    loop {
        me.next_to_ring.store(head, Relaxed);
        match AGAIN.compare_exchange(head, me as *const Green as *mut Green, AcqRel, Relaxed) {
            Ok(_) => break,
            Err(now) => head = now,
        }
    }
    fence(SeqCst);
    monitor::awake();
}

/// Is there anybody to ring for again?
pub fn is_to_ring() -> bool {
    !AGAIN.load(SeqCst).is_null()
}

/// Sends a signal to a green thread. One that it blocks, and that is read from a descriptor, is put where a descriptor finds it.
pub fn post(green: &'static Green, info: &siginfo_t) {
    let signal = info.si_signo;
    if !takes(green, signal) && sweep::is_read_from_descriptors(signal) {
        sys::kill_process(sys::process_id(), signal);
        return;
    }
    let ignored = disposition::of(signal).ignores(signal) && green.mask.get() & bit(signal) == 0;
    if (!ignored || green.waits_for.get() & bit(signal) != 0) && green.pending.add(info, true) {
        notify(green);
    }
}

/// Would the signal, sent to this thread now, do to the process what its default is?
pub fn takes_default(green: &Green, signal: c_int) -> bool {
    let action = disposition::of(signal);
    action.handler == libc::SIG_DFL
        && !action.ignores(signal)
        && (green.mask.get() | green.waits_for.get()) & bit(signal) == 0
}

/// Does that, here.
pub fn act_at_once(signal: c_int) {
    let before = sys::set_signal_mask(sys::signal_mask() & !bit(signal));
    act_by_default(signal);
    sys::set_signal_mask(before);
}

/// The monitor's duty: bells, and cancellations, that came at a bad moment.
pub fn ring_those_again() {
    let mut at = AGAIN.swap(std::ptr::null_mut(), AcqRel);
    // SAFETY: only green threads are in the list, and those are never freed.
    while let Some(green) = unsafe { at.as_ref() } {
        at = green.next_to_ring.load(Relaxed);
        green.rings_again.store(false, Release);
        notify(green);
        cancel::remind_again(green);
    }
}

/// Gives a thread that takes it a signal that was sent to the process. It may have ended, or blocked it, just now: whoever sees the
/// other's step hands it on, the thread by its mask or its end, we by what we have put into its queue.
pub fn give(green: &'static Green, info: &siginfo_t) {
    if green.pending.add(info, false) {
        notify(green);
    }
    // (While a handler runs that blocks it, it waits in its order; but for others who would take it.)
    if life_goes_on(green) && takes_soon(green, info.si_signo) {
        if roll::search(|other| takes(other, info.si_signo)).is_some() {
            hand_on_all(green, bit(info.si_signo) & green.mask.get());
        }
    } else {
        hand_on(green);
    }
}

fn life_goes_on(green: &Green) -> bool {
    green.life.load(SeqCst) & (life::FINISHED | life::GONE) == 0
}

/// What a thread was given of the process's signals, and does not take any more, is another's. What only its handlers block is not.
#[inline]
pub fn hand_on(green: &Green) {
    if green.pending.bits() == 0 {
        return;
    }
    let left = if life_goes_on(green) { blocked_for_long(green) } else { u64::MAX };
    if green.pending.bits() & left != 0 {
        hand_on_all(green, left);
    }
}

/// What a thread blocks, but not for its handlers alone.
fn blocked_for_long(green: &Green) -> u64 {
    loop {
        let before = green.handled.load(SeqCst);
        let for_handlers = blocked_by_handlers(green);
        fence(SeqCst);
        let blocked = green.mask.get() & !green.waits_for.get() & !for_handlers;
        fence(SeqCst);
        // (One that has ended in between has opened what it blocked; one that has begun would look like a mask of the thread's own.)
        if green.handled.load(SeqCst) == before {
            return blocked;
        }
    }
}

#[cold]
fn hand_on_all(green: &Green, left: u64) {
    while let Some(info) = green.pending.take_undirected(left) {
        sweep::shelve(&info);
    }
}

/// A thread's queue has something new: if that is to be taken now, its wait ends, or a bell rings where it runs.
fn notify(green: &'static Green) {
    if green.pending.bits() & (!green.mask.get() | green.waits_for.get()) == 0 {
        return;
    }
    green.alerts.fetch_or(alert::SIGNAL, SeqCst);
    if current().is_some_and(|me| std::ptr::eq(me, green)) {
        if arch::guard_word() == 0 {
            deliver(green);
        } else {
            knock();
        }
    } else if let Some(parked) = green.waiter.interrupt() {
        slots::ready(parked);
    // SAFETY: null before its first resume, when it will look by itself; workers are never freed.
    } else if let Some(worker) = unsafe { green.worker.load(SeqCst).as_ref() } {
        ring(green, worker.kernel_tid.load(Relaxed));
    }
}

/// Rings where the thread runs, for the lowest signal that it does not block.
pub fn ring(green: &Green, kernel_tid: i32) {
    let open = green.pending.bits() & !green.mask.get();
    if open != 0 {
        ring_for(green, kernel_tid, open.trailing_zeros() as c_int + 1);
    }
}

/// False: that kernel thread does not hear it.
pub fn ring_for(green: &Green, kernel_tid: i32, signal: c_int) -> bool {
    older::queue_signal(kernel_tid, signal, &information(signal, SI_BELL, green as *const Green as usize)).is_ok()
}

/// Rings a kernel thread, whoever runs there.
pub fn ring_at(kernel_tid: i32, signal: c_int, value: usize) {
    older::queue_signal(kernel_tid, signal, &information(signal, SI_BELL, value)).ok();
}

/// A thread that goes on after others have run: has a signal come meanwhile, which no kernel thread could bring it?
#[inline]
pub fn look(me: &'static Green) {
    if me.alerts.load(Relaxed) & alert::SIGNAL != 0 {
        deliver(me);
    }
}

/// The running thread takes what is in its queue and not blocked: the kernel delivers it right here.
#[cold]
pub fn deliver(me: &'static Green) {
    me.restart.set(true);
    take_waiting(me);
}

/// The same, in the middle of a call: whether that may go on is for all handlers that run meanwhile to say.
pub fn take_waiting(me: &'static Green) {
    if handler::is_between_stacks(me) {
        // Once the frame here ends; if the thread has changed its mask but the kernel has yet to hear of it, when it next looks.
        me.alerts.fetch_or(alert::SIGNAL, SeqCst);
        return ring(me, me.worker().kernel_tid.load(Relaxed));
    }
    me.alerts.fetch_and(!alert::SIGNAL, SeqCst);
    loop {
        let open = me.pending.bits() & !me.mask.get();
        if open == 0 {
            return;
        }
        let (signal, ran) = (open.trailing_zeros() as c_int + 1, me.handlers());
        slots::apply_mask(me.worker(), me);
        if disposition::of(signal).is_handler() {
            ring_for(me, me.worker().kernel_tid.load(Relaxed), signal);
            if me.handlers() == ran {
                // The kernel thread's mask is not what we think: it comes with the next change of mask.
                return;
            }
        } else if me.pending.take(bit(signal)).is_some() && !disposition::of(signal).ignores(signal) {
            act_by_default(signal);
        }
    }
}

/// Gives a worker's kernel thread another mask. A SIGPIPE that the last thread blocked is that one's, not the next one's.
#[cold]
pub fn change_mask(worker: &slots::Worker, mask: u64) {
    if worker.mask.load(Relaxed) & !mask & bit(libc::SIGPIPE) != 0 {
        // SAFETY: null or a green thread, which is never freed.
        unsafe { worker.charged.load(Relaxed).as_ref() }.inspect(|last| keep_own_doing(last));
    }
    sweep::open_for(worker, mask);
    sys::set_signal_mask(mask);
    worker.mask.store(mask, Relaxed);
}

/// A worker has nothing to do: the kernel is to leave to others what has a handler.
pub fn close(worker: &slots::Worker) {
    if disposition::handled() & !worker.mask.load(Relaxed) != 0 {
        change_mask(worker, CLOSED);
    }
}

/// The mask that the kernel thread has is the running thread's.
pub fn note_mask(me: &Green, mask: u64) {
    me.mask.set(mask);
    me.worker().mask.store(mask, Relaxed);
}

/// The running thread's mask is from now on `mask`; what it lets through is delivered before this returns.
pub fn set_mask(me: &'static Green, mask: u64) {
    let mask = mask & CLOSED;
    let same = me.worker().mask.load(Relaxed) == mask;
    note_mask(me, mask);
    if !same {
        sys::set_signal_mask(mask);
    }
    accept(me, mask);
    if me.pending.bits() & !mask != 0 {
        deliver(me);
    }
}

/// main becomes green: what was sent to its kernel thread, and waits there, is in its queue from now on.
pub fn adopt(main: &Green) {
    let mut waiting = Vec::new();
    while let Ok(info) = sys::take_signal(main.mask.get() & sys::pending_signals()) {
        waiting.push(info);
    }
    for info in waiting {
        if info.si_code == SI_TKILL {
            main.pending.add(&info, true);
        } else {
            sweep::put_back(&info);
        }
    }
}

/// A thread accepts now what `mask` does not hold, and no more: what nobody took may come again. main's own defaults are spared.
pub fn accept(me: &Green, mask: u64) {
    fence(SeqCst);
    hand_on(me);
    sweep::accept(me, mask);
}

/// A call that swaps the mask for the time of its wait, as one step (`mask` is what the kernel gets): the kernel decides.
pub fn while_masked<R>(mask: u64, call: impl FnOnce() -> R) -> R {
    let Some(me) = current() else { return call() };
    let before = me.mask.get();
    lend_mask(me, mask & CLOSED);
    let result = cancel::block(|| {
        let result = call();
        note_mask(me, before);
        result
    });
    if me.pending.bits() & !before != 0 {
        deliver(me);
    }
    result
}

/// The running thread's mask is about to be changed inside libc or the kernel, in one step with something else: what is pending
/// and will be let through goes to the kernel thread, where the old mask still holds it back.
fn lend_mask(me: &Green, mask: u64) {
    let before = me.mask.replace(mask);
    accept(me, mask);
    let mut pending = me.pending.bits() & before & !mask;
    while pending != 0 {
        ring_for(me, me.worker().kernel_tid.load(Relaxed), pending.trailing_zeros() as c_int + 1);
        pending &= pending - 1;
    }
}

/// A jump to this place on the stack is about to leave the handlers that run below it.
pub fn leave_handlers(me: &Green, stack_pointer: usize) {
    handler::let_go_left(me, stack_pointer);
}

/// A jump that brings a mask with it, and does not come back.
pub fn before_jump(me: &Green, mask: u64) {
    lend_mask(me, mask & CLOSED);
    me.worker().mask.store(mask & CLOSED, Relaxed);
}

/// sigsuspend: waits, with another mask, until a handler has run. A handler may run on the way into the wait: whether one has is asked
/// where none can run any more, or nobody would end that wait.
pub fn suspend(me: &'static Green, mask: u64) {
    let (before, handled) = (me.mask.get(), me.handlers());
    set_mask(me, mask);
    while me.handlers() == handled {
        wait::wait(Why::Signal, Cancel::Act, None, |_| me.handlers() == handled, || {});
    }
    set_mask(me, before);
}

/// A signal of `set` from the running thread's queue, or from the kernel's.
pub fn take(me: &Green, set: u64) -> Option<siginfo_t> {
    me.pending.take(set).or_else(|| loop {
        let Ok(info) = sys::take_signal(set) else { return sweep::take_aside(set) };
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

/// Of a timer's signal that was put back: the timer knows nothing of it, so its next one waits behind it. Natively that is counted in it.
#[cold]
fn count_later_expiries(first: &mut siginfo_t) {
    while let Ok(info) = sys::take_signal(bit(first.si_signo)) {
        match unwrapped(&info) {
            Some(other) if !pending::count_expiries(first, &other) => return sweep::put_back(&other),
            _ => {}
        }
    }
}

/// What waits for the running thread, or for the process. What waits for this kernel thread alone is a bell for somebody who was here
/// before, unless the running thread brought it about itself.
pub fn waiting(me: &Green) -> u64 {
    const OWN_DOING: u64 = bit(libc::SIGPIPE) | bit(libc::SIGXFSZ);
    let (own, kernels) = (me.pending.bits() & me.mask.get(), sys::pending_signals());
    if kernels & !own & !OWN_DOING == 0 {
        return own | kernels;
    }
    own | kernels & (OWN_DOING | sys::pending_for_process().unwrap_or(u64::MAX))
}

/// A call that has just failed may have left a SIGPIPE with this kernel thread, though it is the thread's: it goes into its queue.
#[cold]
pub fn keep_own_doing(me: &Green) {
    if me.mask.get() & bit(libc::SIGPIPE) != 0 {
        if let Some(info) = sys::take_signal(bit(libc::SIGPIPE)).ok().as_ref().and_then(unwrapped) {
            me.pending.add(&info, true);
        }
    }
}

/// A call in the kernel begins: `restart` is to tell of the handlers that run from now on.
pub fn begin_call() {
    if let Some(me) = current() {
        me.restart.set(true);
    }
}

/// May the call that was interrupted go on? (All handlers that ran had SA_RESTART.)
pub fn restart() -> bool {
    current().is_some_and(|me| me.restart.get())
}

/// In a fork child: nothing waits for it, and its kernel thread has the thread's own alternate stack again.
pub fn after_fork(me: Option<&Green>) {
    pending::after_fork();
    thread_timer::after_fork();
    cpu_timer::after_fork();
    owner::after_fork();
    sweep::after_fork();
    AGAIN.store(std::ptr::null_mut(), Relaxed);
    if let Some(me) = me {
        alternate::give_back(me);
    }
}
