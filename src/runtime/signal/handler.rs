//! Running the program's handlers: on which stack, with which mask, and what follows when one does not return.
//!
//! While a handler runs its thread stays on its kernel thread (pinned): the frame's end is the kernel's. A handler left by a jump is
//! noticed when the thread next wants to wait, or takes another signal: its stack pointer is no longer where the handler ran (`frames`).
//!
//! A handler runs on the stack that it has natively: its thread's own alternate stack, where the handler has SA_ONSTACK, or the stack that
//! was interrupted. The whole frame lies there, so that the handler, an unwinder and the frame's end find everything where the kernel would
//! have put it:
//!
//! 1. The kernel makes the frame on the worker's alternate stack, with all signals blocked.
//! 2. The frame is moved to the thread's stack (`alternate`), and the thread goes on there (`run_on`).
//! 3. The mask opens, and the program's handler runs (`complete`).
//! 4. The thread comes back to the worker's alternate stack, with all signals blocked again, for `end`: the thread's own alternate stack
//!    may have room for the handler only.

use crate::arch::frame::{Frame, Room};
use crate::base::guard;
use crate::base::signal_set::{bit, CLOSED};
use crate::runtime::machine::counts;
use crate::runtime::machine::disposition::{self, Action};
use crate::runtime::machine::parts::{current, Green};
use crate::runtime::machine::place::Place;
use crate::runtime::sched::mask::{self, note_mask};
use crate::runtime::signal::default::{act_by_default, set_default};
use crate::runtime::signal::delivery::{is_fault, ring};
use crate::runtime::signal::frames::{enter, forget_left, leave, lowest_of, workers_stack};
use crate::runtime::signal::shelf::accept;
use crate::runtime::signal::worker_stack::{self, of_worker};
use crate::runtime::signal::{exec_stack, overflow};
use crate::{arch, sys};
use libc::{c_int, c_void, siginfo_t, stack_t, ucontext_t};
use std::sync::atomic::Ordering::*;

/// A handler's call, as the kernel made it. The pointers lead into the kernel's frame, or into the frame as it was moved.
#[derive(Clone, Copy)]
pub struct Call {
    action: Action,
    pub signal: c_int,
    pub info: *mut siginfo_t,
    pub context: *mut c_void,
}

impl Call {
    /// Lets the guard down and calls the handler, with this mask: the kernel thread has another one where the kernel has blocked all
    /// signals, or may have called the handler as an earlier action asked for.
    fn make(&self, mask: u64) {
        guard::leave_runtime();
        let signal = self.signal;
        if self.action.has(libc::SA_ONSTACK) || signal == libc::SIGSYS || disposition::varies(signal) {
            sys::set_signal_mask(mask);
        }
        self.enter();
    }

    /// Calls the program's function, with three arguments or one as SA_SIGINFO says.
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

    /// The signal's information, from the kernel.
    fn info(&self) -> &siginfo_t {
        // SAFETY: the kernel's siginfo, in the frame.
        unsafe { &*self.info }
    }

    /// The frame around this call.
    fn frame(&self) -> Frame {
        // SAFETY: the kernel's frame, or as it was moved.
        unsafe { Frame::of(self.info, self.context) }
    }

    /// The stack pointer of what was interrupted.
    fn interrupted(&self) -> usize {
        // SAFETY: the kernel's frame.
        unsafe { arch::registers::Registers::of(self.context) }.stack_pointer()
    }

    /// Was the interrupted stack one that may be executed? Then it may be executed now, and the instruction runs again.
    fn is_mended(&self) -> bool {
        // SAFETY: the kernel's frame.
        let instruction = unsafe { arch::registers::Registers::of(self.context) }.instruction();
        current().is_some_and(|me| exec_stack::mend(me, self.info(), instruction))
    }

    /// The alternate stack that the frame names.
    fn named_stack(&self) -> *mut stack_t {
        // SAFETY: the kernel's frame.
        unsafe { &raw mut (*(self.context as *mut ucontext_t)).uc_stack }
    }

    /// The mask that the frame's end brings back; a handler may have changed it.
    fn mask_after(&self) -> u64 {
        // SAFETY: the kernel's frame; its mask has 64 bits.
        unsafe { *(&(*(self.context as *const ucontext_t)).uc_sigmask as *const _ as *const u64) }
    }
}

