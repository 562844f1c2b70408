//! The audited functions: what stands between a hook and its real function while the library records (`audit`), and nothing otherwise.
//!
//! Here `table.rs` is read a fourth time. Each row whose column WAITS is not `never` has a function of the same type, which looks at the
//! time before and behind the real one, or, for `end`, notes that the program ends there. `install` puts those in the real ones' place
//! (`real`), and the hooks pass every call on to them, for in an audited process they are closed. So a process that is not audited pays
//! nothing.

use std::mem::size_of;

/// The rows of waits that event loops make: `looping` is told of each, however short it was.
const LOOPS: &[&str] =
    &["epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "__poll", "ppoll", "select", "__select", "pselect"];

/// Is this row among `LOOPS`? Answered when the library is compiled.
const fn may_loop(name: &str) -> bool {
    let mut at = 0;
    while at < LOOPS.len() {
        if equal(LOOPS[at].as_bytes(), name.as_bytes()) {
            return true;
        }
        at += 1;
    }
    false
}

/// Are these the same bytes? Slices compare by no constant function.
const fn equal(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// Returns how many nanoseconds the second word of the timeout counts in a row of select, whose sets and timeout are to be read before the
/// call: 1000 for a timeval, 1 for a timespec. 0: another row.
const fn selects(name: &str) -> i64 {
    if equal(name.as_bytes(), b"select") || equal(name.as_bytes(), b"__select") {
        1_000
    } else {
        equal(name.as_bytes(), b"pselect") as i64
    }
}

/// Returns an argument or a result as a number: its bytes, and zeros.
#[inline(always)]
fn number<T: Copy>(value: T) -> u64 {
    let mut number = 0u64;
    // SAFETY: arguments and results of the table are numbers and pointers of at most eight bytes.
    unsafe {
        std::ptr::copy_nonoverlapping(
            &value as *const T as *const u8,
            &mut number as *mut u64 as *mut u8,
            size_of::<T>().min(8),
        )
    };
    number
}

/// Returns a result as a number with a sign: an `int` of -1 is -1, as a `ssize_t` of -1 is.
#[inline(always)]
fn result<T: Copy>(value: T) -> i64 {
    match size_of::<T>() {
        4 => number(value) as i32 as i64,
        _ => number(value) as i64,
    }
}

/// Defines a row's audited function, by its column WAITS:
///
/// ```text
///   never    none: the row keeps its real function
///   end      notes that the program ends here; where the call comes back (exec has failed), that it does not
///   other    times the call
/// ```
///
/// Each function has its own `REAL`, for the place in `real` holds the audited function from `install` on. Its arguments go on as they
/// came: a variadic function's are those that the row names.
macro_rules! audited {
    (never $name:ident($($a:ident: $t:ty),*) -> $r:ty) => {
        pub mod $name {
            /// Does nothing: the row never waits.
            pub fn install() {}
        }
    };
    (end $name:ident($($a:ident: $t:ty),*) -> $r:ty) => {
        pub mod $name {
            #[allow(unused_imports)]
            use libc::*;
            use crate::audit::recording;
            use crate::hooks::real::rows;
            use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

            /// The real function, as below.
            static REAL: crate::base::kept::Kept<AtomicUsize> = crate::base::kept::Kept::new(AtomicUsize::new(0));

            /// Notes that the program ends here, and calls the real function: where that comes back, it was no end.
            unsafe extern "C" fn audited($($a: $t),*) -> $r {
                // SAFETY: the address of the function of this name, whose type is the row's.
                let real: unsafe extern "C" fn($($t),*) -> $r = unsafe { std::mem::transmute(REAL.load(Relaxed)) };
                recording::end(true);
                // SAFETY: the program's own call, with its arguments.
                let value = unsafe { real($($a),*) };
                recording::end(false);
                value
            }

            /// Puts the audited function in the real one's place.
            pub fn install() {
                REAL.store(rows::$name::function() as *const () as usize, Relaxed);
                rows::$name::FOUND.store(audited as *const () as usize, Relaxed);
            }
        }
    };
    ($waits:ident $name:ident($($a:ident: $t:ty),*) -> $r:ty) => {
        pub mod $name {
            #[allow(unused_imports)]
            use libc::*;
            use crate::audit::recorder::{self, Call};
            use crate::audit::subject::{self, Arguments};
            #[allow(unused_imports)]
            use crate::hooks::audited::{may_loop, number, result, selects};
            use crate::hooks::real::rows;
            use crate::rows::Row;
            use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

            /// The real function. Set by `install`, and the same in a fork child.
            static REAL: crate::base::kept::Kept<AtomicUsize> = crate::base::kept::Kept::new(AtomicUsize::new(0));

            /// Calls the real function, and records the call. Takes no destructor across it: a thread's end unwinds through here.
            #[allow(clippy::too_many_arguments)]
            unsafe extern "C" fn audited($($a: $t),*) -> $r {
                // SAFETY: the address of the function of this name, whose type is the row's.
                let real: unsafe extern "C" fn($($t),*) -> $r = unsafe { std::mem::transmute(REAL.load(Relaxed)) };
                let values = [0u64, $(number($a)),*];
                let (selected, given_ns) = match const { selects(stringify!($name)) } {
                    0 => Arguments::NOT_SELECTED,
                    unit => subject::selected(&values, unit),
                };
                let place = &values as *const _ as usize;
                let begun = recorder::begin(place);
                // SAFETY: the program's own call, with its arguments.
                let value = unsafe { real($($a),*) };
                recorder::end(&begun, place, &Call {
                    row: Row::$name as usize,
                    may_loop: const { may_loop(stringify!($name)) },
                    arguments: Arguments { names: &["", $(stringify!($a)),*], values: &values, selected, given_ns },
                    result: result(value),
                });
                value
            }

            /// Puts the audited function in the real one's place.
            pub fn install() {
                REAL.store(rows::$name::function() as *const () as usize, Relaxed);
                rows::$name::FOUND.store(audited as *const () as usize, Relaxed);
            }
        }
    };
}

macro_rules! hooks {
    ($($room:ident { $($scope:ident $fails:ident $check:ident $waits:ident
        $name:ident($($a:ident: $t:ty),*) -> $r:ty => $handler:ident;)* })*) => {
        /// What stands before each row's real function.
        #[allow(non_snake_case)]
        mod functions {
            $($(audited!($waits $name($($a: $t),*) -> $r);)*)*
        }

        /// Puts every audited function in its real one's place. Called once, at load, in a process that is to be audited, after the
        /// entries of libc were taken: what these put in the real ones' place stays behind.
        pub fn install() {
            $($(functions::$name::install();)*)*
        }
    };
}

include!("table.rs");
