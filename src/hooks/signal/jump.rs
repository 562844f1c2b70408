//! Jumps out of a signal handler, and contexts that are put in force: handlers that they leave are over, and the mask follows.

use crate::arch;
use crate::hooks::answer::{Answer, Miss};
use crate::hooks::memory::read_mask;
use crate::hooks::named::me;
use crate::runtime::signal::delivery;
use libc::*;

/// `longjmp` in all its names: ends the handlers whose frames lie below the jump's target, sets the mask that sigsetjmp has saved, if any,
/// and leaves the jump to libc.
pub unsafe fn jump(to: *const c_void, _: c_int) -> Answer<()> {
    delivery::leave_handlers(me()?, arch::stack_in_jump_buffer(to));
    if let Some(mask) = arch::mask_in_jump_buffer(to) {
        delivery::before_jump(me()?, mask);
    }
    Err(Miss::Libc)
}

/// `setcontext`: as `jump`, with the mask of the context. A context that cannot be read is for libc to refuse, or to fall over.
pub unsafe fn setcontext(to: *const ucontext_t) -> Answer<c_int> {
    if let Ok(mask) = read_mask(&raw const (*to).uc_sigmask) {
        delivery::leave_handlers(me()?, (*to).uc_mcontext.gregs[REG_RSP as usize] as usize);
        delivery::before_jump(me()?, mask);
    }
    Err(Miss::Libc)
}

/// swapcontext saves its caller's frame, to which more than one may come back: it is exported beside the table.
mod swap {
    /// Does what `setcontext` does, and returns the real function's address, to which the assembly jumps.
    extern "C" fn before(_: *mut libc::ucontext_t, to: *const libc::ucontext_t) -> usize {
        if crate::runtime::current().is_some() {
            // SAFETY: the program's context, which the real one reads as well.
            unsafe { super::setcontext(to).ok() };
        }
        crate::glibc::swapcontext()
    }

    crate::arch::entered_by_jump!(swapcontext, before);
}
