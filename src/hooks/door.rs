//! The door: each row of the table becomes an exported symbol, its admission, its counter and its signature check.
//!
//! A call comes in (`count`, then: who calls?), the room's handler answers, and only here an answer turns into what C sees:
//! a value, an error in the row's own manner (the only place that sets errno), or the real call (`count_passed`). Nothing in a handler's
//! path may have a destructor that must run: thread exit and C++ exceptions unwind through this door (`extern "C"` with
//! panic=abort lets them pass, and runs nothing of ours).
//!
//! Here `table.rs` is read a third time (its readings: `rows`, `real`, `door`). The door stands above all rooms: none of them knows it.

use crate::hooks::inside::entries;
use crate::{glibc, runtime};

/// The table's rooms: the file, or the files, in which a room's handlers lie.
mod rooms {
    pub use crate::hooks::inside::{modules, resolver};
    pub use crate::hooks::io::{fd, file, ipc};
    pub use crate::hooks::number::syscall;
    pub use crate::hooks::proc::{path, task_list};
    pub use crate::hooks::process::{child, command, fork as process, identity};
    pub use crate::hooks::thread::tid;
    pub use crate::hooks::time::{sleep as time, timer};

    pub mod io {
        pub use crate::hooks::io::copy::*;
        pub use crate::hooks::io::transfer::*;
    }

    pub mod net {
        pub use crate::hooks::io::connection::*;
        pub use crate::hooks::io::many::*;
        pub use crate::hooks::io::net::*;
    }

    pub mod poll {
        pub use crate::hooks::io::poll::*;
        pub use crate::hooks::io::select::*;
    }

    pub mod schedule {
        pub use crate::hooks::thread::clock::*;
        pub use crate::hooks::thread::name::*;
        pub use crate::hooks::thread::schedule::*;
    }

    pub mod signal {
        pub use crate::hooks::signal::action::*;
        pub use crate::hooks::signal::jump::*;
        pub use crate::hooks::signal::mask::*;
        pub use crate::hooks::signal::send::*;
        pub use crate::hooks::signal::take::*;
    }

    pub mod sync {
        pub use crate::hooks::sync::barrier::*;
        pub use crate::hooks::sync::cond::*;
        pub use crate::hooks::sync::mutex::*;
        pub use crate::hooks::sync::once::*;
        pub use crate::hooks::sync::rwlock::*;
        pub use crate::hooks::sync::semaphore::*;
        pub use crate::hooks::sync::spin::*;
    }

    pub mod task {
        pub use crate::hooks::process::execute::*;
        pub use crate::hooks::process::task::*;
    }

    pub mod thread {
        pub use crate::hooks::thread::attributes::*;
        pub use crate::hooks::thread::create::*;
        pub use crate::hooks::thread::life::*;
    }
}

/// Sets errno. Called for each error that a row of FAILS `errno` or `never` answers. With EPIPE the kernel has sent SIGPIPE to the
/// kernel thread at hand. If its mask holds that back, the signal is moved to the green thread's queue: the next green thread here
/// would get it otherwise.
#[inline]
fn fail(number: i32) {
    if number == libc::EPIPE {
        if let Some(me) = runtime::current() {
            runtime::machine::put_back::keep_own_doing(me);
        }
    }
    glibc::set_errno(number);
}

/// How a row's error reaches C: by its column FAILS.
mod fails {
    /// Returns C11's code for an error number (threads.h): thrd_success 0, thrd_busy 1, thrd_error 2, thrd_nomem 3, thrd_timedout 4.
    /// Success does not come here.
    fn thrd(number: i32) -> i32 {
        match number {
            libc::EBUSY => 1,
            libc::ENOMEM => 3,
            libc::ETIMEDOUT => 4,
            _ => 2,
        }
    }

    /// A result type of C's in which an error can be told.
    pub trait Fails: Sized {
        /// Returns what says "see errno": -1, or null.
        fn with_errno() -> Self;
        /// Returns the error number itself, as pthread functions do.
        fn with_code(number: i32) -> Self;
        /// Returns C11's code for the error number.
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

/// Tells C an error number in the manner of the row's column FAILS.
macro_rules! fail {
    (errno $number:expr) => {{
        crate::hooks::door::fail($number);
        fails::Fails::with_errno()
    }};
    (code $number:expr) => {
        fails::Fails::with_code($number)
    };
    (thrd $number:expr) => {
        fails::Fails::with_thrd($number)
    };
    (never $number:expr) => {{
        crate::hooks::door::fail($number);
        fails::Fails::with_errno()
    }};
}

/// Decides by the row's column SCOPE whether a caller's call goes to the handler; else the real function gets it:
/// - `green`: calls of green threads;
/// - `early`: those, and all calls before the start;
/// - `always`: all calls once the library is ready, but for a vfork child's;
/// - `child`: all calls once the library is ready, a vfork child's too.
macro_rules! admitted {
    (green) => {
        runtime::current().is_some()
    };
    (early) => {
        runtime::current().is_some() || !runtime::started()
    };
    (always) => {
        // A vfork child gets the real calls: its memory is its parent's, but its descriptors are its own.
        glibc::ready() && crate::arch::vfork_word() == 0
    };
    (child) => {
        glibc::ready()
    };
}

/// Compares a row's types with the libc crate's declaration where its column CHECK is `typed`: a difference does not compile. `bare` rows
/// are those that the crate does not declare, or declares otherwise.
macro_rules! check {
    (typed $name:ident ($($t:ty),*) $r:ty) => {
        const _: unsafe extern "C" fn($($t),*) -> $r = libc::$name;
    };
    (bare $name:ident ($($t:ty),*) $r:ty) => {};
}

macro_rules! hooks {
    ($($room:ident { $($scope:ident $fails:ident $check:ident $name:ident($($a:ident: $t:ty),*) -> $r:ty => $handler:ident;)* })*) => {
        // `_Fork` and `_Exit` are C's names.
        #[allow(non_snake_case, clippy::too_many_arguments)]
        mod exports {
            $($(
                pub mod $name {
                    #[allow(unused_imports)]
                    use libc::*;
                    #[allow(unused_imports)]
                    use crate::hooks::door::{fails, rooms};
                    #[allow(unused_imports)]
                    use crate::hooks::{answer::Miss, real};
                    #[allow(unused_imports)]
                    use crate::{glibc, rows::Row, runtime};

                    check!($check $name($($t),*) $r);

                    // 1. The call is counted. 2. Admission. 3. The handler answers. 4. The answer becomes C's, or the real function is
                    // called and counted as passed on.
                    redhook::hook! {
                        unsafe fn $name($($a: $t),*) -> $r => door {
                            runtime::machine::counts::count(Row::$name as usize);
                            if admitted!($scope) {
                                match rooms::$room::$handler($($a),*) {
                                    Ok(value) => return value,
                                    Err(Miss::Errno(number)) => return fail!($fails number),
                                    Err(Miss::Libc) => {}
                                }
                            }
                            runtime::machine::counts::count_passed(Row::$name as usize);
                            real::$name($($a),*)
                        }
                    }
                }
            )*)*
        }

        /// Shows every row to `visit`: its symbol, the exported function's address, and where the real one's is kept.
        pub fn each_row(visit: &mut entries::Visit) {
            use crate::hooks::real::rows;
            $($(visit(rows::$name::NAME, exports::$name::$name::$name as *const () as usize, &rows::$name::FOUND);)*)*
        }
    };
}

include!("table.rs");
