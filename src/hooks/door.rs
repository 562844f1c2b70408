//! The door: each row of the table becomes an exported symbol, its admission, its counter and its signature check.
//!
//! What a call meets, in this order:
//!
//! 1. The exported function counts the call as one that came (`counts::count`). On any thread, and before the library is ready, too.
//! 2. Admission, by the column SCOPE: the caller is a thread that the row serves, or libc gets the call (5).
//! 3. The room's handler answers: a value, an error number, or "let libc do it" (`Miss::Libc`: 5).
//! 4. A value is returned as it is. An error number reaches C in the manner of the column FAILS: as errno, as the result, or as a C11
//!    code.
//! 5. The call is counted as passed on (`counts::count_passed`), and the real function gets it with the arguments as they came.
//!
//! Nothing in a handler's path may have a destructor that must run: thread exit and C++ exceptions unwind through this door (`extern "C"`
//! with panic=abort lets them pass, and runs none of the library's destructors).
//!
//! Here `table.rs` is read a third time (its readings: `rows`, `real`, `door`). The door stands above all rooms: none of them knows
//! it.

use crate::hooks::inside::entries;
use crate::{glibc, runtime};

/// The table's rooms: the file, or the files, in which a room's handlers lie. A row `room { … => handler; }` calls
/// `rooms::room::handler`: a name that two files of a room have does not compile, nor a name that none has.
mod rooms {
    pub use crate::hooks::inside::{modules, resolver};
    pub use crate::hooks::io::{fd, file, ipc};
    pub use crate::hooks::number::syscall;
    pub use crate::hooks::proc::{path, task_list};
    pub use crate::hooks::process::{child, command, fork as process, identity};
    pub use crate::hooks::thread::tid;
    pub use crate::hooks::time::{sleep as time, timer};

    /// Reads and writes, and copies from descriptor to descriptor.
    pub mod io {
        pub use crate::hooks::io::copy::*;
        pub use crate::hooks::io::transfer::*;
    }

    /// Sockets.
    pub mod net {
        pub use crate::hooks::io::connection::*;
        pub use crate::hooks::io::many::*;
        pub use crate::hooks::io::net::*;
    }

    /// Waits for several descriptors.
    pub mod poll {
        pub use crate::hooks::io::poll::*;
        pub use crate::hooks::io::select::*;
    }

    /// A thread's processors, policy, priority, clock and name.
    pub mod schedule {
        pub use crate::hooks::thread::clock::*;
        pub use crate::hooks::thread::name::*;
        pub use crate::hooks::thread::schedule::*;
    }

    /// Masks, dispositions, sending and waiting.
    pub mod signal {
        pub use crate::hooks::signal::action::*;
        pub use crate::hooks::signal::jump::*;
        pub use crate::hooks::signal::mask::*;
        pub use crate::hooks::signal::send::*;
        pub use crate::hooks::signal::take::*;
    }

    /// Locks and their like.
    pub mod sync {
        pub use crate::hooks::sync::barrier::*;
        pub use crate::hooks::sync::cond::*;
        pub use crate::hooks::sync::mutex::*;
        pub use crate::hooks::sync::once::*;
        pub use crate::hooks::sync::rwlock::*;
        pub use crate::hooks::sync::semaphore::*;
        pub use crate::hooks::sync::spin::*;
    }

    /// State that the kernel keeps for a task, and exec.
    pub mod task {
        pub use crate::hooks::process::execute::*;
        pub use crate::hooks::process::task::*;
    }

    /// The life of threads.
    pub mod thread {
        pub use crate::hooks::thread::attributes::*;
        pub use crate::hooks::thread::create::*;
        pub use crate::hooks::thread::life::*;
    }
}

/// Sets errno. Called for each error that a row of FAILS `errno` or `never` answers, on the calling thread, as the last step of its
/// hook.
///
/// With EPIPE the kernel has sent SIGPIPE to the kernel thread at hand. If its mask holds that back, the signal is moved to the green
/// thread's queue: the next green thread here would get it otherwise.
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
    /// Implemented for every result type of the table. A type that cannot carry an error number gives what `with_errno` gives, so a
    /// `code` row needs an integer.
    pub trait Fails: Sized {
        /// Returns what says "see errno": -1, or null. Nothing for a function without a result.
        fn with_errno() -> Self;
        /// Returns the error number itself, as pthread functions do. A pointer and an absent result have no place for it.
        fn with_code(number: i32) -> Self;
        /// Returns C11's code for the error number, by `thrd`.
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

/// Tells C an error number in the manner of the row's column FAILS, and gives the hook's result. A row of FAILS `never` tells nothing
/// by its result; should its handler fail all the same, errno has the number.
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

/// Decides by the row's column SCOPE whether a caller's call goes to the handler; else the real function gets it. One load of a
/// thread-local word for a green thread:
///
/// - `green`: calls of green threads;
/// - `early`: calls of green threads, and all calls before the start;
/// - `always`: all calls once the library is ready, but a vfork child's;
/// - `child`: all calls once the library is ready, a vfork child's too.
///
/// A thread is no green one for its calls while libc makes a child on its memory (`arch::vfork::while_not_green`).
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

/// Compares a row's types with the libc crate's declaration where its column CHECK is `typed`: a difference does not compile. A
/// `bare` row's function is not declared by the crate, or is declared otherwise.
macro_rules! check {
    (typed $name:ident ($($t:ty),*) $r:ty) => {
        const _: unsafe extern "C" fn($($t),*) -> $r = libc::$name;
    };
    (bare $name:ident ($($t:ty),*) $r:ty) => {};
}

macro_rules! hooks {
    ($($room:ident { $($scope:ident $fails:ident $check:ident $waits:ident
        $name:ident($($a:ident: $t:ty),*) -> $r:ty => $handler:ident;)* })*) => {
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
        /// Handed to `entries::allow` at load, and called when the entries are taken.
        pub fn each_row(visit: &mut entries::Visit) {
            use crate::hooks::real::rows;
            $($(visit(rows::$name::NAME, exports::$name::$name::$name as *const () as usize, &rows::$name::FOUND);)*)*
        }
    };
}

include!("table.rs");
