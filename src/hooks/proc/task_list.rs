//! A process's threads as a folder: the entries of `/proc/self/task`, by whichever call the folder is read (readdir, scandir, nftw:
//! libc's entry leads here). The kernel lists kernel threads. The hooks show the green threads, and those kernel threads that are not the
//! library's.
//!
//! The list is made anew at each call, ordered by tid. The folder's position is 2 and the tid that comes next, so that threads may begin
//! and end meanwhile, and telldir, seekdir and rewinddir work as they do. The kernel's own position counts threads: beyond its last
//! thread the kernel tells nothing more, but the position remains.

use crate::base::kept::Kept;
use crate::base::signal_set;
use crate::hooks::answer::{answer, errno, Answer, Arguments};
use crate::hooks::proc::thread_path;
use crate::hooks::{memory, real};
use crate::runtime::machine::{counts, roll};
use crate::runtime::{self, dump, monitor};
use crate::sys;
use libc::*;
use std::cell::RefCell;
use std::ffi::CStr;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The offsets in a linux_dirent64 (getdents(2)): inode 8 bytes, position of the next 8, length 2, type 1, name and NUL; lengths are
/// multiples of 8.
const POSITION: usize = 8;
const LENGTH: usize = 16;
const TYPE: usize = 18;
const NAME: usize = 19;

/// True once such a folder has been read, in this process or in one that it was forked from. From then on an end of the kernel's
/// list is looked at, too.
static IS_READ: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));

/// `getdents64`: as the kernel tells it, but for the process's task folder. Returns the bytes written, 0 at the end. Errors are the
/// kernel's; EFAULT and EINVAL (too little room for one entry) come from its own look. Called by any thread; readdir calls it inside
/// libc.
pub unsafe fn getdents64(fd: c_int, to: *mut c_void, bytes: size_t) -> Answer<ssize_t> {
    shown(fd, to as *mut u8, bytes, real::getdents64(fd, to, bytes))
}

/// The system call getdents64: as the function, with the kernel's result. Its count is cut to 32 bits, as by the kernel.
pub unsafe fn by_number([fd, to, bytes, ..]: Arguments) -> Answer<c_long> {
    let told = answer(sys::call(SYS_getdents64, fd, to, bytes, 0, 0, 0))?;
    shown(fd as c_int, to as *mut u8, bytes as c_uint as usize, told).map(|told| told as c_long)
}

/// Returns what the kernel has told of a folder (`told`), or shows the threads instead, if it is the process's task folder.
///
/// 1. Something was told: a folder whose first name is no number costs one look. Else the kernel's link says whether it is the task
///    folder.
/// 2. Nothing was told, at the end of the kernel's list: the green threads may go on. Looked at only once such a folder was read
///    (IS_READ).
/// 3. An error, and all before the start, is the kernel's.
#[inline]
unsafe fn shown(fd: c_int, to: *mut u8, bytes: usize, told: isize) -> Answer<ssize_t> {
    match told {
        1.. if runtime::started() => match begins_with_number(to, told as usize) {
            Some(position) => threads(fd, Some(position), to, bytes, told),
            None => Ok(told),
        },
        0 if IS_READ.load(Relaxed) => threads(fd, None, to, bytes, told),
        _ => Ok(told),
    }
}

/// Returns the position behind an entry, as the kernel has written it.
unsafe fn next_position(entry: *const u8) -> i64 {
    (entry.add(POSITION) as *const i64).read_unaligned()
}

/// Returns an entry's length in bytes.
unsafe fn length(entry: *const u8) -> usize {
    (entry.add(LENGTH) as *const u16).read_unaligned() as usize
}

/// Returns the position at which the entries began, if the first folder among them, but for `.` and `..`, has a digit as its name's
/// first letter: a task folder, or /proc itself.
unsafe fn begins_with_number(entries: *const u8, bytes: usize) -> Option<i64> {
    let (begin, mut at) = (next_position(entries) - 1, 0);
    while at < bytes {
        let entry = entries.add(at);
        match (*entry.add(TYPE), *entry.add(NAME)) {
            (DT_DIR, b'.') => at += length(entry),
            (DT_DIR, b'0'..=b'9') => return Some(begin),
            _ => return None,
        }
    }
    None
}

/// Is the descriptor one of this process's task folder, by the kernel's link in /proc/self/fd?
fn is_task_folder(fd: c_int) -> bool {
    let (mut room, mut own) = ([0; thread_path::PATH_BYTES], Vec::with_capacity(32));
    write!(own, "/proc/{}/task", sys::process_id()).ok();
    thread_path::place_of(fd, &mut room) == Some(&own)
}

/// Moves a folder's position, or with SEEK_CUR and 0 leaves it. Returns the position, or a negated error number.
fn seek(fd: c_int, position: i64, whence: c_int) -> i64 {
    // SAFETY: the call touches no memory.
    unsafe { sys::call(SYS_lseek, fd as usize, position as usize, whence as usize, 0, 0, 0) as i64 }
}

