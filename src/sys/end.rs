//! The end of the process, where nothing else is left to do.

use crate::sys::call::call;
use crate::sys::call::write_all;
use crate::sys::process::kernel_thread_id;
use crate::sys::signal::signal_thread;

/// An impossible thing: says which, on stderr, and ends the process.
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
