//! State that a fork child keeps as its parent had it.
//!
//! Every static of the library that can change is of one of two kinds, and its type says which (tests/layers/state.rs):
//!
//! - `Kept<T>`: what a fork does not change. That is what was learnt of the kernel, the processor and glibc, what the program has asked
//!   for, and hints that a wrong guess corrects.
//! - a struct, the state of its file or its wing, which an `after_fork` takes apart field by field, without `..`. A new field does not
//!   compile until that function says what becomes of it.

use std::ops::Deref;

/// The value of a static that a fork child keeps. It lies in memory, and is used, as a bare `T`.
#[repr(transparent)]
pub struct Kept<T>(T);

impl<T> Kept<T> {
    /// `value`, to be kept.
    pub const fn new(value: T) -> Kept<T> {
        Kept(value)
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}
