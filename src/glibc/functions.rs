//! glibc's real functions, and whether the hooks may be used.
//!
//! ```text
//!   word            from    to                  by                                   read by
//!   REAL's fields   0       an address          `find`, at load, on one thread       `real!`, after `find`
//!                   entry   the moved entry     `function_moved` (text.rs), once     the same: both do the same
//!   READY           false   true                the front door, at its end           each hook, first
//! ```
//!
//! Relaxed loads do: threads are made after `find`, and a thread's making orders what came before it.

use crate::base::kept::Kept;
use std::sync::atomic::Ordering::*;
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// The real functions' addresses, filled in once by `find`.
pub struct Functions {
    pub pthread_create: AtomicUsize,
    pub pthread_join: AtomicUsize,
    pub pthread_exit: AtomicUsize,
    pub setcancelstate: AtomicUsize,
    pub setcanceltype: AtomicUsize,
    pub swapcontext: AtomicUsize,
    pub call_tls_dtors: AtomicUsize,
    pub keys: AtomicUsize,
    pub exit: AtomicUsize,
    pub guard: [AtomicUsize; 3],
    pub tid_offset: AtomicUsize,
    pub cancelhandling_offset: AtomicUsize,
}

/// The addresses that `find` has found; zeros before it, when only `find` itself looks.
pub static REAL: Kept<Functions> = Kept::new(Functions {
    pthread_create: AtomicUsize::new(0),
    pthread_join: AtomicUsize::new(0),
    pthread_exit: AtomicUsize::new(0),
    setcancelstate: AtomicUsize::new(0),
    setcanceltype: AtomicUsize::new(0),
    swapcontext: AtomicUsize::new(0),
    call_tls_dtors: AtomicUsize::new(0),
    keys: AtomicUsize::new(0),
    exit: AtomicUsize::new(0),
    guard: [const { AtomicUsize::new(0) }; 3],
    tid_offset: AtomicUsize::new(0),
    cancelhandling_offset: AtomicUsize::new(0),
});

/// Whether the hooks serve. Set once, by the front door.
pub static READY: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));

/// Has the front door finished? Until then every hook passes through.
#[inline(always)]
pub fn ready() -> bool {
    READY.load(Relaxed)
}

/// Lets the hooks serve from now on. Called by the front door, once all else is prepared.
pub fn set_ready() {
    READY.store(true, Relaxed);
}

macro_rules! real {
    ($field:ident as $t:ty) => {
        // SAFETY: `find` stored the address of the function of this name and type.
        unsafe { std::mem::transmute::<usize, $t>(REAL.$field.load(Relaxed)) }
    };
}
pub(crate) use real;
