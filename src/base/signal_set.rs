//! Sets of signals, as the kernel has them: bit `n - 1` is signal `n`.

use libc::c_int;

/// The signals that no program's mask holds: KILL and STOP, and glibc's own 32 and 33.
pub const NEVER_BLOCKED: u64 = bit(libc::SIGKILL) | bit(libc::SIGSTOP) | bit(32) | bit(33);
/// The mask of a kernel thread that is to take no signals: glibc's own still come.
pub const CLOSED: u64 = !NEVER_BLOCKED;

/// A signal's place in a mask.
pub const fn bit(signal: c_int) -> u64 {
    1 << (signal - 1)
}

/// The lowest signal of which several of a kind may be pending.
pub const FIRST_OF_MANY: c_int = 32;
