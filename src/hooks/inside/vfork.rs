//! vfork, beside the table: it returns twice, so its assembly is arch's (`arch/vfork.rs`), and this file has the two functions that
//! the assembly calls.

use crate::glibc;
use crate::runtime::machine::parts::Green;
use libc::c_int;

crate::arch::vfork::exported_vfork!(begin_child, fail);

/// Gives the child of a vfork the settings of its parent's thread: the child is a kernel thread of its own, and no green thread.
/// Called by the assembly, in the child, on its parent's stack and memory. Makes system calls only.
extern "C" fn begin_child(parent: &Green) {
    parent.thread.settings.apply();
}

/// Answers for a vfork that has failed with this error number: sets errno, and returns -1. Called by the assembly, in the parent.
extern "C" fn fail(number: c_int) -> c_int {
    glibc::set_errno(number);
    -1
}
