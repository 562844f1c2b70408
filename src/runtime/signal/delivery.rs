//! Delivery: a signal's way into a green thread's queue, and from there to its handler.
//!
//! `post` and `give` put a signal into a queue (`Green::pending`); `notify` makes its thread look: a parked one's wait ends, a running one
//! hears a bell, the running thread itself takes it at once (`deliver`). `entry` tells how all ways of a signal hang together.
//!
//! How `notify` makes a thread look, by what the thread does:
//!
//! ```text
//!   the thread                    notify                                     it takes the signal
//!   is the caller, guard down     delivers                                   before notify returns
//!   is the caller, guard up       knocks                                     as the guard goes down (sweep::answer_knock)
//!   is parked                     ends its wait and makes it ready           when it goes on (take_waiting)
//!   runs, or did last, elsewhere  ends the wait that it has armed, if any,   in the bell's handler (entry::answer_bell), or when
//!                                 and rings at that kernel thread            it next looks
//!   has not begun                 only notes the alert                       at its first look
//! ```
//!
//! The race between a signal for the process and the mask of the thread that it is given to:
//!
//! 1. `give` adds to the thread's queue, then reads its mask and `life`.
//! 2. The thread writes its mask (or `life`, at its end), then fences, then reads its queue (`shelf::accept`).
//! 3. One of the two writes comes first: `give` sees that the thread no longer takes the signal and hands it on, or the thread sees the
//!    signal and hands it on, or takes it.
//!
//! A bell whose handler can do nothing for its thread is rung again with the monitor's next tick (`ring_again`): the list `AGAIN.first` has
//! its thread until then.

use crate::arch;
use crate::base::guard::knock;
use crate::base::signal_set::{bit, CLOSED, FIRST_OF_MANY};
use crate::base::summon;
use crate::runtime::machine::parts::{current, Green};
use crate::runtime::machine::put_back::{is_read_from_descriptors, ASIDE};
use crate::runtime::machine::siginfo::{information, SI_BELL, SI_PUT_BACK, SI_TKILL};
use crate::runtime::machine::words::alert;
use crate::runtime::machine::{disposition, roll};
use crate::runtime::news::waiter::Fired;
use crate::runtime::sched::mask::{self, note_mask};
use crate::runtime::sched::slots;
use crate::runtime::signal::default::act_by_default;
use crate::runtime::signal::shelf::{accept, bring_back, hand_on, hand_on_all, refuse, ARRIVALS};
use crate::runtime::signal::takers::{life_goes_on, takes, takes_soon};
use crate::runtime::signal::{frames, owner};
use crate::sys::{self, older};
use libc::{c_int, siginfo_t};
use std::sync::atomic::{fence, AtomicPtr, Ordering::*};

/// The threads that are to be rung at once more.
struct Again {
    /// A list, linked by `next_to_ring`, of the threads for which a bell rang at a bad moment. Threads push, the monitor takes all. Null:
    /// the list is empty. Threads stay in it once each (`Green::rings_again`).
    first: AtomicPtr<Green>,
}

static AGAIN: Again = Again { first: AtomicPtr::new(std::ptr::null_mut()) };

/// Gives a signal of a timer or a descriptor to the thread that it is for; `None`: that thread has ended, and the signal is dropped. The
/// kernel keeps one SIGIO that names no descriptor at a time for the process, so other owners may have missed theirs: each of them gets one
/// as well. Called in handlers and by sweeps, with no lock held.
pub fn pass_to(whose: Option<&'static Green>, info: &siginfo_t) {
    whose.inspect(|green| post(green, info));
    if owner::is_plain_one(info) {
        owner::others(whose, |green| post(green, info));
    }
}

/// Is this a fault of the instruction that the kernel thread was running? A signal of such a number that was sent (kill, raise) is none:
/// its code is not positive.
pub fn is_fault(info: &siginfo_t) -> bool {
    info.si_code > 0
        && matches!(info.si_signo, libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL | libc::SIGTRAP)
}

/// Has the monitor ring for this thread once more, with its next tick: rung at once, a bell would find the thread where the last one has
/// left it, and no instruction further. Takes no lock: called in handlers. The monitor, which may be about to sleep, learns of it as of a
/// timer (`cpu_timer::set`): the thread is in the list before the bell is read, and the monitor reads the list after it has said ASLEEP.
pub fn ring_again(me: &'static Green) {
    if me.rings_again.swap(true, AcqRel) {
        return;
    }
    let mut head = AGAIN.first.load(Relaxed);
    loop {
        me.next_to_ring.store(head, Relaxed);
        match AGAIN.first.compare_exchange(head, me as *const Green as *mut Green, AcqRel, Relaxed) {
            Ok(_) => break,
            Err(now) => head = now,
        }
    }
    fence(SeqCst);
    summon::awake();
}

/// Is there a thread to ring for again? Asked by the monitor before it sleeps.
pub fn is_to_ring() -> bool {
    !AGAIN.first.load(SeqCst).is_null()
}

