//! The alternate signal stacks of workers' kernel threads, and how a handler's frame leaves them.

use crate::runtime::machine::alternate::{Alternate, STACK_BYTES};
use crate::runtime::machine::parts::{Green, Worker};
use crate::sys;
use libc::stack_t;

/// The alternate stack of a worker.
pub fn of_worker(worker: &Worker) -> Alternate {
    Alternate { lowest: worker.signal_stack.get(), flags: 0, bytes: STACK_BYTES }
}

/// Does what the end of a handler's frame does to alternate stacks: the thread's is the one that the frame names, as in the kernel, and the
/// frame names the worker's. `stack_pointer`: where the frame lies. Called on the thread, after its handler.
///
/// # Safety
/// `named` is the `uc_stack` of the handler's frame, which is alive and which no handler changes meanwhile.
pub unsafe fn return_from(me: &Green, stack_pointer: usize, named: *mut stack_t) {
    if !me.signals.alternate.get().is_in_use(stack_pointer) {
        // SAFETY: the caller's frame.
        if let Ok(stack) = Alternate::wanted(unsafe { &*named }) {
            me.signals.alternate.set(stack);
        }
    }
    // SAFETY: as above.
    unsafe { *named = of_worker(me.worker()).noted() };
}

/// Gives a worker's kernel thread its alternate stack, which lies below the worker's own.
pub fn give(worker: &Worker) {
    set(of_worker(worker));
}

/// Makes `stack` the alternate stack of the calling kernel thread.
pub fn set(stack: Alternate) {
    sys::alternate_stack(&stack.noted(), std::ptr::null_mut());
}

/// The calling kernel thread's alternate stack: main's, before main becomes green.
pub fn take() -> Alternate {
    // SAFETY: all-zero is a value of stack_t; the kernel writes into it.
    let mut stack: stack_t = unsafe { std::mem::zeroed() };
    sys::alternate_stack(std::ptr::null(), &mut stack);
    Alternate::of(&stack)
}

/// In a fork child: its kernel thread has the forking thread's own alternate stack again.
pub fn give_back(me: &Green) {
    set(me.signals.alternate.get());
}