/// Calls the program's handler, or does what the default is. Called in the kernel's handler. The guard is up, since before the signal was
/// taken out of its queue, and goes down right before that: a signal that comes meanwhile finds the thread's mask as the handler has it, so
/// that a later one of its kind does not overtake it.
pub fn run(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let mut call = Call { action: Action::default(), signal, info, context };
    if signal == libc::SIGSEGV && is_fault(call.info()) && call.is_mended() {
        return;
    }
    call.action = disposition::take(signal);
    if !call.action.is_handler() {
        return run_default(&call);
    }
    match current() {
        Some(me) => run_on(me, call),
        None => call.make(call.mask_after() | call.action.blocks(call.signal) & CLOSED),
    }
}

/// A handler that runs on a green thread.
struct Running {
    me: &'static Green,
    call: Call,
    /// The thread's mask before.
    before: u64,
    /// The mask that the frame's end would bring back.
    brought_back: u64,
    /// No other handler runs on the thread.
    outermost: bool,
    /// The handler runs on the thread's alternate stack.
    on_alternate: bool,
    /// The signals that the interrupted call waits for: not while a handler runs, which may leave it by a jump.
    waits_for: u64,
}

/// Runs the handler on a green thread: pinned, and with the mask that the kernel has given the handler noted as the thread's own. After it
/// the thread's mask is what it was, unless the handler has changed the one in the frame.
fn run_on(me: &'static Green, call: Call) {
    let Ok(stack) = stack_for(me, &call) else { return find_no_room(call) };
    me.wait.restart.set(me.wait.restart.get() && call.action.has(libc::SA_RESTART));
    me.handled.store(me.handled.load(Relaxed).wrapping_add(1), SeqCst);
    let (before, brought_back) = (me.mask.get(), call.mask_after());
    forget_left(me, call.interrupted());
    // From here until `end` puts the mask back, what the thread newly blocks is blocked by handlers only.
    let outermost = me.thread.pins() == 0;
    if outermost {
        me.signals.outer_mask.set(before);
    }
    me.thread.pinned.set(me.thread.pinned.get() + 1);
    note_mask(me, before | call.action.blocks(call.signal) & CLOSED);
    let place = stack.as_ref().map_or_else(|| place_here(me, &call), |stack| stack.place);
    let on_alternate = stack.as_ref().is_some_and(|stack| stack.is_alternate);
    enter(me, place);
    me.thread.pinned.set(me.thread.pinned.get() - 1);
    // SAFETY: the kernel's frame.
    unsafe { *call.named_stack() = me.signals.alternate.get().noted() };
    if on_alternate {
        me.signals.alternate.set(me.signals.alternate.get().while_used());
    }
    let mut running =
        Running { me, call, before, brought_back, outermost, on_alternate, waits_for: me.signals.waits_for.replace(0) };
    match stack {
        None => complete(&running),
        // SAFETY: the room was found on a stack that is free there: the thread's own alternate one, or what is unused of the interrupted
        // one. Nothing on this stack is needed any more.
        Some(stack) => unsafe {
            let (info, context, more) = call.frame().move_to(&stack.room);
            (running.call.info, running.call.context) = (info, context);
            let moved = more.next_multiple_of(align_of::<Running>()) as *mut Running;
            moved.write(running);
            arch::go_on_in_frame(stack.room.start, complete_moved, moved as usize)
        },
    }
}

/// Goes on after the frame has been moved: called, as the kernel calls handlers, on the stack where the frame now lies. It returns into the
/// end of that frame, as a handler does.
extern "C" fn complete_moved(running: usize) {
    // SAFETY: `run_on` has left it above the frame.
    complete(unsafe { &*(running as *const Running) });
}

/// Calls the handler, on the stack where it belongs, and then `end`.
fn complete(running: &Running) {
    let me = running.me;
    running.call.make(me.mask.get());
    if !current().is_some_and(|now| std::ptr::eq(now, me)) {
        return; // A handler forked, and this is the child.
    }
    if running.on_alternate {
        sys::set_signal_mask(CLOSED);
        // SAFETY: nothing lies on the worker's alternate stack, and no signal comes there meanwhile.
        unsafe { arch::call_on(of_worker(me.worker()).top(), end, running as *const Running as usize) };
    } else {
        end(running as *const Running as usize);
    }
}

/// Puts back what `run_on` changed: the handler has returned. Called on the worker's alternate stack, with all signals blocked, or where
/// the handler ran.
extern "C" fn end(running: usize) {
    // SAFETY: `complete` passes its own.
    let Running { me, call, before, brought_back, outermost, waits_for, .. } = unsafe { &*(running as *const Running) };
    me.thread.pinned.set(me.thread.pinned.get() + 1);
    leave(me);
    // SAFETY: the kernel's frame, which ends soon.
    unsafe { worker_stack::return_from(me, call.context as usize, call.named_stack()) };
    me.signals.waits_for.set(*waits_for);
    let after = call.mask_after();
    let mask = if after == *brought_back { *before } else { after & CLOSED };
    mask::open_for(me.worker(), mask);
    note_mask(me, mask);
    me.thread.pinned.set(me.thread.pinned.get() - 1);
    if *outermost {
        me.signals.outer_mask.set(u64::MAX);
    }
    accept(me, me.mask.get());
    ring(me, me.worker().kernel_tid.load(Relaxed));
}

