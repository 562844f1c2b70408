//! The default action of a signal, which is the kernel's.

use crate::runtime::machine::{counts, disposition};
use crate::sys;
use libc::c_int;

/// Gives a signal its default disposition, in the kernel. Called on any thread, in handlers too.
pub fn set_default(signal: c_int) {
    // SAFETY: the default disposition has no handler.
    unsafe { sys::signal_action(signal, &[0; 4], std::ptr::null_mut()) };
}

/// Sends a signal with the default disposition to the calling kernel thread: the kernel does the default action as soon as that does not
/// block the signal. Where the action ends the process the statistics are written before.
pub fn act_by_default(signal: c_int) {
    if disposition::ends(signal) {
        counts::before_end();
    }
    set_default(signal);
    sys::signal_thread(sys::kernel_thread_id(), signal).ok();
}
