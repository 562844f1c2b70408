//! vfork, beside the table: it returns twice, so its assembly is arch's (`arch/vfork.rs`), and here is what that calls.

use crate::glibc;
use crate::runtime::machine::parts::Green;
use libc::c_int;

crate::arch::vfork::exported_vfork!(begin_child, fail);

/// Gives the child of a vfork what its parent's thread has set: it is nobody's green thread. Called by the assembly, in the child, on its
/// parent's stack and memory.
extern "C" fn begin_child(parent: &Green) {
    parent.thread.settings.apply();
}

/// Answers for a vfork that has failed with this error number. Called by the assembly, in the parent.
extern "C" fn fail(number: c_int) -> c_int {
    glibc::set_errno(number);
    -1
}