/// Sends a signal to a green thread: its handler runs, or it waits in the thread's queue, or is ignored. A blocked signal that the program
/// reads from a descriptor goes to the kernel, where the descriptor finds it. Called on any thread, with no lock held.
pub fn post(green: &'static Green, info: &siginfo_t) {
    let signal = info.si_signo;
    if !takes(green, signal) && is_read_from_descriptors(signal) {
        sys::kill_process(sys::process_id(), signal);
        return;
    }
    let ignored = disposition::of(signal).ignores(signal) && green.mask.get() & bit(signal) == 0;
    if (!ignored || green.signals.waits_for.get() & bit(signal) != 0) && green.signals.pending.add(info, true) {
        notify(green);
    }
}

/// Lets the kernel do a signal's default action on this kernel thread before this returns, as though no mask held it.
pub fn act_at_once(signal: c_int) {
    let before = sys::set_signal_mask(sys::signal_mask() & !bit(signal));
    act_by_default(signal);
    sys::set_signal_mask(before);
}

/// Repeats the bells that came at a bad moment: the monitor's duty, at each tick. `also` reminds a thread of its cancellation.
pub fn ring_those_again(also: impl Fn(&'static Green)) {
    let mut at = AGAIN.first.swap(std::ptr::null_mut(), AcqRel);
    // SAFETY: only green threads are in the list, and those are never freed.
    while let Some(green) = unsafe { at.as_ref() } {
        at = green.next_to_ring.load(Relaxed);
        green.rings_again.store(false, Release);
        notify(green);
        also(green);
    }
}

/// Gives a signal that was sent to the process to a thread that takes it (`takers::taker`). The thread may end, or block it, just now: the
/// race stands above.
pub fn give(green: &'static Green, info: &siginfo_t) {
    if green.signals.pending.add(info, false) {
        notify(green);
    }
    // A signal that only a running handler blocks waits in the queue, in its order, unless another thread would take it.
    if life_goes_on(green) && takes_soon(green, info.si_signo) {
        if roll::search(|other| takes(other, info.si_signo)).is_some() {
            hand_on_all(green, bit(info.si_signo) & green.mask.get());
        }
    } else {
        hand_on(green);
    }
}

/// Makes a thread look at its queue, which has something new, if that is to be taken now (the table above). Called after the signal was
/// added, on any thread, with no lock held. An alert and a wait that begins do not miss each other: the alert is set, then the waiter
/// interrupted; the thread arms its waiter, then reads its alerts (`wait`).
fn notify(green: &'static Green) {
    if green.signals.pending.bits() & (!green.mask.get() | green.signals.waits_for.get()) == 0 {
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

/// Rings at the kernel thread where the thread runs, for the lowest signal in its queue that it does not block. Nothing is lost where the
/// kernel thread runs another by then: the thread looks when it goes on.
pub fn ring(green: &Green, kernel_tid: i32) {
    let open = green.signals.pending.bits() & !green.mask.get();
    if open != 0 {
        ring_for(green, kernel_tid, open.trailing_zeros() as c_int + 1);
    }
}

/// Rings at a kernel thread for this green thread: `signal` comes there, with information that says it is a bell. False: that kernel thread
/// is gone.
pub fn ring_for(green: &Green, kernel_tid: i32, signal: c_int) -> bool {
    older::queue_signal(kernel_tid, signal, &information(signal, SI_BELL, green as *const Green as usize)).is_ok()
}

/// Rings at a kernel thread, whichever thread runs there; `value` tells the bell's handler what for. Called by the monitor, in a shortage.
pub fn ring_at(kernel_tid: i32, signal: c_int, value: usize) {
    older::queue_signal(kernel_tid, signal, &information(signal, SI_BELL, value)).ok();
}

/// Takes signals that came for the running thread while it was not running. Called where a thread goes on after others have run. One load
/// where nothing came.
#[inline]
pub fn look(me: &'static Green) {
    if me.alerts.load(Relaxed) & alert::SIGNAL != 0 {
        deliver(me);
    }
}

/// Takes what is in the running thread's queue and not blocked: the kernel delivers it right here, before this returns. Called with the
/// guard down and no lock held, for a handler may not return. Begins `restart` anew.
#[cold]
pub fn deliver(me: &'static Green) {
    me.wait.restart.set(true);
    take_waiting(me);
}

/// Like `deliver`, but inside a wait: keeps `restart`, so that one handler without SA_RESTART among several ends the call. Each round rings
/// for one signal that has a handler at this very kernel thread, with the thread's mask in force: the handler has run when the system call
/// returns.
pub fn take_waiting(me: &'static Green) {
    if frames::is_between_stacks(me) {
        // The signal is taken once the frame here ends. If the thread has changed its mask and the kernel thread's is not changed yet, it
        // is taken at the next look.
        me.alerts.fetch_or(alert::SIGNAL, SeqCst);
        return ring(me, me.worker().kernel_tid.load(Relaxed));
    }
    me.alerts.fetch_and(!alert::SIGNAL, SeqCst);
    loop {
        let open = me.signals.pending.bits() & !me.mask.get();
        if open == 0 {
            return;
        }
        let (signal, ran) = (open.trailing_zeros() as c_int + 1, me.handlers());
        mask::apply_mask(me.worker(), me);
        if disposition::of(signal).is_handler() {
            ring_for(me, me.worker().kernel_tid.load(Relaxed), signal);
            if me.handlers() == ran {
                // The kernel thread blocks the signal, against what is noted: the signal comes with the next change of mask.
                return;
            }
        } else if me.signals.pending.take(bit(signal)).is_some() && !disposition::of(signal).ignores(signal) {
            act_by_default(signal);
        }
    }
}

/// Makes `mask` the running thread's mask; what it lets through is delivered before this returns. Called by hooks, on that thread, with no
/// lock held; a handler that runs here may not return.
pub fn set_mask(me: &'static Green, mask: u64) {
    let mask = mask & CLOSED;
    let same = me.worker().mask.load(Relaxed) == mask;
    note_mask(me, mask);
    if !same {
        sys::set_signal_mask(mask);
    }
    accept(me, mask);
    if me.signals.pending.bits() & !mask != 0 {
        deliver(me);
    }
}

/// Moves what was sent to main's kernel thread, and waits there, into main's queue. Called by the start, on that kernel thread.
pub fn adopt(main: &Green) {
    let mut waiting = Vec::new();
    while let Ok(info) = sys::take_signal(main.mask.get() & sys::pending_signals()) {
        waiting.push(info);
    }
    for info in waiting {
        if info.si_code == SI_TKILL {
            main.signals.pending.add(&info, true);
        } else {
            put_back(&info);
        }
    }
}

/// Prepares a change of the running thread's mask inside libc or the kernel, in one step with something else (ppoll's wait, a jump): what
/// is pending and will be let through goes to the kernel thread, where the old mask still holds it back. The signals stay in the queue:
/// what is rung is bells.
pub fn lend_mask(me: &Green, mask: u64) {
    let before = me.mask.replace(mask);
    accept(me, mask);
    let mut pending = me.signals.pending.bits() & before & !mask;
    while pending != 0 {
        ring_for(me, me.worker().kernel_tid.load(Relaxed), pending.trailing_zeros() as c_int + 1);
        pending &= pending - 1;
    }
}

/// Lets go of what the handlers hold that run below this place on the stack, and leaves the calls that they interrupted: a jump is about to
/// leave them. Called by the hooks of jumps, on the thread; the handlers' places are forgotten later (`frames::forget_left`). `for_good`:
/// no jump comes back to them, as one does to a context.
pub fn leave_handlers(me: &Green, stack_pointer: usize, for_good: bool) {
    frames::let_go_left(me, stack_pointer);
    frames::leave_calls(me, stack_pointer);
    if for_good {
        frames::empty_left(me, stack_pointer);
    }
}

/// Prepares a jump that brings a mask with it, and does not come back. The mask is noted as the kernel thread's, which libc's jump makes
/// true.
pub fn before_jump(me: &Green, mask: u64) {
    lend_mask(me, mask & CLOSED);
    me.worker().mask.store(mask & CLOSED, Relaxed);
}

/// The signals that wait for the running thread, or for the process: sigpending's answer. What waits for this kernel thread alone is a bell
/// for a thread that ran here before, unless the running thread brought it about itself.
pub fn waiting(me: &Green) -> u64 {
    const OWN_DOING: u64 = bit(libc::SIGPIPE) | bit(libc::SIGXFSZ);
    let (own, kernels) = (me.signals.pending.bits() & me.mask.get(), sys::pending_signals());
    if kernels & !own & !OWN_DOING == 0 {
        return own | kernels;
    }
    own | kernels & (OWN_DOING | sys::pending_for_process().unwrap_or(u64::MAX))
}

/// Begins a call in the kernel: `restart` tells of the handlers that run from now on. Called on any thread before a call that is made in
/// the kernel; does nothing on one that is not green.
pub fn begin_call() {
    if let Some(me) = current() {
        me.wait.restart.set(true);
    }
}

/// May the call that was interrupted begin again? True while each handler that ran since `begin_call`, or since the wait began, had
/// SA_RESTART; else the call fails by EINTR.
pub fn restart() -> bool {
    current().is_some_and(|me| me.wait.restart.get())
}

/// Forgets the bells that are to ring again in a fork child.
pub fn after_fork() {
    let Again { first } = &AGAIN;
    first.store(std::ptr::null_mut(), Relaxed);
}

/// Sends a signal that no thread takes back to the kernel, where it waits in the process's queue. A signal that no kernel thread may block
/// (`sys::keep_open`) cannot wait there: it waits in main's queue.
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
    // A thread that unblocked the signal meanwhile looked at `ASIDE` before the signal was put there: so look once more.
    if is_aside && ARRIVALS.refused.load(SeqCst) & bit(info.si_signo) == 0 {
        bring_back(bit(info.si_signo));
    }
}
