//! Who runs next, and on which kernel thread.

pub mod injector;
pub mod mask;
pub mod slots;
pub mod spares;
