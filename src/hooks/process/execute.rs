//! A program is executed: what is kept for the thread is given to it, and what a signal may not interrupt is put in order before.

use crate::hooks::answer::Answer;
use crate::hooks::process::task::shared;
use crate::hooks::real;
use crate::runtime::kernel::{alone, shortage};
use crate::runtime::machine::death_signal;
use crate::runtime::machine::parts::Green;
use crate::runtime::{self, current};
use crate::{arch, statistics};
use libc::*;

/// Executes a program by `execute`, on this thread or in the child that posix_spawn has made on its parent's memory: the program
/// gets the calling thread's settings. A child of fork or vfork has had them from its beginning. The statistics are written before.
/// Returns only if `execute` fails, with its errno: then the thread is shared as before, unless its settings had to be applied.
unsafe fn executing(execute: impl FnOnce() -> c_int) -> Answer<c_int> {
    // SAFETY: null, or a green thread; those are never freed.
    if let Some(parent) = (arch::vfork::spawned_by() as *const Green).as_ref() {
        parent.thread.settings.apply();
        return Ok(execute());
    }
    if runtime::started() {
        // The statistics of the program that ends here: no destructor runs.
        statistics::write();
    }
    if current().is_none() {
        return Ok(execute());
    }
    let execute = || shortage::unrung(execute);
    let Some(me) = shared() else { return Ok(execute()) };
    if me.thread.settings.differ() {
        alone::stay();
        return Ok(execute());
    }
    death_signal::leave_shared(me);
    let failed = execute();
    death_signal::share_death_signal_again(me);
    Ok(failed)
}

type Pointers = *const *const c_char;

/// `execve`: libc's own, after what is kept for the thread has been given to its kernel thread. Returns only if it fails, with
/// libc's errno. No cancellation point.
pub unsafe fn execve(path: *const c_char, arguments: Pointers, environment: Pointers) -> Answer<c_int> {
    executing(|| real::execve(path, arguments, environment))
}

/// `execv`: as `execve`, with the program's environment.
pub unsafe fn execv(path: *const c_char, arguments: Pointers) -> Answer<c_int> {
    executing(|| real::execv(path, arguments))
}

/// `execvp`: as `execv`, searched for in PATH.
pub unsafe fn execvp(file: *const c_char, arguments: Pointers) -> Answer<c_int> {
    executing(|| real::execvp(file, arguments))
}

/// `execvpe`: as `execve`, searched for in PATH.
pub unsafe fn execvpe(file: *const c_char, arguments: Pointers, environment: Pointers) -> Answer<c_int> {
    executing(|| real::execvpe(file, arguments, environment))
}

/// `fexecve`: as `execve`, of an open file.
pub unsafe fn fexecve(fd: c_int, arguments: Pointers, environment: Pointers) -> Answer<c_int> {
    executing(|| real::fexecve(fd, arguments, environment))
}

/// `execveat`: as `execve`, relative to a folder.
pub unsafe fn execveat(
    dir: c_int,
    path: *const c_char,
    arguments: Pointers,
    environment: Pointers,
    flags: c_int,
) -> Answer<c_int> {
    executing(|| real::execveat(dir, path, arguments, environment, flags))
}
