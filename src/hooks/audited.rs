//! The audited functions: what stands beside a hook while the library records (`audit`), and nothing otherwise.
//!
//! Here `table.rs` is read a fourth time. Each row whose column WAITS is not `never` has a function of the same type, which looks at the
//! time before and behind another one, or, for `end`, notes that the program ends there.
//!
//! ```text
//!   a program that stays native   caller ──► hook (closed) ──► audited ──► real                    `install`
//!   a green program               caller ──► the hook's entry ──► audited ──► the moved hook …     `install_in_front`
//! ```
//!
//! Natively the audited functions take the real ones' place (`real`). In a green program they stand in front of the hooks, whose entries
//! are taken as libc's are (`arch::entry`): so a whole call is timed, and a call that parks is told from one that keeps its worker. A
//! process that is not audited has neither, and pays nothing.

use crate::arch::entry;
use crate::audit::caller::Frame;
use crate::audit::green::{self, Running};
use crate::audit::recorder::{self, Call};
use crate::audit::recording;
use crate::audit::stack::Registers;
use crate::audit::subject::Selected;
use crate::audit::unlock;
use crate::glibc;
use crate::hooks::real::rows;
use crate::runtime;
use crate::sys;
use std::ffi::{c_int, CStr};
use std::mem::size_of;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};

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

/// Is a wait of one of `LOOPS` about two descriptors or more (`Arguments::are_many`)? `values` are its arguments, behind a zero; which row
/// it is is known when the library is compiled.
#[inline(always)]
fn is_about_many(name: &str, values: &[u64], selected: &Selected) -> bool {
    if selects(name) != 0 {
        selected.are_many()
    } else {
        epoll(name, values) >= 0 || values.get(2).is_some_and(|count| *count >= 2)
    }
}

/// Returns the descriptor that a wait of epoll is made on; -1: the row is another.
#[inline(always)]
fn epoll(name: &str, values: &[u64]) -> i32 {
    if name.starts_with("epoll") {
        values.get(1).map_or(-1, |fd| *fd as i32)
    } else {
        -1
    }
}

/// Returns which argument of a row names the program that it executes: 1 or 2, a path; 3: the first, an open file; 0: another row.
const fn executes(name: &str) -> u8 {
    if equal(name.as_bytes(), b"execveat") {
        2
    } else if equal(name.as_bytes(), b"fexecve") {
        3
    } else {
        let name = name.as_bytes();
        (name.len() > 4 && name[0] == b'e' && name[1] == b'x' && name[2] == b'e' && name[3] == b'c') as u8
    }
}

/// A row's calls that are known not to wait, and are not timed.
enum AtOnce {
    /// None is.
    No,
    /// A plain mutex, and a read lock, that are free: taken by a try, which answers as the row's own function would.
    Mutex,
    ReadLock,
    /// A once that is done.
    Once,
}

/// Returns which calls of a row are known not to wait. Answered when the library is compiled.
const fn at_once(name: &str) -> AtOnce {
    let name = name.as_bytes();
    if equal(name, b"pthread_mutex_lock") || equal(name, b"__pthread_mutex_lock") {
        AtOnce::Mutex
    } else if equal(name, b"pthread_rwlock_rdlock") || equal(name, b"__pthread_rwlock_rdlock") {
        AtOnce::ReadLock
    } else if equal(name, b"pthread_once") || equal(name, b"__pthread_once") {
        AtOnce::Once
    } else {
        AtOnce::No
    }
}

