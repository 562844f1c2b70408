//! Jumps out of a signal handler, and contexts that are put in force: the handlers that a jump leaves are over, and the mask follows.

use crate::arch;
use crate::hooks::answer::{Answer, Miss};
use crate::hooks::memory::read_mask;
use crate::hooks::named::me;
use crate::runtime::signal::delivery;
use libc::*;

/// `longjmp`, `_longjmp`, `siglongjmp` and `__longjmp_chk`: ends the handlers whose frames lie below the jump's target and sets the
/// mask that sigsetjmp has saved, if it has saved one. The jump itself is libc's. A buffer is read without asking: a bad one
/// crashes, as natively. Does nothing on a foreign thread.
pub unsafe fn jump(to: *const c_void, _: c_int) -> Answer<()> {
    delivery::leave_handlers(me()?, arch::stack_in_jump_buffer(to), true);
    if let Some(mask) = arch::mask_in_jump_buffer(to) {
        delivery::before_jump(me()?, mask);
    }
    Err(Miss::Libc)
}

/// `setcontext`: ends the handlers below the context's stack pointer, as `jump`, and sets the context's mask. Registers are libc's
/// to load. A context that cannot be read is left to libc, which crashes or says EFAULT.
pub unsafe fn setcontext(to: *const ucontext_t) -> Answer<c_int> {
    if let Ok(mask) = read_mask(&raw const (*to).uc_sigmask) {
        delivery::leave_handlers(me()?, (*to).uc_mcontext.gregs[REG_RSP as usize] as usize, false);
        delivery::before_jump(me()?, mask);
    }
    Err(Miss::Libc)
}

/// `swapcontext`, beside the table: it saves the registers of its caller, so no frame of a hook may lie in between. The assembly calls
/// `before` and then jumps to the real function.
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
