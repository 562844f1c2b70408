//! The atomics of what is model-checked (news, machine::owner): std's here, loom's in tests/model, which builds the same files.

pub use std::sync::atomic::{fence, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// A constructor that is `const` where the atomics' are: in the library, not in the model.
macro_rules! constructor {
    ($(#[$doc:meta])* pub fn $name:ident($($a:ident: $t:ty),*) -> $r:ty $body:block) => {
        $(#[$doc])*
        pub const fn $name($($a: $t),*) -> $r $body
    };
}
pub(crate) use constructor;

/// A static table, which is made at compile time where constructors are `const`; in the model it is small.
macro_rules! table {
    ($(#[$doc:meta])* static $name:ident: [$t:ty; $count:expr] = $new:expr;) => {
        $(#[$doc])*
        static $name: [$t; $count] = [const { $new }; $count];
    };
}
pub(crate) use table;
