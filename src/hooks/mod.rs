//! The door: each row of the table becomes an exported symbol, its real function, its counter and its signature check.
//!
//! A call comes in (`count`, then: who calls?), the room's handler answers, and only here an answer turns into what C sees:
//! a value, an error in the row's own manner (the only place that sets errno), or the real call. Nothing in a handler's
//! path may have a destructor that must run: thread exit and C++ exceptions unwind through this door (`extern "C"` with
//! panic=abort lets them pass, and runs nothing of ours).
//!
//! A handler's Safety is that of the C function of its row's name, so none says it again.
#![allow(clippy::missing_safety_doc)]

#[allow(unused_imports)]
use crate::{glibc, runtime, symbols, sys};
use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

mod attempt;
pub mod child;
pub mod command;
mod descriptor;
pub mod entries;
pub mod fd;
pub mod file;
pub mod identity;
pub mod io;
pub mod ipc;
pub mod modules;
pub mod net;
mod owner;
pub mod path;
pub mod poll;
pub mod process;
pub mod resolver;
pub mod ring;
pub mod schedule;
pub mod signal;
pub mod sync;
pub mod syscall;
pub mod task;
mod task_file;
pub mod task_list;
pub mod thread;
pub mod tid;
pub mod time;
pub mod timer;

/// What a handler answers when it has no value: an error number, or "let libc do it".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    Errno(i32),
    Libc,
}

/// What a handler answers: `Ok` is what C gets.
pub type Answer<T> = Result<T, Miss>;

/// An error number as an answer, so that `errno(EINVAL)?` reads straight down.
pub fn errno<T>(number: i32) -> Answer<T> {
    Err(Miss::Errno(number))
}

/// Sets errno. A broken pipe has sent its signal to the kernel thread; if that holds it back, it is the thread's to keep.
#[inline]
fn fail(number: i32) {
    if number == libc::EPIPE {
        if let Some(me) = runtime::current() {
            runtime::signal::keep_own_doing(me);
        }
    }
    glibc::set_errno(number);
}

/// A raw system call's result as an answer: negative values down to -4095 are errors.
pub fn answer<T: TryFrom<isize>>(result: isize) -> Answer<T> {
    if (-4095..0).contains(&result) {
        return Err(Miss::Errno(-result as i32));
    }
    T::try_from(result).map_err(|_| Miss::Errno(libc::EOVERFLOW))
}

/// How a row's error reaches C.
mod fails {
    /// C11's thrd_* codes (threads.h): thrd_success 0, thrd_busy 1, thrd_error 2, thrd_nomem 3, thrd_timedout 4.
    fn thrd(number: i32) -> i32 {
        match number {
            libc::EBUSY => 1,
            libc::ENOMEM => 3,
            libc::ETIMEDOUT => 4,
            _ => 2,
        }
    }

    pub trait Fails: Sized {
        fn with_errno() -> Self;
        fn with_code(number: i32) -> Self;
        fn with_thrd(number: i32) -> Self {
            Self::with_code(thrd(number))
        }
    }
    macro_rules! number {
        ($($t:ty)*) => {$(
            impl Fails for $t {
                fn with_errno() -> Self { -1i8 as $t }
                fn with_code(number: i32) -> Self { number as $t }
            }
        )*};
    }
    number! { i32 isize i64 u32 usize }
    impl Fails for () {
        fn with_errno() -> Self {}
        fn with_code(_: i32) -> Self {}
    }
    impl<T> Fails for *mut T {
        fn with_errno() -> Self {
            std::ptr::null_mut()
        }
        fn with_code(_: i32) -> Self {
            std::ptr::null_mut()
        }
    }
}

macro_rules! fail {
    (errno $number:expr) => {{
        crate::hooks::fail($number);
        fails::Fails::with_errno()
    }};
    (code $number:expr) => {
        fails::Fails::with_code($number)
    };
    (thrd $number:expr) => {
        fails::Fails::with_thrd($number)
    };
    (never $number:expr) => {{
        crate::hooks::fail($number);
        fails::Fails::with_errno()
    }};
}

/// Who gets past the door to the handler; the others get the real call.
macro_rules! admitted {
    (green) => {
        runtime::current().is_some()
    };
    (early) => {
        runtime::current().is_some() || !runtime::started()
    };
    (always) => {
        // Not in a vfork child: its memory is its parent's, but not its descriptors.
        glibc::ready() && crate::arch::vfork_word() == 0
    };
    (child) => {
        glibc::ready()
    };
}

