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
use crate::base::guard::knock;
use crate::base::signal_set::{bit, CLOSED, FIRST_OF_MANY};
use crate::base::summon;
use crate::runtime::machine::parts::{current, Green};
use crate::runtime::machine::put_back::{self, is_read_from_descriptors, ASIDE};
use crate::runtime::machine::siginfo::{information, SI_BELL, SI_PUT_BACK, SI_TKILL};
use crate::runtime::machine::words::alert;
use crate::runtime::machine::{disposition, roll};
use crate::runtime::news::waiter::Fired;
use crate::runtime::sched::mask::{self, note_mask};
use crate::runtime::sched::slots;
use crate::runtime::signal::default::act_by_default;
use crate::runtime::signal::shelf::{accept, bring_back, hand_on, hand_on_all, refuse, REFUSED};
use crate::runtime::signal::takers::{life_goes_on, takes, takes_soon};
use crate::runtime::signal::{delivery, frames, owner};
use crate::sys::{self, older};
use libc::{c_int, siginfo_t};
use std::sync::atomic::{fence, AtomicPtr, Ordering::*};

/// Threads for whom a bell rang while they were inside the runtime.
static AGAIN: AtomicPtr<Green> = AtomicPtr::new(std::ptr::null_mut());

/// Gives such a signal to its thread. Of a SIGIO that names no descriptor the process keeps one at a time: it may have been others', too.
pub fn pass_to(whose: Option<&'static Green>, info: &siginfo_t) {
    whose.inspect(|green| post(green, info));
    if owner::is_plain_one(info) {
        owner::others(whose, |green| post(green, info));
    }
}

pub fn is_fault(info: &siginfo_t) -> bool {
    info.si_code > 0
        && matches!(info.si_signo, libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL | libc::SIGTRAP)
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
    summon::awake();
}

/// Is there anybody to ring for again?
pub fn is_to_ring() -> bool {
    !AGAIN.load(SeqCst).is_null()
}

/// Sends a signal to a green thread. One that it blocks, and that is read from a descriptor, is put where a descriptor finds it.
pub fn post(green: &'static Green, info: &siginfo_t) {
    let signal = info.si_signo;
    if !takes(green, signal) && put_back::is_read_from_descriptors(signal) {
        sys::kill_process(sys::process_id(), signal);
        return;
    }
    let ignored = disposition::of(signal).ignores(signal) && green.mask.get() & bit(signal) == 0;
    if (!ignored || green.waits_for.get() & bit(signal) != 0) && green.pending.add(info, true) {
        notify(green);
    }
}

/// Does that, here.
pub fn act_at_once(signal: c_int) {
    let before = sys::set_signal_mask(sys::signal_mask() & !bit(signal));
    act_by_default(signal);
    sys::set_signal_mask(before);
}

/// Called by the monitor, with what reminds a thread of its cancellation: repeats the bells that came at a bad moment.
pub fn ring_those_again(also: impl Fn(&'static Green)) {
    let mut at = AGAIN.swap(std::ptr::null_mut(), AcqRel);
    // SAFETY: only green threads are in the list, and those are never freed.
    while let Some(green) = unsafe { at.as_ref() } {
        at = green.next_to_ring.load(Relaxed);
        green.rings_again.store(false, Release);
        notify(green);
        also(green);
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
    } else if let Fired::Wake(_) = green.waiter.interrupt() {
        slots::ready(green);
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
    if frames::is_between_stacks(me) {
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
        mask::apply_mask(me.worker(), me);
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
            delivery::put_back(&info);
        }
    }
}

/// The running thread's mask is about to be changed inside libc or the kernel, in one step with something else: what is pending
/// and will be let through goes to the kernel thread, where the old mask still holds it back.
pub fn lend_mask(me: &Green, mask: u64) {
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
    frames::let_go_left(me, stack_pointer);
}

/// A jump that brings a mask with it, and does not come back.
pub fn before_jump(me: &Green, mask: u64) {
    lend_mask(me, mask & CLOSED);
    me.worker().mask.store(mask & CLOSED, Relaxed);
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

/// In a fork child: no bell is to ring.
pub fn after_fork() {
    AGAIN.store(std::ptr::null_mut(), Relaxed);
}

/// Nobody takes it: it waits in the kernel's queue. What no kernel thread may block cannot: it waits in main's.
pub fn put_back(info: &siginfo_t) {
    if let Some(main) = roll::main().filter(|_| sys::without_kept_open(bit(info.si_signo)) == 0) {
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
