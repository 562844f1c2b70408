//! System calls that are caught by a SIGSYS: births without a kernel thread, and instructions of the program's own.

pub mod capture;
pub mod inline;
