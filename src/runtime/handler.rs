//! Running the program's handlers: on which stack, with which mask, and what follows when one does not return.
//!
//! While a handler runs its thread stays on its kernel thread (pinned): the frame's end is the kernel's. A handler left by a jump is
//! noticed when the thread next wants to wait, or takes another signal: its stack pointer is no longer where the handler ran.
//!
//! Every worker has an alternate stack, where the kernel comes with signals whose handlers have SA_ONSTACK, and with stack
//! overflows. From there a handler goes on to where it would have run natively: to its thread's own alternate stack, or to the
//! stack that was interrupted. The kernel is told to forget the worker's stack until the frame ends (SS_AUTODISARM), so that a second
//! signal meanwhile does not overwrite the first one's frame. It blocks all signals for such a handler (hooks/signal.rs), which are let in
//! only while the program's own code runs: one that came in between would find no stack to run on but what holds the frames.

use super::disposition::{self, Action};
use super::green::{current, Green};
use super::reactor::Record;
use super::sched::Worker;
use super::signal::{self, accept, is_fault, note_mask, ring, CLOSED};
use super::{exec_stack, overflow, process_signal, stats};
use crate::{arch, sys};
use libc::{c_int, c_void, siginfo_t, ucontext_t};
use std::sync::atomic::Ordering::*;

/// A worker's alternate stack.
pub const STACK_BYTES: usize = 64 << 10;
/// linux/signal.h.
const SS_AUTODISARM: c_int = 1 << 31;

/// A handler's call, as the kernel made it.
pub struct Call {
    action: Action,
    pub signal: c_int,
    pub info: *mut siginfo_t,
    pub context: *mut c_void,
}

impl Call {
    /// Calls the handler, with this mask where the kernel has blocked all signals.
    fn make(&self, mask: u64) {
        signal::leave_runtime();
        let closed = self.action.has(libc::SA_ONSTACK);
        if closed {
            sys::set_signal_mask(mask);
        }
        self.enter();
        if closed {
            sys::set_signal_mask(CLOSED);
        }
    }

    fn enter(&self) {
        // SAFETY: the program's own handler, called with what the kernel gave.
        unsafe {
            if self.action.has(libc::SA_SIGINFO) {
                let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                    std::mem::transmute(self.action.handler);
                handler(self.signal, self.info, self.context)
            } else {
                let handler: extern "C" fn(c_int) = std::mem::transmute(self.action.handler);
                handler(self.signal)
            }
        }
    }

    fn info(&self) -> &siginfo_t {
        // SAFETY: the kernel's siginfo, in the frame.
        unsafe { &*self.info }
    }

    /// The stack pointer of what was interrupted.
    fn interrupted(&self) -> usize {
        // SAFETY: the kernel's frame.
        unsafe { arch::Registers::of(self.context) }.stack_pointer()
    }

    /// Was it a stack that may be executed?
    fn is_mended(&self) -> bool {
        // SAFETY: the kernel's frame.
        let instruction = unsafe { arch::Registers::of(self.context) }.instruction();
        current().is_some_and(|me| exec_stack::mend(me, self.info(), instruction))
    }

    /// The mask that the frame's end brings back; a handler may have changed it.
    fn mask_after(&self) -> u64 {
        // SAFETY: the kernel's frame; its mask has 64 bits.
        unsafe { *(&(*(self.context as *const ucontext_t)).uc_sigmask as *const _ as *const u64) }
    }
}

extern "C" fn make(call: usize) {
    // SAFETY: `run_on` passes a call on its stack, and a green thread runs.
    let call = unsafe { &*(call as *const Call) };
    call.make(current().map_or(CLOSED, |me| me.mask.get()));
}

/// Calls the program's handler, or does what the default is. The guard is up, since before the signal was taken out of its queue, and goes
/// down right before that: whatever comes meanwhile finds the thread's mask as the handler has it, so that a later one of its kind
/// does not overtake it.
pub fn run(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let call = Call { action: disposition::of(signal), signal, info, context };
    if signal == libc::SIGSEGV && is_fault(call.info()) && call.is_mended() {
        return;
    }
    if !call.action.is_handler() {
        return run_default(&call);
    }
    if call.action.has(libc::SA_RESETHAND) {
        disposition::set(signal, Action::DEFAULT);
        set_default(signal);
    }
    match current() {
        Some(me) => run_on(me, &call),
        None => call.make(call.mask_after() | call.action.blocks(call.signal) & CLOSED),
    }
}

