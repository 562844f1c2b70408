//! Paths in /proc that name a thread: which green thread's file a path means, and the path of the same file of its stand-in.

use crate::hooks::named::stand_in;
use crate::runtime::machine::parts::Green;
use crate::runtime::machine::roll;
use crate::runtime::{self, current};
use crate::sys;
use libc::*;
use std::ffi::CStr;
use std::io::Write;

/// A file of /proc, as its path names it: the thread, the form of the path, and which of the thread's files.
pub struct TaskFile<'a> {
    /// The thread; `None`: the process itself is named.
    pub green: Option<&'static Green>,
    /// True: by a folder below the process's `task`, or by thread-self; false: by /proc/TID.
    pub in_process: bool,
    /// The text behind the thread's folder: a slash and a name, or nothing.
    pub name: &'a [u8],
}

/// Splits a text into the number that it begins with, up to its end or a slash, and what follows. `None`: it begins with no number,
/// or with one above 2³¹ - 1, or something else follows the digits.
fn number(text: &[u8]) -> Option<(pid_t, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at(digits);
    let value =
        number.iter().try_fold(0i32, |value, digit| value.checked_mul(10)?.checked_add((digit - b'0') as i32))?;
    (digits > 0 && (rest.is_empty() || rest[0] == b'/')).then_some((value, rest))
}

/// The link in /proc that leads to the caller's own folder.
const THREAD_SELF: &[u8] = b"thread-self";

/// Returns the file that a path of one of these forms names, if its thread lives: `/proc/thread-self/…`, `/proc/TID/…`,
/// `/proc/self/task/TID/…`, `/proc/PID/task/TID/…`, `/proc/self/…`, `/proc/PID/…`. `None` for every other path, another process's among
/// them, and for thread-self on a foreign thread.
pub fn parse(path: &[u8]) -> Option<TaskFile<'_>> {
    let below = path.strip_prefix(b"/proc/")?;
    if let Some(name) = below.strip_prefix(THREAD_SELF).filter(|name| matches!(name, [] | [b'/', ..])) {
        return Some(TaskFile { green: Some(current()?), in_process: true, name });
    }
    let (green, name) = match below.strip_prefix(b"self/").map(|_| &below[b"self".len()..]) {
        Some(name) => (None, name),
        None => {
            let (pid, name) = number(below)?;
            let is_own = pid == sys::process_id();
            (if is_own { None } else { Some(roll::find(pid)?) }, name)
        }
    };
    match name.strip_prefix(b"/task/") {
        Some(of_thread) => {
            let (tid, name) = number(of_thread)?;
            Some(TaskFile { green: Some(roll::find(tid)?), in_process: true, name })
        }
        None => Some(TaskFile { green, in_process: false, name }),
    }
}

/// The bytes of a path in /proc that names a thread; a longer path names none.
pub const PATH_BYTES: usize = 256;

/// Room for a path.
pub type Room = [u8; PATH_BYTES];

/// Returns the path of a descriptor's folder, or of the working directory (AT_FDCWD), as the kernel tells it by its links in
/// /proc/self; `None`: it does not fit, or there is no /proc.
pub fn place_of(dir: c_int, room: &mut Room) -> Option<&[u8]> {
    let mut link = [0u8; 32];
    match dir {
        AT_FDCWD => write!(&mut link[..], "/proc/self/cwd\0").ok()?,
        _ => write!(&mut link[..], "/proc/self/fd/{dir}\0").ok()?,
    }
    let to = room.as_mut_ptr() as usize;
    // SAFETY: the kernel reads the string and writes into the room.
    let told = unsafe { sys::call(SYS_readlink, link.as_ptr() as usize, to, room.len(), 0, 0, 0) };
    room.get(..usize::try_from(told).ok()?)
}

/// Returns a path from the root: an absolute one as it is, a relative one behind its folder's, written into `room`. `None`: the
/// relative path names no thread, or its folder is not in /proc. A relative path without a green thread's tid in it, which does not
/// begin with thread-self either, costs no system call.
pub fn absolute<'a>(dir: c_int, path: &'a [u8], room: &'a mut Room) -> Option<&'a [u8]> {
    if path.first() == Some(&b'/') {
        return Some(path);
    }
    let names_thread = |part: &[u8]| number(part).is_some_and(|(tid, _)| roll::find(tid).is_some());
    if !path.starts_with(THREAD_SELF) && !path.split(|&byte| byte == b'/').any(names_thread) {
        return None;
    }
    let length = place_of(dir, room).filter(|place| place.starts_with(b"/proc"))?.len();
    let mut rest = &mut room[length..];
    rest.write_all(b"/").ok()?;
    rest.write_all(path).ok()?;
    Some(&room[..length + 1 + path.len()])
}

/// Writes the path of the same file of the thread's stand-in into `room`; `None`: it does not fit.
pub fn path_of_stand_in<'a>(file: &TaskFile, room: &'a mut Room) -> Option<&'a CStr> {
    let folder = if file.in_process { "self/task/" } else { "" };
    // main's kernel thread, the process's first, is always there.
    let tid = match file.green {
        Some(green) if !green.is_main => stand_in(green.tid()),
        _ => sys::process_id(),
    };
    let mut rest = &mut room[..PATH_BYTES - 1];
    write!(rest, "/proc/{folder}{tid}").ok()?;
    rest.write_all(file.name).ok()?;
    CStr::from_bytes_until_nul(room).ok()
}

/// Returns the path of the same file of the thread's stand-in, written into `room`, which is zeroed, if the path is one of a green
/// thread's. Called after ENOENT. `None` before the start.
///
/// # Safety
/// The kernel has just read the path.
#[cold]
pub unsafe fn stand_in_of(dir: c_int, path: *const c_char, room: &mut Room) -> Option<&CStr> {
    if !runtime::started() {
        return None;
    }
    let mut whole = [0; PATH_BYTES];
    let file = parse(absolute(dir, CStr::from_ptr(path).to_bytes(), &mut whole)?)?;
    path_of_stand_in(&file, room)
}

/// Returns the caller's tid, if the path is `/proc/thread-self` itself and the caller a green thread.
///
/// # Safety
/// The kernel has just read the path.
#[cold]
pub unsafe fn own_tid_by(dir: c_int, path: *const c_char) -> Option<pid_t> {
    let mut room = [0; PATH_BYTES];
    let is_it = absolute(dir, CStr::from_ptr(path).to_bytes(), &mut room)? == b"/proc/thread-self";
    current().filter(|_| is_it).map(Green::tid)
}

/// May the path be of a file that `opened` replaces? Asked of each path that openat has opened, so it is a comparison of the first
/// bytes only.
#[inline]
pub unsafe fn is_in_proc(path: *const c_char) -> bool {
    let starts = |with: &[u8]| with.iter().enumerate().all(|(at, &byte)| *path.add(at) as u8 == byte);
    starts(b"/proc/") || starts(THREAD_SELF)
}
