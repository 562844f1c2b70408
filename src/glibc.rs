//! glibc: its real functions below the hooks, and the few insides that a vessel needs.
//!
//! Everything is found by name in libc's own table (`symbols`; GLIBC_PRIVATE names too), past every library that wraps it. Where something
//! is missing the library stays out of the way and the program runs natively (`find` answers false). The runtime calls glibc through here
//! only.

#![warn(unsafe_op_in_unsafe_fn)]

pub mod cancel;
pub mod find;
pub mod functions;
pub mod keys;
pub mod loader;
pub mod locals;
pub mod objects;
pub mod rseq;
pub mod symbols;
pub mod text;
pub mod thread;
pub mod version;
pub use crate::glibc::cancel::{
    forget_exit, is_at_point, is_exiting, is_in_point, mark_cancelled, may_be_in_point, note_exit, set_cancel_state,
    uncancelled,
};
pub use crate::glibc::find::find;
pub use crate::glibc::functions::{ready, set_ready};
pub use crate::glibc::keys::{note_all_keys, note_key, run_destructors};
pub use crate::glibc::loader::{before_fork, forked};
pub use crate::glibc::locals::restore_thread_locals;
pub use crate::glibc::rseq::unregister_rseq;
pub use crate::glibc::text::{each_text, function_moved, kernel_timer, loader_text, main_stack, own_text, text};
pub use crate::glibc::thread::{
    create_thread, errno, exit_process, exit_thread, guarded, join_thread, join_thread_by, set_errno, swapcontext,
    tid_field,
};