/// Makes such a call, about `object`: its result. EBUSY: the call may have to wait, or the mutex is of a kind whose try is another than its
/// lock (robust, inheriting, protecting).
///
/// # Safety
/// `object` is the first argument of the program's own call, of a row of this kind.
#[inline(always)]
unsafe fn try_at_once(kind: AtOnce, object: u64) -> c_int {
    /// Of `pthread_once_t` (`__PTHREAD_ONCE_DONE`, nptl/pthread_once.c).
    const DONE: u32 = 2;
    // SAFETY: as the caller says; other threads may change a once.
    unsafe {
        match kind {
            AtOnce::Mutex if unlock::is_plain(object as *mut _) => {
                rows::pthread_mutex_trylock::function()(object as *mut _)
            }
            AtOnce::ReadLock => rows::pthread_rwlock_tryrdlock::function()(object as *mut _),
            AtOnce::Once if (*(object as *const AtomicU32)).load(Acquire) & DONE != 0 => 0,
            _ => libc::EBUSY,
        }
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

/// Is this call of `syscall` one that sets a seccomp mode or a filter? `values` are its arguments, behind a zero. The operations from
/// SECCOMP_GET_ACTION_AVAIL on only ask (seccomp(2)).
fn sets_filter(values: &[u64]) -> bool {
    const ASK: u64 = 2;
    let value = |at: usize| values.get(at).copied().unwrap_or(0);
    match value(1) as i64 {
        libc::SYS_seccomp => value(2) < ASK,
        libc::SYS_prctl => value(2) == libc::PR_SET_SECCOMP as u64,
        _ => false,
    }
}

/// Makes a call that sets a seccomp filter: nothing is recorded from then on, unless it fails.
fn under_a_filter<T: Copy>(call: impl FnOnce() -> T) -> T {
    recording::stop(true);
    let value = call();
    if result(value) == -1 {
        recording::stop(false);
    }
    value
}

/// A call that goes on, of those that are not recorded the quick way.
enum Begun {
    Native(recorder::Begun),
    Green(green::Begun),
}

/// Begins a call that is not recorded the quick way. One function for all rows, as `end`: each row's own is the smaller.
#[inline(never)]
fn begin(frame: Frame, values: &[u64], from: Registers) -> Begun {
    if green::is_on() {
        Begun::Green(green::begin(values.as_ptr() as usize, running()))
    } else {
        Begun::Native(recorder::begin(frame, values, from))
    }
}

/// Ends it. `ended`: when, in ticks, asked before this code may have to be read from its file. `about`: `is_about_many`, and the descriptor
/// of epoll.
#[inline(never)]
fn end(begun: &Begun, ended: u64, about: (bool, i32), call: &Call) {
    let place = call.arguments.values.as_ptr() as usize;
    match begun {
        Begun::Green(begun) => green::end(begun, place, call, running(), name),
        Begun::Native(begun) if call.may_loop => {
            recorder::end::<true>(begun, place, call.frame, || ended, || about, || *call)
        }
        Begun::Native(begun) => recorder::end::<false>(begun, place, call.frame, || ended, || about, || *call),
    }
}

/// Says which green thread runs here, on which worker, and how many that has resumed (`audit::green`).
#[inline(always)]
fn running() -> Running {
    runtime::current().map_or(Running::NATIVE, |me| {
        let worker = me.worker();
        Running {
            tid: me.tid(),
            worker: worker as *const _ as usize,
            switches: worker.counters.switches.load(Relaxed),
            is_alone: worker.bond.spoilt.get(),
        }
    })
}

/// Returns the name of the green thread that runs here. `None`: it has none of its own, or none runs.
fn name() -> Option<[u8; 16]> {
    // SAFETY: the running thread's own name, which another thread may be changing: a mixture then.
    runtime::current().map(|me| unsafe { *me.thread.name.get() })
}

/// Defines a row's audited function, by its column WAITS:
///
/// ```text
///   never    none: the row keeps its real function. An unlock of a mutex leaves the holder's stack for those that wait (`unlock`)
///   end      notes that the program ends here, and which one is executed in its place; where the call comes back (exec has failed), that
///            it does not
///   (prctl, syscall)   stop the recording where they set a seccomp filter
///   other    times the call: the quick way where all is as it mostly is (`recorder::is_quick`); a lock that is free is taken untimed
/// ```
///
/// Each function has its own `REAL`, for the place in `real` holds the audited function from `install` on. Its arguments go on as they
/// came: a variadic function's are those that the row names.
macro_rules! audited {
    (never pthread_mutex_unlock($($rest:tt)*) -> $r:ty) => { audited!(unlock pthread_mutex_unlock($($rest)*) -> $r); };
    (never __pthread_mutex_unlock($($rest:tt)*) -> $r:ty) => { audited!(unlock __pthread_mutex_unlock($($rest)*) -> $r); };
    (never mtx_unlock($($rest:tt)*) -> $r:ty) => { audited!(unlock mtx_unlock($($rest)*) -> $r); };
    (unlock $name:ident($lock:ident: $t:ty) -> $r:ty) => {
        pub mod $name {
            use libc::*;
            use crate::audit::unlock;
            use crate::hooks::audited::Audited;
            use crate::hooks::real::rows;
            use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

            /// The real function, as below.
            static REAL: crate::base::kept::Kept<AtomicUsize> = crate::base::kept::Kept::new(AtomicUsize::new(0));

            /// Leaves the thread's stack for those that wait, and unlocks.
            unsafe extern "C" fn audited($lock: $t) -> $r {
                // SAFETY: the address of the function of this name, whose type is the row's.
                let real: unsafe extern "C" fn($t) -> $r = unsafe { std::mem::transmute(REAL.load(Relaxed)) };
                let place = [0u64; 1];
                // SAFETY: the program's own call, with its arguments.
                unsafe {
                    unlock::letting_go($lock, &raw const place as usize);
                    real($lock)
                }
            }

            /// None: in a green program the hook unlocks.
            pub const AUDITED: Option<Audited> = None;

            /// Puts the audited function in the real one's place.
            pub fn install() {
                REAL.store(rows::$name::function() as *const () as usize, Relaxed);
                rows::$name::FOUND.store(audited as *const () as usize, Relaxed);
            }
        }
    };
    (never prctl($option:ident: $o:ty, $($a:ident: $t:ty),*) -> $r:ty) => {
        pub mod prctl {
            #[allow(unused_imports)]
            use libc::*;
            use crate::hooks::audited::{under_a_filter, Audited};
            use crate::hooks::real::rows;
            use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

            /// The real function, as below.
            static REAL: crate::base::kept::Kept<AtomicUsize> = crate::base::kept::Kept::new(AtomicUsize::new(0));

            /// Calls the real function. Recording stops where that sets a seccomp filter.
            unsafe extern "C" fn audited($option: $o, $($a: $t),*) -> $r {
                // SAFETY: the address of the function of this name, whose type is the row's.
                let real: unsafe extern "C" fn($o, $($t),*) -> $r = unsafe { std::mem::transmute(REAL.load(Relaxed)) };
                // SAFETY: the program's own call, with its arguments.
                let call = || unsafe { real($option, $($a),*) };
                if $option == PR_SET_SECCOMP {
                    return under_a_filter(call);
                }
                call()
            }

            /// The function, and what it calls.
            pub const AUDITED: Option<Audited> = Some((audited as *const (), || &REAL));

            /// Puts the audited function in the real one's place.
            pub fn install() {
                REAL.store(rows::prctl::function() as *const () as usize, Relaxed);
                rows::prctl::FOUND.store(audited as *const () as usize, Relaxed);
            }
        }
    };
    (never $name:ident($($a:ident: $t:ty),*) -> $r:ty) => {
        pub mod $name {
            use crate::hooks::audited::Audited;

            /// Does nothing: the row never waits.
            pub fn install() {}

            /// None: the row never waits.
            pub const AUDITED: Option<Audited> = None;
        }
    };
    (end $name:ident($($a:ident: $t:ty),*) -> $r:ty) => {
        pub mod $name {
            #[allow(unused_imports)]
            use libc::*;
            use crate::audit::children::Named;
            use crate::audit::{green, recording};
            use crate::hooks::audited::{executes, number, Audited};
            use crate::hooks::real::rows;
            use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

            /// The real function, as below.
            static REAL: crate::base::kept::Kept<AtomicUsize> = crate::base::kept::Kept::new(AtomicUsize::new(0));

            /// Notes that the program ends here, and calls the real function: where that comes back, it was no end.
            unsafe extern "C" fn audited($($a: $t),*) -> $r {
                // SAFETY: the address of the function of this name, whose type is the row's.
                let real: unsafe extern "C" fn($($t),*) -> $r = unsafe { std::mem::transmute(REAL.load(Relaxed)) };
                green::end_all();
                let values = [0u64, $(number($a)),*];
                let named = match const { executes(stringify!($name)) } {
                    0 => None,
                    3 => Some(Named::File(values[1] as i32)),
                    at => Some(Named::Path(values[at as usize])),
                };
                recording::end(named);
                // SAFETY: the program's own call, with its arguments.
                let value = unsafe { real($($a),*) };
                recording::go_on();
                value
            }

            /// The function, and what it calls.
            pub const AUDITED: Option<Audited> = Some((audited as *const (), || &REAL));

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
            use crate::audit::caller::{self, Frame};
            use crate::audit::clock;
            use crate::audit::recorder::{self, Call};
            use crate::audit::stack;
            use crate::audit::subject::{self, Arguments, Selected};
            #[allow(unused_imports)]
            use crate::hooks::audited::{
                at_once, begin, end, epoll, is_about_many, may_loop, number, result, selects, sets_filter, try_at_once,
                under_a_filter, Audited,
            };
            use crate::hooks::real::rows;
            use crate::rows::Row;
            use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

            /// Returns where the real function, or the moved hook, is kept: set by `install` or `install_in_front`.
            #[inline(always)]
            fn kept() -> &'static AtomicUsize {
                caller::real(Row::$name as usize)
            }

            /// Calls the real function, and records the call. Takes no destructor across it: a thread's end unwinds through here.
            #[allow(clippy::too_many_arguments)]
            unsafe extern "C" fn audited($($a: $t),*) -> $r {
                if !recorder::is_quick() {
                    // SAFETY: the program's own call, with its arguments.
                    return unsafe { slowly($($a),*) };
                }
                // SAFETY: the address of the function of this name, whose type is the row's.
                let real: unsafe extern "C" fn($($t),*) -> $r = unsafe { std::mem::transmute(kept().load(Relaxed)) };
                let values = [0u64, $(number($a)),*];
                if const { Row::$name as usize == Row::syscall as usize } && sets_filter(&values) {
                    // SAFETY: the program's own call, with its arguments.
                    return under_a_filter(|| unsafe { real($($a),*) });
                }
                // SAFETY: the program's own call, of a row whose first argument is that.
                let tried = unsafe { try_at_once(const { at_once(stringify!($name)) }, values.get(1).copied().unwrap_or(0)) };
                if tried != EBUSY {
                    recorder::count();
                    // SAFETY: these rows answer an int.
                    return unsafe { std::mem::transmute_copy(&i64::from(tried)) };
                }
                let selected = match const { selects(stringify!($name)) } {
                    0 => Selected::NONE,
                    unit => subject::selected(&values, unit),
                };
                let begun = recorder::begin_quickly(QUICK, &values);
                // SAFETY: the program's own call, with its arguments.
                let value = unsafe { real($($a),*) };
                let place = &values as *const _ as usize;
                let is_about_many = || (is_about_many(stringify!($name), &values, &selected), epoll(stringify!($name), &values));
                let arguments = Arguments { names: NAMES, values: &values, selected };
                let call = || Call { frame: QUICK, may_loop: MAY_LOOP, arguments, result: result(value) };
                recorder::end::<MAY_LOOP>(&begun, place, QUICK, clock::counter, is_about_many, call);
                value
            }

            /// Does as `audited`, also in a green program, where it calls the hook, and the caller may be another kernel thread behind it.
            #[cold]
            #[inline(never)]
            #[allow(clippy::too_many_arguments)]
            unsafe extern "C" fn slowly($($a: $t),*) -> $r {
                // SAFETY: as in `audited`; or the address of the hook of this name, of the same type.
                let real: unsafe extern "C" fn($($t),*) -> $r = unsafe { std::mem::transmute(kept().load(Relaxed)) };
                let values = [0u64, $(number($a)),*];
                if const { Row::$name as usize == Row::syscall as usize } && sets_filter(&values) {
                    // SAFETY: the program's own call, with its arguments.
                    return under_a_filter(|| unsafe { real($($a),*) });
                }
                let selected = match const { selects(stringify!($name)) } {
                    0 => Selected::NONE,
                    unit => subject::selected(&values, unit),
                };
                let begun = begin(SLOW, &values, stack::registers());
                // SAFETY: the program's own call, with its arguments.
                let value = unsafe { real($($a),*) };
                let ended = clock::ticks();
                let about = (is_about_many(stringify!($name), &values, &selected), epoll(stringify!($name), &values));
                let arguments = Arguments { names: NAMES, values: &values, selected };
                end(&begun, ended, about, &Call { frame: SLOW, may_loop: MAY_LOOP, arguments, result: result(value) });
                value
            }

            const QUICK: Frame = Frame::quick(Row::$name as usize);
            const SLOW: Frame = Frame::slow(Row::$name as usize);
            const MAY_LOOP: bool = may_loop(stringify!($name));
            /// The arguments' names, behind one for the zero.
            const NAMES: &[&str] = &["", $(stringify!($a)),*];

            /// The function, and what it calls.
            pub const AUDITED: Option<Audited> = Some((audited as *const (), kept));

            /// Puts the audited function in the real one's place.
            pub fn install() {
                kept().store(rows::$name::function() as *const () as usize, Relaxed);
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

        /// Of each row, in the table's order: does its hook do nothing in an audited process but pass the call on?
        const PASSES: &[bool] = &[$($(passes(stringify!($scope), stringify!($waits)),)*)*];

        /// The rows' audited functions, in the table's order.
        const AUDITED: &[Option<Audited>] = &[$($(functions::$name::AUDITED),*),*];

        /// Puts every audited function in its real one's place. Called once, at load, in a process that is to be audited, after the
        /// entries of libc were taken: what these put in the real ones' place stays behind.
        pub fn install() {
            $($(functions::$name::install();)*)*
        }
    };
}

include!("table.rs");

/// Does a row's hook do nothing in an audited process but pass the call on to the audited function? Those of scope `early` answer some
/// themselves while the runtime has not started.
const fn passes(scope: &str, waits: &str) -> bool {
    let is_open = equal(scope.as_bytes(), b"green") || equal(scope.as_bytes(), b"always");
    is_open && !equal(waits.as_bytes(), b"never")
}

/// A visit of one row: its symbol, the hook's address, and where the real function's address is kept.
type Visit<'a> = dyn FnMut(&'static CStr, usize, &'static AtomicUsize) + 'a;

/// Lets hooks that would only pass a call on jump to the audited function from their first instruction: two counts and a return less in
/// each call. Called once, at load, after `install`, while there is one thread. Where code may not be written the hooks stay as they are.
pub fn shorten(each_row: impl Fn(&mut Visit)) {
    let mut passes = PASSES.iter();
    while_writable(|| {
        each_row(&mut |_, hook, found| {
            if passes.next().is_some_and(|passes| *passes) {
                // SAFETY: the hook is this library's code, and writable now; there is no other thread.
                unsafe { entry::redirect(hook, found.load(Relaxed)) };
            }
        });
    });
}

/// Does `change` while this library's code may be written. Called at load, while there is one thread. False: it may not, and nothing is
/// done.
fn while_writable(change: impl FnOnce()) -> bool {
    const PAGE: usize = 4096;
    let Some((start, bytes)) = glibc::own_text() else { return false };
    let pages = start / PAGE * PAGE..(start + bytes).next_multiple_of(PAGE);
    let is_writable = sys::protect_code(pages.start, pages.len(), true);
    if is_writable {
        change();
    }
    sys::protect_code(pages.start, pages.len(), false);
    is_writable
}

/// A row's audited function, and where the address of what it calls is kept.
type Audited = (*const (), fn() -> &'static AtomicUsize);

/// Shows every row of the table to a visitor, in its order: the symbol, the hook's address, and where the real function's is kept.
type EachRow = fn(&mut dyn FnMut(&'static CStr, usize, &'static AtomicUsize));

/// Puts every audited function in front of its hook: the hook's entry leads there, and the hook goes on where its first instructions were
/// moved. Called once, at load, in a process that is to run green and to be audited. Returns how many rows could not be reached; `None`:
/// this library's code may not be written, and nothing is recorded.
pub fn install_in_front(each_row: EachRow) -> Option<u32> {
    let (mut audited, mut at, mut unreached) = (AUDITED.iter(), entry::own_room(), 0);
    let mut put = |_, hook, _| {
        let Some(Some((function, real))) = audited.next() else { return };
        let has_room = at + entry::OWN_PLACE <= entry::own_room() + entry::OWN_ROOM;
        // SAFETY: the hook is this library's code, which can be written now, with more than `REACH` bytes behind it; it counts the call
        // first, so nothing leads back into its first instructions. The place is in the room for its own functions. No other thread runs.
        match has_room.then(|| unsafe { entry::relocate_straight(hook, at) }).flatten() {
            Some(moved) => {
                real().store(moved, Relaxed);
                at += entry::OWN_PLACE;
                // SAFETY: as above.
                unreached += u32::from(!unsafe { entry::redirect(hook, *function as usize) });
            }
            None => unreached += 1,
        }
    };
    while_writable(|| each_row(&mut put)).then_some(unreached)
}