/// Below the interrupted stack pointer lies a red zone that leaf functions use (System V ABI).
const RED_ZONE: usize = 128;

/// The place where a handler is to go on.
struct Stack {
    place: Place,
    room: Room,
    is_alternate: bool,
}

/// The stack has no room for a handler's frame.
struct NoRoom;

/// The stack that the kernel would have come to for the thread; `None`: it has come there. Handlers with SA_ONSTACK are installed with all
/// signals blocked (hooks/signal): the mask opens only once the frame has moved, for an earlier signal would be delivered on the worker's
/// stack, over the first frame.
fn stack_for(me: &Green, call: &Call) -> Result<Option<Stack>, NoRoom> {
    let (own, workers, interrupted) = (me.signals.alternate.get(), workers_stack(me), call.interrupted());
    if workers.holds(interrupted) {
        return Ok(None);
    }
    if call.action.has(libc::SA_ONSTACK) && own.bytes != 0 && !own.is_in_use(interrupted) {
        let room = call.frame().below(own.top(), size_of::<Running>());
        let native = call.frame().below(own.top(), 0);
        let place = Place::new(own.lowest, own.top());
        return own.holds(native.start).then_some(Some(Stack { place, room, is_alternate: true })).ok_or(NoRoom);
    }
    if !workers.holds(arch::stack_pointer()) {
        return Ok(None);
    }
    let top = interrupted - RED_ZONE;
    let room = call.frame().below(top, size_of::<Running>());
    let is_used_up = own.is_in_use(interrupted) && !own.holds(room.start)
        || call.signal == libc::SIGSEGV && is_fault(call.info()) && me.vessel.stack.get().guards(room.start);
    if is_used_up {
        return Err(NoRoom);
    }
    Ok(Some(Stack { place: Place::new(lowest_of(me, interrupted), top), room, is_alternate: false }))
}

/// Does what the kernel does without room for a frame: the signal becomes a SIGSEGV of its own, and that one ends the process.
#[cold]
fn find_no_room(call: Call) {
    const SI_KERNEL: c_int = 0x80;
    if call.signal != libc::SIGSEGV && disposition::of(libc::SIGSEGV).is_handler() {
        // SAFETY: the frame's siginfo; all-zero is a value of it.
        unsafe {
            *call.info = std::mem::zeroed();
            ((*call.info).si_signo, (*call.info).si_code) = (libc::SIGSEGV, SI_KERNEL);
        }
        return run(libc::SIGSEGV, call.info, call.context);
    }
    if call.signal == libc::SIGSEGV && is_fault(call.info()) {
        return run_default(&call);
    }
    guard::leave_runtime();
    // SAFETY: the kernel's frame; its mask has 64 bits.
    unsafe { *(&raw mut (*(call.context as *mut ucontext_t)).uc_sigmask as *mut u64) &= !bit(libc::SIGSEGV) };
    act_by_default(libc::SIGSEGV);
}

/// The place of a handler that runs where the kernel came to: an alternate stack, or what lies below the interrupted stack pointer. The
/// place ends at that pointer, exclusive: a jump out of the handler may land exactly there. (The stack pointer here is lower.)
fn place_here(me: &Green, call: &Call) -> Place {
    let (here, interrupted) = (arch::stack_pointer(), call.interrupted());
    let own = me.signals.alternate.get();
    let alternates = [Place::new(own.lowest, own.top()), workers_stack(me)];
    let alternate = alternates.into_iter().find(|stack| stack.holds(here) && !stack.holds(interrupted));
    alternate.unwrap_or(Place::new(lowest_of(me, here), interrupted))
}

/// Does the default action of a signal that the program has no handler for: a fault, or a signal whose disposition has just changed. Called
/// in the kernel's handler.
#[cold]
fn run_default(call: &Call) {
    guard::leave_runtime();
    if !is_fault(call.info()) {
        if !call.action.ignores(call.signal) {
            act_by_default(call.signal);
        }
        return;
    }
    // SAFETY: a fault's siginfo has an address.
    let address = unsafe { call.info().si_addr() } as usize;
    if let Some(me) = current().filter(|me| call.signal == libc::SIGSEGV && me.vessel.stack.get().guards(address)) {
        overflow::tell(me);
    }
    counts::before_end();
    // The faulting instruction runs again and meets the default.
    set_default(call.signal);
}