/// On a green thread: pinned, and with the mask that the kernel has given the handler noted as the thread's own. After it the thread's
/// mask is what it was, unless the handler changes it; that the frame brings back another shows that it was just being changed.
fn run_on(me: &'static Green, call: &Call) {
    me.restart.set(me.restart.get() && call.action.has(libc::SA_RESTART));
    me.handled.store(me.handled.load(Relaxed).wrapping_add(1), SeqCst);
    let (before, brought_back) = (me.mask.get(), call.mask_after());
    forget_left(me, call.interrupted());
    // From here until the mask is back: what is blocked in between is blocked by handlers only.
    let outermost = me.pinned.get() == 0;
    if outermost {
        me.outer_mask.set(before);
    }
    me.pinned.set(me.pinned.get() + 1);
    note_mask(me, before | call.action.blocks(call.signal) & CLOSED);
    let entered = || me.pinned.set(me.pinned.get() - 1);
    match own_stack(me, call) {
        Some(place) => {
            enter(me, place);
            entered();
            // SAFETY: the stack below `top` is the thread's own alternate stack, or what is unused of the interrupted one.
            unsafe { arch::call_on(place.top, make, call as *const Call as usize) };
        }
        None => {
            enter(me, place_here(me, call));
            entered();
            call.make(me.mask.get());
        }
    }
    if !current().is_some_and(|now| std::ptr::eq(now, me)) {
        return; // A handler forked, and this is the child.
    }
    me.pinned.set(me.pinned.get() + 1);
    leave(me);
    let after = call.mask_after();
    let mask = if after == brought_back { before } else { after & CLOSED };
    process_signal::open_for(me.worker(), mask);
    note_mask(me, mask);
    me.pinned.set(me.pinned.get() - 1);
    if outermost {
        me.outer_mask.set(u64::MAX);
    }
    accept(me, me.mask.get());
    ring(me, me.worker().kernel_tid.load(Relaxed));
}

/// Where a handler runs: it is over, or was left by a jump, when the stack pointer is not in here.
#[derive(Clone, Copy)]
pub struct Place {
    low: usize,
    top: usize,
    /// What the call that it interrupted holds on to.
    held: Option<&'static Record>,
}

impl Place {
    fn new(low: usize, top: usize) -> Place {
        Place { low, top, held: None }
    }

    fn holds(&self, address: usize) -> bool {
        (self.low..self.top).contains(&address)
    }
}

/// Below the interrupted stack pointer lies a red zone that leaf functions use (System V ABI).
const RED_ZONE: usize = 128;

/// The alternate stack of the thread's worker.
fn workers_stack(me: &Green) -> Place {
    let low = me.worker().signal_stack.get();
    Place::new(low, low + STACK_BYTES)
}

/// Is this the alternate stack of the thread's worker, with the kernel's frame on it, and not the program's own code that runs on it?
/// No other handler may come here.
pub fn is_between_stacks(me: &Green) -> bool {
    workers_stack(me).holds(arch::stack_pointer()) && sys::signal_mask() & CLOSED == CLOSED
}

/// For a handler with which the kernel came to the worker's alternate stack: the stack that is its own.
fn own_stack(me: &Green, call: &Call) -> Option<Place> {
    let (workers, interrupted) = (workers_stack(me), call.interrupted());
    // (A fault's handler may run on that stack: what interrupts it goes on below.)
    if !workers.holds(arch::stack_pointer()) || workers.holds(interrupted) {
        return None;
    }
    let [low, _, bytes] = me.alternate.get();
    let alternate = Place::new(low, low + bytes);
    if bytes != 0 && !alternate.holds(interrupted) {
        return Some(alternate);
    }
    (!is_fault(call.info())).then(|| Place::new(lowest_of(me, interrupted), interrupted - RED_ZONE))
}

/// For a handler that runs where the kernel came to: an alternate stack, or what lies below the interrupted stack pointer. (That itself is
/// where a jump out of the handler may lead to; ours, here, is farther down.)
fn place_here(me: &Green, call: &Call) -> Place {
    let (here, interrupted) = (arch::stack_pointer(), call.interrupted());
    let [low, _, bytes] = me.alternate.get();
    let alternates = [Place::new(low, low + bytes), workers_stack(me)];
    let alternate = alternates.into_iter().find(|stack| stack.holds(here) && !stack.holds(interrupted));
    alternate.unwrap_or(Place::new(lowest_of(me, here), interrupted))
}

/// Where the stack that `address` lies on may begin.
fn lowest_of(me: &Green, address: usize) -> usize {
    let own = me.stack.get().lowest..me.stack.get().lowest + me.stack.get().bytes;
    if own.contains(&address) {
        own.start
    } else {
        0
    }
}

/// Changes the places of the thread's handlers: none comes meanwhile.
fn change<R>(me: &Green, change: impl FnOnce(&mut Vec<Place>) -> R) -> R {
    arch::guard_up();
    // SAFETY: only the running thread touches its handlers' places, and while the guard is up no handler runs.
    let result = change(unsafe { &mut *me.handlers.get() });
    signal::leave_runtime();
    result
}