macro_rules! check {
    (typed $name:ident ($($t:ty),*) $r:ty) => {
        const _: unsafe extern "C" fn($($t),*) -> $r = libc::$name;
    };
    (bare $name:ident ($($t:ty),*) $r:ty) => {};
}

macro_rules! hooks {
    ($($room:ident { $($scope:ident $fails:ident $check:ident $name:ident($($a:ident: $t:ty),*) -> $r:ty => $handler:ident;)* })*) => {
        /// A row's place in the table, which is also its counter's.
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(usize)]
        enum Row { $($($name,)*)* End }

        /// Every row's symbol, in the table's order: the names of the counters.
        const _: () = assert!(Row::End as usize <= crate::figures::ROWS);

        pub const NAMES: [&str; Row::End as usize] = [$($(stringify!($name),)*)*];

        /// The real functions: `real::read(…)` is what the program would have called without us.
        #[allow(non_snake_case)]
        pub mod real {
            #[allow(unused_imports)]
            use libc::*;
            $($(
                /// The next `$name` after ours.
                ///
                /// # Safety
                /// As libc's.
                #[allow(dead_code, clippy::too_many_arguments)]
                #[inline]
                pub unsafe fn $name($($a: $t),*) -> $r { super::exports::$name::real()($($a),*) }
            )*)*
        }

        // `_Fork` and `_Exit` are C's names.
        #[allow(non_snake_case, clippy::too_many_arguments)]
        mod exports {
            $($(
                pub mod $name {
                    #[allow(unused_imports)]
                    use libc::*;
                    #[allow(unused_imports)]
                    use super::super::{fails, Miss, Row};
                    #[allow(unused_imports)]
                    use crate::{glibc, runtime};
                    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

                    check!($check $name($($t),*) $r);

                    redhook::hook! {
                        unsafe fn $name($($a: $t),*) -> $r => door {
                            runtime::stats::count(Row::$name as usize);
                            if admitted!($scope) {
                                match crate::hooks::$room::$handler($($a),*) {
                                    Ok(value) => return value,
                                    Err(Miss::Errno(number)) => return fail!($fails number),
                                    Err(Miss::Libc) => {}
                                }
                            }
                            real()($($a),*)
                        }
                    }

                    /// The real function's address once `resolve` has run.
                    pub static FOUND: AtomicUsize = AtomicUsize::new(0);

                    /// The real function. One that this glibc does not have ends the process, and says which.
                    #[inline]
                    pub fn real() -> unsafe extern "C" fn($($t),*) -> $r {
                        let address = match FOUND.load(Relaxed) {
                            0 => super::super::find_early(&FOUND, NAME),
                            address => address,
                        };
                        // SAFETY: the address of the function of this name, whose type is the row's.
                        unsafe { std::mem::transmute::<usize, unsafe extern "C" fn($($t),*) -> $r>(address) }
                    }

                    /// The symbol.
                    pub const NAME: &std::ffi::CStr =
                        // SAFETY: the name of a function, and a NUL.
                        unsafe { std::ffi::CStr::from_bytes_with_nul_unchecked(concat!(stringify!($name), "\0").as_bytes()) };
                }
            )*)*
        }

        /// Shows every row: its symbol, the exported function, and where the real one's address is kept.
        fn each_row(visit: &mut dyn FnMut(&'static CStr, usize, &'static AtomicUsize)) {
            $($(visit(exports::$name::NAME, exports::$name::$name::$name as *const () as usize, &exports::$name::FOUND);)*)*
        }

        /// Looks every real function up, so that no later call has to.
        pub fn resolve() {
            let behind = symbols::Behind::new();
            each_row(&mut |name, _, found| {
                if let Some(address) = behind.find(name) {
                    found.compare_exchange(0, address, Relaxed, Relaxed).ok();
                }
            });
        }
    };
}

/// The real function of a row whose hook is called before the front door has finished: by a library that is preloaded before this one, from
/// within its malloc, on whatever thread.
#[cold]
fn find_early(found: &AtomicUsize, name: &CStr) -> usize {
    let Some(address) = symbols::next(name) else {
        sys::abort(name.to_str().unwrap_or("no function of that name"));
    };
    // Entries may be taken by now: what is known is the function as it was moved.
    found.compare_exchange(0, address, Relaxed, Relaxed).map_or_else(|known| known, |_| address)
}

include!("table.rs");
