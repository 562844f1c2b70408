//! The end of the process, where nothing else is left to do.

use crate::sys::call::{call, write_all};
use crate::sys::process::kernel_thread_id;
use crate::sys::signal::signal_thread;

/// Ends the process for a state that cannot be: says which on stderr, raises SIGABRT on this kernel thread (a core, the program's handler),
/// and exits with 134, as a shell tells of that signal, where SIGABRT does not end it. Any thread; takes no lock, allocates nothing.
#[cold]
pub fn abort(reason: &str) -> ! {
    write_all(2, b"greenpatch: impossible: ");
    write_all(2, reason.as_bytes());
    write_all(2, b"\n");
    signal_thread(kernel_thread_id(), libc::SIGABRT).ok();
    // SAFETY: ends the process; nothing comes after.
    unsafe { call(libc::SYS_exit_group, 134, 0, 0, 0, 0, 0) };
    loop {
        std::hint::spin_loop();
    }
}
