//! Signals' information (siginfo_t): that of bells, with which kernel threads are woken, and of signals put back into the kernel's queue.

use crate::runtime::machine::parts::{current, Green};
use crate::sys::{self, older};
use libc::{c_int, siginfo_t};

/// Sent with tgkill, as pthread_kill does (source: asm-generic/siginfo.h).
pub const SI_TKILL: c_int = -6;
/// A bell: a code of our own, with the green thread's address as the value.
pub const SI_BELL: c_int = -77;
/// Put back into the kernel's queue. The code that the signal came with stands in si_errno meanwhile.
pub const SI_PUT_BACK: c_int = -78;

/// The information of a signal that this process sends, as the kernel would fill it in (layout: asm-generic/siginfo.h; pid and uid at 16,
/// the value at 24).
pub fn information(signal: c_int, code: c_int, value: usize) -> siginfo_t {
    // SAFETY: all-zero is a value of siginfo_t.
    let mut info: siginfo_t = unsafe { std::mem::zeroed() };
    (info.si_signo, info.si_code) = (signal, code);
    let bytes = &mut info as *mut siginfo_t as *mut u8;
    // SAFETY: within siginfo_t's 128 bytes.
    unsafe {
        *(bytes.add(16) as *mut i32) = sys::process_id();
        *(bytes.add(20) as *mut u32) = sys::user_id();
        *(bytes.add(24) as *mut usize) = value;
    }
    info
}

/// The information of a signal that pthread_kill sends to a thread.
pub fn by_thread(signal: c_int) -> siginfo_t {
    information(signal, SI_TKILL, 0)
}

/// The value in a signal's information.
pub fn value_of(info: &siginfo_t) -> usize {
    // SAFETY: the value's place, within siginfo_t.
    unsafe { *((info as *const siginfo_t as *const u8).add(24) as *const usize) }
}

/// The address of the green thread that a bell is for; `None`: it is no bell. A plain bell, which has no information, is for the thread
/// that runs here. Called in handlers.
pub fn whose_bell(info: &siginfo_t) -> Option<usize> {
    match info.si_code {
        SI_BELL => Some(value_of(info)),
        _ if is_plain_bell(info) => current().map(|me| me as *const Green as usize),
        _ => None,
    }
}

/// Is it a bell without information? Where the kernel refuses to queue signals with their information, those that this process sends to a
/// kernel thread are bells, for what the program sends to a thread is in that thread's queue. SIGABRT is none: libc sends it itself.
pub fn is_plain_bell(info: &siginfo_t) -> bool {
    // SAFETY: si_pid is there for a signal by tgkill.
    let own = || unsafe { info.si_pid() } == sys::process_id();
    older::sends_plainly() && info.si_code == SI_TKILL && info.si_signo != libc::SIGABRT && own()
}

/// Is it a signal that the library has sent: a bell, or one that was put back?
pub fn is_own(info: &siginfo_t) -> bool {
    info.si_code == SI_BELL || info.si_code == SI_PUT_BACK || is_plain_bell(info)
}
