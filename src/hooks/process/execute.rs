//! The execution of a program, which inherits from the kernel thread at hand: the settings that are kept for the green thread are given
//! to that kernel thread before.
//!
//! | the caller | before the call | after a failure |
//! |---|---|---|
//! | a child that posix_spawn has made on its parent's memory | the parent's thread's settings are applied | nothing |
//! | a foreign thread, the only thread before the start, a child of fork | nothing | nothing |
//! | a green thread with settings of its own | it is alone with its kernel thread, which gets the settings | it stays alone |
//! | a green thread that is bound to its kernel thread | nothing: that has the settings | nothing |
//! | another green thread | the kernel thread has this thread's death signal alone | the shared signal is put back |

use crate::hooks::answer::Answer;
use crate::hooks::process::task::shared;
use crate::hooks::real;
use crate::runtime::kernel::{alone, shortage};
use crate::runtime::machine::death_signal;
use crate::runtime::machine::parts::Green;
use crate::runtime::{self, current};
use crate::{arch, statistics};
use libc::*;

/// Executes a program by `execute`, by the table at the top. Called by the hooks of the exec family, which return only if `execute`
/// fails: with its result, -1, and its errno. After the start the statistics of the program that ends here are written before, for no
/// destructor runs. A green thread's call has no bell on its way (`shortage::unrung`): that would reach the new program, which has no
/// handler for it.
unsafe fn executing(execute: impl FnOnce() -> c_int) -> Answer<c_int> {
    // SAFETY: null, or a green thread; those are never freed.
    if let Some(parent) = (arch::vfork::spawned_by() as *const Green).as_ref() {
        parent.thread.settings.apply();
        return Ok(execute());
    }
    if runtime::started() {
        // Also where the call fails: then they are written once more at the end.
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

/// An array of strings that ends with a null.
type Pointers = *const *const c_char;

/// `execve`: libc's own, by `executing`. Returns only if it fails, with libc's errno (ENOENT, EACCES, E2BIG, …). Called by any
/// thread, and by a vfork child. No cancellation point.
pub unsafe fn execve(path: *const c_char, arguments: Pointers, environment: Pointers) -> Answer<c_int> {
    executing(|| real::execve(path, arguments, environment))
}

/// `execv`: as `execve`, with the process's environment (`environ`).
pub unsafe fn execv(path: *const c_char, arguments: Pointers) -> Answer<c_int> {
    executing(|| real::execv(path, arguments))
}

/// `execvp`: as `execv`, the file searched for in PATH by libc.
pub unsafe fn execvp(file: *const c_char, arguments: Pointers) -> Answer<c_int> {
    executing(|| real::execvp(file, arguments))
}

/// `execvpe`: as `execve`, the file searched for in PATH by libc.
pub unsafe fn execvpe(file: *const c_char, arguments: Pointers, environment: Pointers) -> Answer<c_int> {
    executing(|| real::execvpe(file, arguments, environment))
}

/// `fexecve`: as `execve`, of an open file. EINVAL by libc for a number below 0.
pub unsafe fn fexecve(fd: c_int, arguments: Pointers, environment: Pointers) -> Answer<c_int> {
    executing(|| real::fexecve(fd, arguments, environment))
}

/// `execveat`: as `execve`, relative to a folder, with flags (execveat(2)).
pub unsafe fn execveat(
    dir: c_int,
    path: *const c_char,
    arguments: Pointers,
    environment: Pointers,
    flags: c_int,
) -> Answer<c_int> {
    executing(|| real::execveat(dir, path, arguments, environment, flags))
}
