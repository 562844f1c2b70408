//! The entries of libc's own functions. libc calls itself directly (stdio, the resolver, syslog, popen), and so do a library that was
//! loaded with RTLD_DEEPBIND and a program that has asked dlsym in libc's own handle: none of these calls comes by an exported
//! symbol. So the first instruction of each row's function becomes a jump to the row's hook. The instructions that stood there are
//! moved (arch/entry.rs), and the moved function is the real one from then on. The rows that keep their entry stand in `no_entry.rs`.
//!
//! `take` does that right before the first thread is made: a program that makes none is not touched. A library that is loaded late,
//! by dlopen, takes the entries at once, for the program's calls are bound to libc already. Where code may not be written (SELinux,
//! MDWE), or a function begins in a way that is not understood, its entry stays: calls by it block their kernel thread, and the
//! monitor hands the slot over after some milliseconds.
//!
//! Green threads may park inside libc then, with libc's private locks held: the wait for those locks parks as well
//! (hooks/sync/private.rs).
//!
//! ```text
//!   an entry     jump ──► gate ──► the guard word is set: the library's own call ──► the moved function
//!                                  else ──► the hook ──► (passed on) ──► the moved function
//! ```

use crate::arch::entry;
use crate::base::kept::Kept;
use crate::glibc::{self, symbols};
use crate::hooks::inside::vfork;
use crate::hooks::sync::private;
use crate::runtime::machine::counts::ENTRIES;
use crate::sys;
use once_cell::race::OnceBox;
use std::ffi::CStr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// The rows without an entry, and why.
const NO_ENTRY: &[(&str, &str)] = include!("no_entry.rs");

/// The rows whose entry leads to the moved function where libc itself calls it:
///
/// - pthread_create: the helper threads that libc makes for timers and asynchronous input are kernel threads;
/// - the masks, sigaction and raise: abort is held to what it does natively;
/// - the jumps: the mask that libc saved is the kernel's, and `siglongjmp` ends an unwinding, too.
const NOT_FROM_LIBC: &[&str] =
    &["pthread_create", "sigprocmask", "pthread_sigmask", "sigaction", "raise", "siglongjmp", "__longjmp_chk"];

/// A visit of one row: its symbol, the hook's address, and where the real function's address is kept.
pub type Visit<'a> = dyn FnMut(&'static CStr, usize, &'static AtomicUsize) + 'a;

/// Shows every row of the table. `door::each_row` does: the door stands above this file, so it is handed in.
pub type EachRow = fn(&mut Visit);

/// The function that shows the rows; empty: entries are not to be taken. Set at load, and as true in a fork child.
static ROWS: Kept<OnceBox<EachRow>> = Kept::new(OnceBox::new());
/// True once `take` has run. A fork child has the entries as its parent had them.
static TAKEN: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));
/// True once libc's own functions that execute a program come to the hooks: the entry of execve is taken.
static EXECUTES: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));
/// True once libc's own fork comes to the hook of `_Fork`.
static TAKES_FORK: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));

/// Does libc's own fork come to the hook of `_Fork`, between its atfork handlers? Asked by the hook of fork.
pub fn takes_fork() -> bool {
    TAKES_FORK.load(Relaxed)
}

/// Allows `take`, and hands it the rows. Called at load, unless the option `entries` forbids it or the program is to stay native.
pub fn allow(each_row: EachRow) {
    ROWS.set(Box::new(each_row)).ok();
}

/// Returns how many entries lead to the hooks; 0 until `take` has run.
pub fn count() -> u64 {
    ENTRIES.load(Relaxed)
}

/// Does libc come to the hooks wherever it executes a program? True once the entry of execve is taken.
pub fn lead_to_execve() -> bool {
    EXECUTES.load(Relaxed)
}

/// Takes libc's entries, once: while there is only one thread, or (a late load) while few threads call them. Called right before the
/// first thread is made, or by a late load. Leaves all entries as they are where code may not be written.
pub fn take() {
    let Some(each_row) = ROWS.get().filter(|_| !TAKEN.swap(true, Relaxed)) else { return };
    let Some((start, bytes)) = glibc::text() else { return };
    let libc = start / PAGE * PAGE..(start + bytes).next_multiple_of(PAGE);
    let room = entry::room()..entry::room() + entry::ALL_ROOM;
    if allow_writing(&room, true) && allow_writing(&libc, true) {
        take_all(*each_row, &libc, &room);
    }
    allow_writing(&room, false);
    allow_writing(&libc, false);
}

/// A page of memory.
const PAGE: usize = 4096;

/// Makes code writable, or only executable again. False where the system does not allow that.
fn allow_writing(code: &Range<usize>, allowed: bool) -> bool {
    sys::protect_code(code.start, code.len(), allowed)
}

/// Takes the entry of each row whose function lies in libc, is not listed in NO_ENTRY, and begins in a way that is understood.
fn take_all(each_row: EachRow, libc: &Range<usize>, room: &Range<usize>) {
    let mut taken: Vec<[usize; 2]> = Vec::with_capacity(room.len() / entry::ROOM);
    // A library between this one and libc (a sanitizer's) wraps these: what it calls of libc must not lead back here, by no alias either.
    let mut wrapped = Vec::new();
    each_row(&mut |name, _, found| {
        if !libc.contains(&found.load(Relaxed)) {
            wrapped.extend(symbols::own(name));
        }
    });
    each_row(&mut |name, hook, found| {
        let (function, name) = (found.load(Relaxed), name.to_str().unwrap_or_default());
        if !libc.contains(&function)
            || wrapped.contains(&function)
            || !libc.contains(&(function + entry::REACH))
            || NO_ENTRY.iter().any(|(without, _)| *without == name)
        {
            return;
        }
        // An alias is the same function.
        if let Some([_, moved]) = taken.iter().find(|[taken, _]| *taken == function) {
            return found.store(*moved, Relaxed);
        }
        let at = room.start + taken.len() * entry::ROOM;
        let except = if NOT_FROM_LIBC.contains(&name) { libc.clone() } else { 0..0 };
        // SAFETY: the function is libc's code, the place is the library's and in the room for moved functions; no other thread runs.
        let moved = room.contains(&at).then(|| unsafe { entry::relocate(function, at, hook, &except) });
        let Some(Some(moved)) = moved else { return };
        taken.push([function, moved.function]);
        found.store(moved.function, Relaxed);
        glibc::function_moved(function, moved.function);
        // SAFETY: as above.
        if unsafe { entry::redirect(function, moved.gate) } {
            ENTRIES.fetch_add(1, Relaxed);
            if name == "execve" {
                EXECUTES.store(true, Relaxed);
            }
            TAKES_FORK.fetch_or(name == "_Fork", Relaxed);
        }
    });
    take_whole(libc);
}

/// Replaces three functions whole, all or none: the wait for libc's private locks and its wake, which must know each other's
/// sleepers, and vfork, since its child calls libc by entries, too. Called at the end of `take`, while code may be written.
fn take_whole(libc: &Range<usize>) {
    let names = [c"__lll_lock_wait_private", c"__lll_lock_wake_private", c"vfork"];
    let hooks = [private::lock_wait as *const () as usize, private::lock_wake as *const () as usize, vfork::hook()];
    let theirs = names.map(symbols::own);
    if !theirs.iter().all(|function| function.is_some_and(|function| libc.contains(&function))) {
        return;
    }
    for (function, hook) in theirs.into_iter().flatten().zip(hooks) {
        // SAFETY: libc's code, writable now; no other thread runs, and the library's functions do all that libc's do.
        unsafe { entry::redirect(function, hook) };
    }
}
