//! glibc's real functions, found by name, and whether the hooks may be used.

use crate::glibc::cancel::find_bits;
use crate::glibc::functions::REAL;
use crate::glibc::rseq::find_rseq;
use crate::glibc::{symbols, version};
use std::sync::atomic::Ordering::*;

/// Finds all that the runtime needs, and fills `REAL`. Called by the front door at load, before another thread is made. The error is the
/// name of what this glibc has not, or has in another form: the program then runs natively, and no hook serves.
pub fn find() -> Result<(), &'static std::ffi::CStr> {
    let wanted = [
        (&REAL.pthread_create, c"pthread_create"),
        (&REAL.pthread_join, c"pthread_join"),
        (&REAL.pthread_exit, c"pthread_exit"),
        (&REAL.setcancelstate, c"pthread_setcancelstate"),
        (&REAL.setcanceltype, c"pthread_setcanceltype"),
        (&REAL.swapcontext, c"swapcontext"),
        (&REAL.call_tls_dtors, c"__call_tls_dtors"),
        (&REAL.keys, c"__pthread_keys"),
        (&REAL.exit, c"exit"),
        (&REAL.guard[0], c"__sigsetjmp"),
        (&REAL.guard[1], c"__pthread_register_cancel"),
        (&REAL.guard[2], c"__pthread_unregister_cancel"),
        (&crate::sys::CLOCK, c"clock_gettime"),
    ];
    for (place, name) in wanted {
        place.store(symbols::own(name).ok_or(name)?, Relaxed);
    }
    let offsets = [
        (&REAL.tid_offset, c"_thread_db_pthread_tid"),
        (&REAL.cancelhandling_offset, c"_thread_db_pthread_cancelhandling"),
    ];
    for (place, name) in offsets {
        let address = symbols::own(name).ok_or(name)?;
        // SAFETY: glibc's thread-debugging descriptors are three 32-bit words: bits, count, offset (source: thread_db.h).
        let descriptor = unsafe { *(address as *const [u32; 3]) };
        if descriptor[0] != 32 {
            return Err(name);
        }
        place.store(descriptor[2] as usize, Relaxed);
    }
    let join = c"pthread_clockjoin_np";
    let join = symbols::own(join).ok_or(join)?;
    find_bits();
    // SAFETY: the call answers a constant string.
    version::learn(unsafe { libc::gnu_get_libc_version() }, REAL.tid_offset.load(Relaxed), join);
    find_rseq();
    Ok(())
}
