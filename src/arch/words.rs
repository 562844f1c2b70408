//! The thread-local words of each kernel thread and vessel, and the guard among them.
//!
//! They lie in the library's static TLS block, so each TCB has its own: a vessel's words come along with its fs base in a switch, and a
//! worker's own TCB keeps its own. A vfork child shares its parent's.
//!
//! ```text
//!   word         holds                                     written by                                 0
//!   gp_self      the running green thread (`Green`)        its birth, its end; vfork's child          not green: hooks pass through
//!   gp_identity  the green thread of this pthread_t        its birth                                  not green
//!   gp_worker    the worker whose own TCB this is          the worker's begin; the start              no worker
//!   gp_guard     count of raises; bit 63: KNOCKED          `guard_up`, `guard_down`, `knock`, `rest`  outside the runtime
//!   gp_capture   the `Capture` of a birth that goes on     trap/capture.rs, around glibc's clone      none
//!   gp_forking   1: libc's fork is at work                 the hook of fork, around it                none
//!   gp_audit     words of the recorder's                  audit/thread.rs                            nothing was recorded on it
//!   gp_vfork     the parent's gp_self; bit 0: a child      vfork's assembly; `while_not_green` (bit 1) no child on this memory
//! ```
//!
//! Only code on the TCB itself writes its words, so they are plain and no fence is needed: a signal handler on the same kernel thread is
//! the only other reader. The exception is `raise_guard_of`, for a thread that does not run. The guard is changed by one instruction on
//! memory, which a signal cannot come into the middle of.

use std::arch::asm;

macro_rules! thread_word {
    ($get:ident, $symbol:literal) => {
        /// This thread's word (initial-exec: two instructions, and never cached across a switch).
        #[inline(always)]
        pub fn $get() -> usize {
            let value: usize;
            // SAFETY: reads a word of this thread's own static TLS block, which lives as long as the thread.
            unsafe {
                asm!(
                    concat!("mov {0}, qword ptr [rip + ", $symbol, "@GOTTPOFF]"),
                    "mov {0}, qword ptr fs:[{0}]",
                    out(reg) value,
                    options(nostack, preserves_flags)
                );
            }
            value
        }
    };
    ($get:ident, $set:ident, $symbol:literal) => {
        thread_word!($get, $symbol);
        thread_word!(set $set, $symbol);
    };
    (set $set:ident, $symbol:literal) => {
        /// Writes this thread's word, on the TCB that the fs base names at this moment.
        #[inline(always)]
        pub fn $set(value: usize) {
            // SAFETY: writes a word of this thread's own static TLS block, which no other thread writes.
            unsafe {
                asm!(
                    concat!("mov {0}, qword ptr [rip + ", $symbol, "@GOTTPOFF]"),
                    "mov qword ptr fs:[{0}], {1}",
                    out(reg) _,
                    in(reg) value,
                    options(nostack, preserves_flags)
                );
            }
        }
    };
}
thread_word!(self_word, set_self_word, "gp_self");
thread_word!(set set_identity_word, "gp_identity");
thread_word!(worker_word, set_worker_word, "gp_worker");
thread_word!(vfork_word, set_vfork_word, "gp_vfork");
thread_word!(forking_word, set_forking_word, "gp_forking");
thread_word!(guard_word, set_guard_word, "gp_guard");
thread_word!(capture_word, set_capture_word, "gp_capture");

/// Where this thread's words for the recorder lie: 512 bytes, zero at first (`audit::thread`).
#[inline(always)]
pub fn audit_words() -> usize {
    let address: usize;
    // SAFETY: reads the TCB's own address, and a constant of the dynamic loader's from the GOT.
    unsafe {
        asm!(
            "mov {0}, qword ptr fs:[0]",
            "add {0}, qword ptr [rip + gp_audit@GOTTPOFF]",
            out(reg) address,
            options(nostack)
        );
    }
    address
}

/// The distance from a thread's TCB to its guard word and its capture word: while one of them is set, what this thread calls of libc
/// the runtime calls.
pub fn guard_offsets() -> [isize; 2] {
    let (guard, capture): (isize, isize);
    // SAFETY: reads constants of the dynamic loader's from the GOT.
    unsafe {
        asm!(
            "mov {0}, qword ptr [rip + gp_guard@GOTTPOFF]",
            "mov {1}, qword ptr [rip + gp_capture@GOTTPOFF]",
            out(reg) guard,
            out(reg) capture,
            options(nostack, preserves_flags)
        );
    }
    [guard, capture]
}

/// Adds 1 to the guard's count: from here on this thread is inside the runtime, and a signal handler must not enter it too. Nests.
#[inline(always)]
pub fn guard_up() {
    // SAFETY: changes a word of this thread's own static TLS block.
    unsafe {
        asm!("mov {0}, qword ptr [rip + gp_guard@GOTTPOFF]", "add qword ptr fs:[{0}], 1", out(reg) _, options(nostack));
    }
}

/// Takes 1 from the guard's count. `KNOCKED` stays, and the caller looks for it afterwards (`guard::leave_runtime`).
#[inline(always)]
pub fn guard_down() {
    // SAFETY: as in `guard_up`.
    unsafe {
        asm!("mov {0}, qword ptr [rip + gp_guard@GOTTPOFF]", "sub qword ptr fs:[{0}], 1", out(reg) _, options(nostack));
    }
}

/// The distance from a thread's TCB to its `gp_identity`, by which a pthread_t leads to its green thread: also while a vfork child of
/// the thread's has put `gp_self` aside.
pub fn identity_offset() -> isize {
    let offset: isize;
    // SAFETY: reads a constant of the dynamic loader's from the GOT.
    unsafe {
        asm!("mov {0}, qword ptr [rip + gp_identity@GOTTPOFF]", out(reg) offset, options(nostack, preserves_flags));
    }
    offset
}

/// Sets the guard of the thread with the TCB `tcb` to 1, so that it begins inside the runtime. Called for a vessel before the first switch
/// to it.
///
/// # Safety
/// The thread does not run.
pub unsafe fn raise_guard_of(tcb: usize) {
    let offset: isize;
    // SAFETY: reads a constant of the dynamic loader's from the GOT.
    unsafe { asm!("mov {0}, qword ptr [rip + gp_guard@GOTTPOFF]", out(reg) offset, options(nostack, preserves_flags)) };
    // SAFETY: a word of that vessel's static TLS, which lies at the same distance from each TCB; its thread does not run, so no other
    // thread changes it.
    unsafe { *(tcb.wrapping_add_signed(offset) as *mut usize) = 1 };
}

/// This thread's TCB, which is also its pthread_t (x86-64: the first word of the TCB points to itself).
#[inline(always)]
pub fn tcb() -> usize {
    let value: usize;
    // SAFETY: glibc keeps the TCB's own address in its first word (tcbhead_t).
    unsafe { asm!("mov {0}, qword ptr fs:[0]", out(reg) value, options(nostack, preserves_flags)) };
    value
}