/// Writes the entries of the threads from `position` on into the program's memory, as many as fit, and moves the folder's position
/// behind them. `position` is `None` at the kernel's end: then the folder's own counts. Returns the bytes written. EFAULT moves
/// nothing. For another folder returns `told`, the kernel's result. Allocates.
#[cold]
unsafe fn threads(fd: c_int, position: Option<i64>, to: *mut u8, bytes: usize, told: isize) -> Answer<ssize_t> {
    if !is_task_folder(fd) {
        return Ok(told);
    }
    IS_READ.store(true, Relaxed);
    let position = position.unwrap_or_else(|| seek(fd, 0, SEEK_CUR));
    let (mut entries, mut next) = (Vec::with_capacity(4096), position);
    for (at, name) in names(&tids(fd)).filter(|(at, _)| *at >= position) {
        let whole = (NAME + name.len() + 1).next_multiple_of(8);
        if entries.len() + whole > bytes {
            break;
        }
        next = at + 1;
        let begin = entries.len();
        entries.extend((at as u64 + 1).to_ne_bytes());
        entries.extend(next.to_ne_bytes());
        entries.extend((whole as u16).to_ne_bytes());
        entries.push(DT_DIR);
        entries.extend(name.bytes());
        entries.resize(begin + whole, 0);
    }
    seek(fd, next, SEEK_SET);
    if entries.len() >= 8 && !memory::can_write(to as usize, entries.len()) {
        seek(fd, position, SEEK_SET);
        return errno(EFAULT);
    }
    to.copy_from_nonoverlapping(entries.as_ptr(), entries.len());
    Ok(entries.len() as ssize_t)
}

/// Visits the folder's entries: their positions and names, `.` and `..` first.
fn names(tids: &[pid_t]) -> impl Iterator<Item = (i64, String)> + '_ {
    let first = [(0, ".".to_owned()), (1, "..".to_owned())];
    first.into_iter().chain(tids.iter().map(|&tid| (tid as i64 + 2, tid.to_string())))
}

/// Counts the process's threads, as the list would show them; `None`: there is no /proc. Called for the lines of `stat` and `status`,
/// on any thread. Opens the folder for the time.
pub fn count() -> Option<usize> {
    let fd = sys::file::open(c"/proc/self/task", O_RDONLY | O_DIRECTORY).ok()?;
    let count = tids(fd).len();
    sys::close(fd);
    Some(count)
}

/// Returns the tids of all threads in order: the green ones', and of the kernel's those that are not the library's. The folder is read from
/// its beginning.
fn tids(fd: c_int) -> Vec<pid_t> {
    // The first kernel thread stays until the process ends, and the kernel lists it, also after main's end.
    let all = RefCell::new(vec![sys::process_id()]);
    roll::search(|green| {
        all.borrow_mut().push(green.tid());
        false
    });
    let mut all = all.into_inner();
    each_in_kernel(fd, |tid| {
        if tid != monitor::kernel_tid() && tid != dump::kernel_tid() && !is_worker(tid) && !is_being_made(tid) {
            all.push(tid);
        }
    });
    all.sort_unstable();
    all.dedup();
    all
}

/// Gives `visit` the tid of each kernel thread that the folder lists. Reads the folder from its beginning, and leaves its position
/// at the end.
fn each_in_kernel(fd: c_int, mut visit: impl FnMut(pid_t)) {
    let mut entries = [0u64; 512];
    seek(fd, 0, SEEK_SET);
    loop {
        let (to, bytes) = (entries.as_mut_ptr() as usize, size_of_val(&entries));
        // SAFETY: the kernel writes into a local array.
        let told = unsafe { sys::call(SYS_getdents64, fd as usize, to, bytes, 0, 0, 0) };
        let (begin, mut at) = (entries.as_ptr() as *const u8, 0);
        while (at as isize) < told {
            // SAFETY: the kernel's entries; each ends with a NUL.
            let (name, length) =
                unsafe { (CStr::from_ptr(begin.add(at + NAME) as *const c_char), length(begin.add(at))) };
            name.to_str().ok().and_then(|name| name.parse().ok()).map(&mut visit);
            at += length;
        }
        if told <= 0 {
            return;
        }
    }
}

/// Is `tid` a kernel thread of the library's that has not enlisted yet, which is the first thing that they do, or one that has just
/// ended? Asked of tids that the kernel lists and that are no worker's; may yield the processor for a while.
///
/// | the thread's blocked signals | what it is |
/// |---|---|
/// | none to be read | it has ended |
/// | all but SIGKILL and SIGSTOP | a vessel's birth or death, or a worker that comes to rest: the library's |
/// | all that may be blocked (CLOSED) | the library's if it enlists during `LOOKS` looks; another's if it sleeps (a timer's thread) |
/// | others | another's, unless it has enlisted meanwhile |
fn is_being_made(tid: pid_t) -> bool {
    const KILL_AND_STOP: u64 = 1 << (SIGKILL - 1) | 1 << (SIGSTOP - 1);
    const LOOKS: u32 = 1000;
    if tid == sys::kernel_thread_id() {
        return false;
    }
    match sys::task::blocked_signals(tid) {
        None => true,
        // The kernel thread of a vessel's birth or death, which only comes and goes, or of a worker that comes to rest.
        Some(mask) if mask | KILL_AND_STOP == u64::MAX => true,
        Some(signal_set::CLOSED) => {
            for _ in 0..LOOKS {
                sys::yield_processor();
                if is_worker(tid) || sys::task::sleeps(tid) {
                    break;
                }
            }
            is_worker(tid)
        }
        Some(_) => is_worker(tid),
    }
}

/// Is `tid` the kernel thread of a worker?
fn is_worker(tid: pid_t) -> bool {
    let mut is_it = false;
    counts::for_each_worker(|worker| is_it |= worker.kernel_tid.load(Relaxed) == tid);
    is_it
}
