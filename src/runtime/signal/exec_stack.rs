//! Stacks that may be executed. A program, or a library that it loads, may say that it puts instructions onto the stack (nested
//! functions of C): then glibc makes the stacks that it mapped executable, and does not know the library's. So the first instruction on a
//! stack of the library's faults. The handler makes that stack executable if the stack that the process began with is.

use crate::runtime::machine::parts::Green;
use crate::sys;
use libc::siginfo_t;

/// A page that may not be executed (source: asm-generic/siginfo.h).
const SEGV_ACCERR: i32 = 2;

/// Makes the thread's stack executable, where a SIGSEGV came of running the instruction at `instruction` on it and the program's first
/// stack is executable. Called in the handler, on the worker's alternate stack. True: the instruction may run again.
#[cold]
pub fn mend(me: &Green, info: &siginfo_t, instruction: usize) -> bool {
    // SAFETY: a fault's siginfo has an address.
    let address = unsafe { info.si_addr() } as usize;
    let mapped = me.vessel.stack.get().mapped();
    info.si_code == SEGV_ACCERR
        && address == instruction
        && mapped.contains(&address)
        && sys::may_execute_first_stack()
        && sys::protect_code(mapped.start, mapped.len(), true)
}
