//! The register of protection keys (pkeys(7)): its bits say what the running thread may do to pages of each key. The program writes it by
//! an instruction (wrpkru) that no hook sees. The kernel keeps it for each kernel thread, so a switch must bring each green thread its own
//! (`kernel_state`).

use std::arch::asm;

/// The rights that every thread begins with: all keys but the first are closed (source: the kernel's arch/x86/mm/pkeys.c).
pub const INITIAL: u32 = 0x5555_5554;

/// Returns the running kernel thread's rights. Called by a switch and at a thread's creation, where the program has a key: elsewhere the
/// instruction is an illegal one.
///
/// # Safety
/// The processor and the kernel have protection keys.
pub unsafe fn read() -> u32 {
    let rights: u32;
    // SAFETY: reads a register; the instruction exists, for pkey_alloc has succeeded.
    unsafe { asm!("rdpkru", in("ecx") 0, out("eax") rights, out("edx") _, options(nomem, nostack, preserves_flags)) };
    rights
}

/// Gives the running kernel thread the rights that `read` has told of a thread, or `INITIAL`.
///
/// # Safety
/// As for `read`; the rights are those of the green thread that is to run.
pub unsafe fn write(rights: u32) {
    // SAFETY: the instruction exists, for pkey_alloc has succeeded. The rights are the ones that a green thread had when it was switched
    // away, or the kernel's first ones: what the program may touch is what it could touch natively.
    unsafe { asm!("wrpkru", in("ecx") 0, in("edx") 0, in("eax") rights, options(nostack, preserves_flags)) };
}
