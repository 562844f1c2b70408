//! Who runs next, and on which kernel thread.

pub mod injector;
pub mod slots;
