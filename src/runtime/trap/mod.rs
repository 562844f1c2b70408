//! System calls that are caught by a SIGSYS: births without a kernel thread, and instructions of the program's own.

#![warn(unsafe_op_in_unsafe_fn)]

pub mod capture;
pub mod inline;

/// In a fork child, before anything else runs: it runs natively, and its calls are not caught. (`capture` is prepared anew by its start.)
pub fn after_fork() {
    inline::after_fork();
}
