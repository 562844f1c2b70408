//! Calls that ask about a path.
//!
//! Where the kernel has just said ENOENT of a green thread's folder or file in /proc, the call is made again for the thread's stand-in
//! (`thread_path`). All other calls are libc's, and cost a comparison. The caller may be any thread, also one that libc makes itself. None
//! of them is a cancellation point, waits for a descriptor, or fails with EINTR.

use crate::hooks::answer::{answer, Answer, Arguments, Miss};
use crate::hooks::proc::thread_path;
use crate::hooks::real;
use crate::{glibc, sys};
use libc::{
    c_char, c_int, c_long, c_uint, c_void, size_t, ssize_t, SYS_readlink, SYS_readlinkat, AT_FDCWD, DIR, ENOENT,
};
use std::io::Write;

/// Makes libc's call by `ask`, which gets the path. Makes it again for the stand-in's path where the answer is `failed` with ENOENT
/// and the path names a green thread. Errors are the kernel's in both. Called by any thread; a call that succeeds costs one
/// comparison.
#[inline]
unsafe fn asked<T: Copy + PartialEq>(path: *const c_char, failed: T, ask: impl Fn(*const c_char) -> T) -> Answer<T> {
    asked_at(AT_FDCWD, path, failed, ask)
}

/// As `asked`, with the folder below which a relative path lies: its descriptor, or AT_FDCWD.
#[inline]
unsafe fn asked_at<T: Copy + PartialEq>(
    dir: c_int,
    path: *const c_char,
    failed: T,
    ask: impl Fn(*const c_char) -> T,
) -> Answer<T> {
    let told = ask(path);
    if told == failed && glibc::errno() == ENOENT {
        return again(dir, path, failed, ask);
    }
    Ok(told)
}

/// Makes the call for the stand-in's path. Answers `failed` if the path names no green thread, or before the start; errno is ENOENT
/// still.
#[cold]
unsafe fn again<T: Copy>(dir: c_int, path: *const c_char, failed: T, ask: impl Fn(*const c_char) -> T) -> Answer<T> {
    let mut room = [0; thread_path::PATH_BYTES];
    Ok(thread_path::stand_in_of(dir, path, &mut room).map_or(failed, |path| ask(path.as_ptr())))
}

/// Makes a system call whose argument `at` is the path; the argument before, if there is one, is the folder's descriptor. Returns the
/// kernel's result, and that of a link as by `linked`. Called by `number/by_tid.rs`, on any thread. Errors are the kernel's, also of
/// the second call.
pub unsafe fn by_number(number: c_long, mut arguments: Arguments, at: usize) -> Answer<c_long> {
    let ask = |[a, b, c, d, e, f]: Arguments| answer(sys::call(number, a, b, c, d, e, f));
    let dir = if at == 0 { AT_FDCWD } else { arguments[at - 1] as c_int };
    let path = arguments[at] as *const c_char;
    let mut room = [0; thread_path::PATH_BYTES];
    match ask(arguments) {
        Err(Miss::Errno(ENOENT)) => {
            let path = thread_path::stand_in_of(dir, path, &mut room).ok_or(Miss::Errno(ENOENT))?;
            arguments[at] = path.as_ptr() as usize;
            ask(arguments)
        }
        Ok(length) if number == SYS_readlink || number == SYS_readlinkat => {
            linked(dir, path, arguments[at + 1] as *mut c_char, arguments[at + 2], length as ssize_t)
                .map(|length| length as c_long)
        }
        told => told,
    }
}

/// Returns what `/proc/thread-self` leads to, for a green thread: `PID/task/TID`, cut to `size` without a NUL, as readlink(2) does.
/// All other links are as the kernel has told them: `told` is its result, the length of the text in `into`. Called after the kernel
/// has read the path and written the text.
#[inline]
unsafe fn linked(dir: c_int, path: *const c_char, into: *mut c_char, size: size_t, told: ssize_t) -> Answer<ssize_t> {
    if told > 0 && thread_path::is_in_proc(path) {
        if let Some(tid) = thread_path::own_tid_by(dir, path) {
            let mut link = [0u8; 64];
            let mut rest = &mut link[..];
            write!(rest, "{}/task/{tid}", sys::process_id()).ok();
            let length = (64 - rest.len()).min(size);
            // The kernel's text may be shorter than this one: the memory beyond it is the caller's by `size`.
            into.cast::<u8>().copy_from_nonoverlapping(link.as_ptr(), length);
            return Ok(length as ssize_t);
        }
    }
    Ok(told)
}

/// `stat`: by `asked`, so the call is made twice for a green thread's path. The structure is the stand-in's: a green thread's folder
/// has its inode. Errors are the kernel's.
pub unsafe fn stat(path: *const c_char, into: *mut libc::stat) -> Answer<c_int> {
    asked(path, -1, |path| real::stat(path, into))
}

