//! The register of protection keys (pkeys(7)): what the running thread may do to pages of each key. It is the program's own to write, by an
//! instruction that nobody sees; the kernel keeps it per kernel thread, so a switch must (`kernel_state`).

use std::arch::asm;

/// What every thread begins with: all keys but the first are closed (source: the kernel's arch/x86/mm/pkeys.c).
pub const INITIAL: u32 = 0x5555_5554;

/// The register. Where there are no keys the instruction is an illegal one: pkey_alloc has succeeded before.
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
/// As `read`; what a thread had.
pub unsafe fn write(rights: u32) {
    // SAFETY: the instruction exists, for pkey_alloc has succeeded. The rights are those that a green thread had when it was switched
    // away, or the kernel's first ones: what the program may touch is what it could touch natively.
    unsafe { asm!("wrpkru", in("ecx") 0, in("edx") 0, in("eax") rights, options(nostack, preserves_flags)) };
}
