//! The default action of a signal, which is the kernel's.

use crate::runtime::machine::{counts, disposition};
use crate::sys;
use libc::c_int;

/// Gives a signal its default disposition, in the kernel. Called on any thread, in handlers too.
pub fn set_default(signal: c_int) {
    // SAFETY: the default disposition has no handler.
    unsafe { sys::signal_action(signal, &[0; 4], std::ptr::null_mut()) };
}

/// Lets the kernel do what the default is, as soon as this kernel thread does not block the signal: it is sent here. Where that ends the
/// process the statistics are told before.
pub fn act_by_default(signal: c_int) {
    if disposition::ends(signal) {
        counts::before_end();
    }
    set_default(signal);
    sys::signal_thread(sys::kernel_thread_id(), signal).ok();
}