/// `stat64`, which is another name of `stat` here: both structures are the same on 64 bits.
pub unsafe fn stat64(path: *const c_char, into: *mut libc::stat64) -> Answer<c_int> {
    asked(path, -1, |path| real::stat64(path, into))
}

/// `lstat`: as `stat`, and a link itself.
pub unsafe fn lstat(path: *const c_char, into: *mut libc::stat) -> Answer<c_int> {
    asked(path, -1, |path| real::lstat(path, into))
}

/// `lstat64`, which is another name of `lstat` here.
pub unsafe fn lstat64(path: *const c_char, into: *mut libc::stat64) -> Answer<c_int> {
    asked(path, -1, |path| real::lstat64(path, into))
}

/// `fstatat`: as `stat`, relative to a folder. An empty path with AT_EMPTY_PATH names no thread.
pub unsafe fn fstatat(dir: c_int, path: *const c_char, into: *mut libc::stat, flags: c_int) -> Answer<c_int> {
    asked_at(dir, path, -1, |path| real::fstatat(dir, path, into, flags))
}

/// `fstatat64`, which is another name of `fstatat` here.
pub unsafe fn fstatat64(dir: c_int, path: *const c_char, into: *mut libc::stat64, flags: c_int) -> Answer<c_int> {
    asked_at(dir, path, -1, |path| real::fstatat64(dir, path, into, flags))
}

/// `__xstat`, which programs from before glibc 2.33 call for stat: the first argument is the structure's version, which libc checks
/// (EINVAL).
pub unsafe fn xstat(version: c_int, path: *const c_char, into: *mut c_void) -> Answer<c_int> {
    asked(path, -1, |path| real::__xstat(version, path, into))
}

/// `__lxstat`: as `xstat`, of a link itself.
pub unsafe fn lxstat(version: c_int, path: *const c_char, into: *mut c_void) -> Answer<c_int> {
    asked(path, -1, |path| real::__lxstat(version, path, into))
}

/// `__fxstatat`: as `xstat`, relative to a folder, and with fstatat's flags.
pub unsafe fn fxstatat(
    version: c_int,
    dir: c_int,
    path: *const c_char,
    into: *mut c_void,
    flags: c_int,
) -> Answer<c_int> {
    asked_at(dir, path, -1, |path| real::__fxstatat(version, dir, path, into, flags))
}

/// `statx`: as `fstatat`, with more to ask for.
pub unsafe fn statx(
    dir: c_int,
    path: *const c_char,
    flags: c_int,
    options: c_uint,
    into: *mut libc::statx,
) -> Answer<c_int> {
    asked_at(dir, path, -1, |path| real::statx(dir, path, flags, options, into))
}

/// `access`: may the process's real ids reach the path? For a green thread's path, the stand-in's file.
pub unsafe fn access(path: *const c_char, mode: c_int) -> Answer<c_int> {
    asked(path, -1, |path| real::access(path, mode))
}

/// `faccessat`: as `access`, relative to a folder, and with flags (AT_EACCESS).
pub unsafe fn faccessat(dir: c_int, path: *const c_char, mode: c_int, flags: c_int) -> Answer<c_int> {
    asked_at(dir, path, -1, |path| real::faccessat(dir, path, mode, flags))
}

/// `readlink`: as the kernel tells, but `/proc/thread-self` leads to the green thread's folder. Returns the bytes of the text, which
/// has no NUL at its end.
pub unsafe fn readlink(path: *const c_char, into: *mut c_char, size: size_t) -> Answer<ssize_t> {
    let told = asked(path, -1, |path| real::readlink(path, into, size))?;
    linked(AT_FDCWD, path, into, size, told)
}

/// `readlinkat`: as `readlink`, relative to a folder, and with an empty path of the link that `dir` is.
pub unsafe fn readlinkat(dir: c_int, path: *const c_char, into: *mut c_char, size: size_t) -> Answer<ssize_t> {
    let told = asked_at(dir, path, -1, |path| real::readlinkat(dir, path, into, size))?;
    linked(dir, path, into, size, told)
}

/// `opendir`: opens the stand-in's folder for a green thread's. Null and errno for a failure.
pub unsafe fn opendir(path: *const c_char) -> Answer<*mut DIR> {
    asked(path, std::ptr::null_mut(), |path| real::opendir(path))
}

/// `chdir`: into the stand-in's folder for a green thread's. The folder is the process's, so the stand-in's tid shows in getcwd.
pub unsafe fn chdir(path: *const c_char) -> Answer<c_int> {
    asked(path, -1, |path| real::chdir(path))
}