fn enter(me: &Green, place: Place) {
    change(me, |places| {
        places.push(Place { held: me.held.take(), ..place });
        me.pinned.set(me.pinned.get() + 1);
    });
}

fn leave(me: &Green) {
    change(me, |places| end_last(me, places));
}

fn end_last(me: &Green, places: &mut Vec<Place>) {
    if let Some(place) = places.pop() {
        me.held.set(place.held);
        me.pinned.set(me.pinned.get().saturating_sub(1));
    }
}

/// The stack pointer is, or was, `here`: the handlers that this is not in were left by a jump.
fn forget_left(me: &Green, here: usize) {
    let_go_left(me, here);
    let left = change(me, |places| {
        let before = places.len();
        while places.last().is_some_and(|place| !place.holds(here)) {
            end_last(me, places);
            give_stack_again(me.worker());
        }
        places.len() != before
    });
    if left {
        signal::hand_on(me); // What they blocked, and the jump left so, is blocked for long.
    }
}

/// The same for what those handlers, and the calls that they interrupted, held on to: by the jump itself, for nobody else is to wait
/// until the thread notices.
pub fn let_go_left(me: &Green, here: usize) {
    change(me, |places| {
        for place in places.iter_mut().rev().take_while(|place| !place.holds(here)) {
            for record in [me.held.take(), place.held.take()].into_iter().flatten() {
                record.let_go();
            }
        }
    });
}

/// How many handlers run on this thread.
pub fn running(me: &Green) -> u32 {
    change(me, |places| places.len() as u32)
}

/// Is the running thread bound to its kernel thread?
#[inline]
pub fn is_bound(me: &Green) -> bool {
    me.pinned.get() > 0 && is_still_bound(me)
}

#[cold]
fn is_still_bound(me: &Green) -> bool {
    forget_left(me, arch::stack_pointer());
    me.pinned.get() > 0
}

/// The thread ends, perhaps out of a handler.
pub fn forget_all(me: &Green) {
    forget_left(me, 0);
    if let Some(record) = me.held.take() {
        record.let_go();
    }
}

/// The program has no handler for what came: a fault, or a signal whose disposition has just changed.
#[cold]
fn run_default(call: &Call) {
    signal::leave_runtime();
    if !is_fault(call.info()) {
        if !call.action.ignores(call.signal) {
            act_by_default(call.signal);
        }
        return;
    }
    // SAFETY: a fault's siginfo has an address.
    let address = unsafe { call.info().si_addr() } as usize;
    if let Some(me) = current().filter(|me| call.signal == libc::SIGSEGV && me.stack.get().guards(address)) {
        overflow::tell(me);
    }
    stats::before_end();
    // The faulting instruction runs again and meets the default.
    set_default(call.signal);
}

fn set_default(signal: c_int) {
    // SAFETY: the default disposition has no handler.
    unsafe { sys::signal_action(signal, &[0; 4], std::ptr::null_mut()) };
}

/// Lets the kernel do what the default is, as soon as this kernel thread does not block the signal.
pub fn act_by_default(signal: c_int) {
    if disposition::ends(signal) {
        stats::before_end();
    }
    set_default(signal);
    sys::signal_thread(sys::kernel_thread_id(), signal).ok();
}

/// Gives a worker's kernel thread an alternate stack.
pub fn give_stack(worker: &Worker) {
    if worker.signal_stack.get() != 0 {
        return give_stack_again(worker);
    }
    let Some(stack) = sys::map(STACK_BYTES, libc::MAP_STACK) else { return };
    worker.signal_stack.set(stack as usize);
    give_stack_again(worker);
}

/// The kernel has forgotten it, for a handler on it did not end.
fn give_stack_again(worker: &Worker) {
    let stack = libc::stack_t {
        ss_sp: worker.signal_stack.get() as *mut c_void,
        ss_flags: SS_AUTODISARM,
        ss_size: STACK_BYTES,
    };
    sys::alternate_stack(&stack, std::ptr::null_mut());
}

/// The kernel thread's alternate stack is the program's own: as `Green::alternate` keeps it.
pub fn take_stack() -> [usize; 3] {
    // SAFETY: all-zero is a value of stack_t; the kernel writes into it.
    let mut stack: libc::stack_t = unsafe { std::mem::zeroed() };
    sys::alternate_stack(std::ptr::null(), &mut stack);
    [stack.ss_sp as usize, stack.ss_flags as usize, stack.ss_size]
}

/// In a fork child: its kernel thread has the thread's own alternate stack again.
pub fn return_stack(me: &Green) {
    let [sp, flags, size] = me.alternate.get();
    let stack = libc::stack_t { ss_sp: sp as *mut c_void, ss_flags: flags as c_int, ss_size: size };
    sys::alternate_stack(&stack, std::ptr::null_mut());
}
