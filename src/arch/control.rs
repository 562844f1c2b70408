//! Control words of the floating-point unit, jump buffers, and what else the C library's ABI keeps in registers.

use std::arch::asm;

/// The SSE and x87 control words, which a new thread has from its creator.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct ControlWords {
    mxcsr: u32,
    x87: u32,
}

/// Returns the running thread's control words, for a thread that it makes: they are inherited, as the kernel's clone does it.
pub fn control_words() -> ControlWords {
    let mut words = ControlWords { mxcsr: 0, x87: 0 };
    // SAFETY: stores 4 and 2 bytes into `words`.
    unsafe { asm!("stmxcsr [{0}]", "fnstcw [{0} + 4]", in(reg) &mut words, options(nostack, preserves_flags)) };
    words
}

/// The signal mask that a jump buffer brings back, if it was saved with one (source: glibc's setjmp.h: eight registers, whether a
/// mask was saved, the mask).
///
/// # Safety
/// `buffer` is a jmp_buf that was filled.
pub unsafe fn mask_in_jump_buffer(buffer: *const libc::c_void) -> Option<u64> {
    const REGISTERS: usize = 8;
    // SAFETY: a jmp_buf has a word that says whether there is a mask, and room for one, behind its eight registers; setjmp has filled it.
    unsafe {
        let saved = *(buffer as *const usize).add(REGISTERS) as u32 != 0;
        saved.then(|| *(buffer as *const u64).add(REGISTERS + 1))
    }
}

/// Where a jump with this buffer puts the stack pointer (source: glibc's x86_64 jmpbuf-offsets.h and PTR_DEMANGLE; the guard is in the
/// TCB).
///
/// # Safety
/// `buffer` is a jmp_buf that was filled.
pub unsafe fn stack_in_jump_buffer(buffer: *const libc::c_void) -> usize {
    const STACK_POINTER: usize = 6;
    const ROTATED: u32 = 17;
    let guard: usize;
    // SAFETY: reads `pointer_guard` of this thread's TCB (glibc's tcbhead_t).
    unsafe { asm!("mov {}, fs:[0x30]", out(reg) guard, options(nostack, readonly, preserves_flags)) };
    // SAFETY: the seventh of a jmp_buf's eight registers, which setjmp has filled.
    let stack_pointer = unsafe { *(buffer as *const usize).add(STACK_POINTER) };
    stack_pointer.rotate_right(ROTATED) ^ guard
}

/// Sets the running thread's control words to what `control_words` has returned. Called where a new thread begins.
pub fn set_control_words(words: &ControlWords) {
    // SAFETY: loads control words that a thread had.
    unsafe { asm!("ldmxcsr [{0}]", "fldcw [{0} + 4]", in(reg) words, options(nostack, readonly, preserves_flags)) };
}
