//! The base of the GS segment, which the program may set: Wine keeps its thread block there. It sets the base by arch_prctl, or by an
//! instruction (wrgsbase) that no hook sees. The kernel keeps the base for each kernel thread, so a switch must bring each green thread its
//! own (`kernel_state`).

use crate::base::kept::Kept;
use crate::sys::task;
use std::arch::asm;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::*;

/// Returns the running kernel thread's base, 0 where the program has set none. Called by a switch, for programs that use the segment.
/// `fast`: the kernel allows the instructions (`fast_switch`).
pub fn read(fast: bool) -> usize {
    if !fast {
        return task::gs_base();
    }
    let base;
    // SAFETY: reads a register; the kernel allows it.
    unsafe { asm!("rdgsbase {}", lateout(reg) base, options(nomem, nostack, preserves_flags)) };
    base
}

/// Gives the running kernel thread a base that `read` has told, with the guard up. `fast` as for `read`.
pub fn write(base: usize, fast: bool) {
    if fast {
        // SAFETY: the library's own code uses no GS segment; the kernel allows the instruction.
        unsafe { asm!("wrgsbase {}", in(reg) base, options(nostack, preserves_flags)) };
    } else {
        task::set_gs_base(base);
    }
}

/// Set once, by the front door: the kernel and the processor allow FSGSBASE (auxv AT_HWCAP2).
pub static FAST_SWITCH: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));

/// May the switch load the fs base itself (FSGSBASE), or must it ask the kernel?
#[inline(always)]
pub fn fast_switch() -> bool {
    FAST_SWITCH.load(Relaxed)
}

/// Sets what `fast_switch` answers. Called by the front door, while there is one thread.
pub fn set_fast_switch(fast: bool) {
    FAST_SWITCH.store(fast, Relaxed);
}
