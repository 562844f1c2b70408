//! The real functions: `real::read(…)` calls the function that the program would have reached without this library.
//!
//! Here `table.rs` is read a second time (its readings: `rows`, `real`, `door`). Each row has its function's address, which `resolve`
//! looks up when the library is loaded, and which `entries` replaces by that of the moved function where it takes an entry.
#![allow(clippy::missing_safety_doc)]

use crate::glibc::symbols;
use crate::sys;
use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

macro_rules! hooks {
    ($($room:ident { $($scope:ident $fails:ident $check:ident $waits:ident
        $name:ident($($a:ident: $t:ty),*) -> $r:ty => $handler:ident;)* })*) => {
        /// The functions, with their C signatures.
        // `_Fork` and `_Exit` are C's names.
        #[allow(non_snake_case)]
        mod functions {
            #[allow(unused_imports)]
            use libc::*;
            $($(
                /// Calls the next `$name` after this library's.
                ///
                /// # Safety
                /// As libc's.
                #[allow(dead_code, clippy::too_many_arguments)]
                #[inline]
                pub unsafe fn $name($($a: $t),*) -> $r { crate::hooks::real::rows::$name::function()($($a),*) }
            )*)*
        }

        /// Each row's symbol, its real function's address, and the call of it.
        #[allow(non_snake_case)]
        pub mod rows {
            $($(
                pub mod $name {
                    #[allow(unused_imports)]
                    use libc::*;
                    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

                    /// The symbol.
                    pub const NAME: &std::ffi::CStr =
                        // SAFETY: the name of a function, and a NUL.
                        unsafe { std::ffi::CStr::from_bytes_with_nul_unchecked(concat!(stringify!($name), "\0").as_bytes()) };

                    /// The real function's address; 0 until `resolve` has run. A fork child has it from its parent.
                    pub static FOUND: $crate::base::kept::Kept<AtomicUsize> = $crate::base::kept::Kept::new(AtomicUsize::new(0));

                    /// Returns the real function. If this glibc has none of that name the process ends, and says which.
                    #[inline]
                    pub fn function() -> unsafe extern "C" fn($($t),*) -> $r {
                        let address = match FOUND.load(Relaxed) {
                            0 => crate::hooks::real::find_early(&FOUND, NAME),
                            address => address,
                        };
                        // SAFETY: the address of the function of this name, whose type is the row's.
                        unsafe { std::mem::transmute::<usize, unsafe extern "C" fn($($t),*) -> $r>(address) }
                    }
                }
            )*)*
        }

        /// Looks every real function up, so that no later call has to. Called once, at load.
        pub fn resolve() {
            let behind = symbols::Behind::new();
            for (name, found) in [$($((rows::$name::NAME, &rows::$name::FOUND),)*)*] {
                if let Some(address) = behind.find(name) {
                    found.compare_exchange(0, address, Relaxed, Relaxed).ok();
                }
            }
        }
    };
}

include!("table.rs");

pub use functions::*;

/// Finds the real function of a row whose hook is called before `resolve` has run: by a library that is preloaded before this one, from
/// within its malloc, on any thread.
#[cold]
fn find_early(found: &AtomicUsize, name: &CStr) -> usize {
    let Some(address) = symbols::next(name) else {
        sys::abort(name.to_str().unwrap_or("no function of that name"));
    };
    // `entries` may have stored a moved function's address meanwhile: then that address is the row's.
    found.compare_exchange(0, address, Relaxed, Relaxed).map_or_else(|known| known, |_| address)
}
