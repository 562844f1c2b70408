//! The files that /proc shows of a thread, opened by a green thread's tid, which the kernel does not know: it has just said ENOENT.
//!
//! `comm`, `stat` and `status` are made anew at each open, of what the library knows (name, tid, CPU time) and of what the kernel says of
//! the thread's stand-in (`tid::stand_in`). All others are the stand-in's own. A name that is written into `comm` arrives in a pipe of the
//! library's, which is looked into whenever a name is asked for.

use super::{answer, errno, schedule, Answer, Miss};
use crate::runtime::green::Green;
use crate::runtime::raw_lock::RawLock;
use crate::runtime::{kernel_state, own_fds, roll};
use crate::sys;
use libc::*;
use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// A thread's file: whose, by which folder, and which.
struct TaskFile<'a> {
    green: &'static Green,
    in_process: bool,
    name: &'a [u8],
}

/// Digits at the beginning, and what follows.
fn number(text: &[u8]) -> Option<(pid_t, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at(digits);
    let value =
        number.iter().try_fold(0i32, |value, digit| value.checked_mul(10)?.checked_add((digit - b'0') as i32))?;
    (digits > 0 && (rest.is_empty() || rest[0] == b'/')).then_some((value, rest))
}

/// `/proc/TID/…`, `/proc/self/task/TID/…`, `/proc/PID/task/TID/…`.
fn parse(path: &[u8]) -> Option<TaskFile<'_>> {
    let below = path.strip_prefix(b"/proc/")?;
    let in_task = below.strip_prefix(b"self/task/").or_else(|| {
        let (pid, rest) = number(below)?;
        let is_own = pid == sys::process_id() || roll::find(pid).is_some();
        rest.strip_prefix(b"/task/").filter(|_| is_own)
    });
    let (tid, name) = number(in_task.unwrap_or(below))?;
    let green = roll::find(tid).filter(|green| !green.is_main)?;
    Some(TaskFile { green, in_process: in_task.is_some(), name })
}

fn open_path(path: &CStr, flags: c_int) -> Answer<c_int> {
    // SAFETY: the kernel reads the string.
    answer(unsafe { sys::call(SYS_openat, AT_FDCWD as usize, path.as_ptr() as usize, flags as usize, 0, 0, 0) })
}

/// A path in /proc of a green thread fits into so much, or is none.
pub const PATH_BYTES: usize = 256;

fn path_of_stand_in<'a>(file: &TaskFile, room: &'a mut [u8; PATH_BYTES]) -> Option<&'a CStr> {
    let folder = if file.in_process { "self/task/" } else { "" };
    let mut rest = &mut room[..PATH_BYTES - 1];
    write!(rest, "/proc/{folder}{}", super::tid::stand_in(file.green.tid())).ok()?;
    rest.write_all(file.name).ok()?;
    CStr::from_bytes_until_nul(room).ok()
}

/// After ENOENT: the path of the same file of the thread's stand-in, if it is one of a green thread's. (`room` is zeroed.)
///
/// # Safety
/// The kernel has just read the path.
#[cold]
pub unsafe fn stand_in_of(path: *const c_char, room: &mut [u8; PATH_BYTES]) -> Option<&CStr> {
    path_of_stand_in(&parse(CStr::from_ptr(path).to_bytes())?, room)
}

/// The same file of the thread's stand-in.
fn open_of_stand_in(file: &TaskFile, flags: c_int) -> Answer<c_int> {
    let mut room = [0; PATH_BYTES];
    match path_of_stand_in(file, &mut room) {
        Some(path) => open_path(path, flags),
        None => errno(ENOENT),
    }
}

/// After ENOENT: the file of that path, if it is one of a green thread's.
///
/// # Safety
/// The kernel has just read the path.
#[cold]
pub unsafe fn open(path: *const c_char, flags: c_int) -> Answer<c_int> {
    let file = parse(CStr::from_ptr(path).to_bytes()).ok_or(Miss::Errno(ENOENT))?;
    match (file.name, flags & O_ACCMODE) {
        (b"/comm", O_RDONLY) => {
            let (line, length) = line_of(file.green)?;
            text_file(&line[..length], flags)
        }
        (b"/comm", O_WRONLY) => written_name(file.green, flags, name_pipe()?),
        (b"/comm", _) => written_name(file.green, flags, name_socket(file.green)?),
        (b"/stat", O_RDONLY) => made(&file, flags, stat),
        (b"/status", O_RDONLY) => made(&file, flags, status),
        _ => open_of_stand_in(&file, flags),
    }
}

/// A file in memory, to be read from its beginning.
fn text_file(text: &[u8], flags: c_int) -> Answer<c_int> {
    let close = if flags & O_CLOEXEC != 0 { MFD_CLOEXEC } else { 0 };
    // SAFETY: the kernel reads the string, then the text.
    unsafe {
        let fd: c_int = answer(sys::call(SYS_memfd_create, c"task".as_ptr() as usize, close as usize, 0, 0, 0, 0))?;
        let written = sys::call(SYS_pwrite64, fd as usize, text.as_ptr() as usize, text.len(), 0, 0, 0);
        if written != text.len() as isize {
            sys::close(fd);
            return errno(ENOMEM);
        }
        Ok(fd)
    }
}

/// The stand-in's text, with what is the green thread's own.
fn made(file: &TaskFile, flags: c_int, make: fn(&Green, &str, &mut Vec<u8>) -> Option<()>) -> Answer<c_int> {
    let fd = open_of_stand_in(file, O_RDONLY | O_CLOEXEC)?;
    let mut text = [0u8; 4096];
    // SAFETY: the kernel writes into our array.
    let read: Answer<usize> =
        answer(unsafe { sys::call(SYS_read, fd as usize, text.as_mut_ptr() as usize, text.len(), 0, 0, 0) });
    sys::close(fd);
    let text = std::str::from_utf8(&text[..read?]).map_err(|_| Miss::Errno(EIO))?;
    let mut made = Vec::with_capacity(4096);
    make(file.green, text, &mut made).ok_or(Miss::Errno(EIO))?;
    text_file(&made, flags)
}

fn name(green: &Green) -> String {
    // SAFETY: a living thread, as far as is known: a name is always whole.
    let name = unsafe { schedule::name_of(green) }.unwrap_or_default();
    let length = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..length]).into_owned()
}

/// Runs, or sleeps.
fn state(green: &Green) -> char {
    let is_me = crate::runtime::current().is_some_and(|me| std::ptr::eq(me, green));
    if is_me {
        'R'
    } else {
        'S'
    }
}

/// proc(5): tid, (name), state, then numbers by their place; the 14th and 15th are the CPU time in hundredths of a second.
fn stat(green: &Green, text: &str, made: &mut Vec<u8>) -> Option<()> {
    const TICK_NS: u64 = 10_000_000;
    let rest = &text[text.rfind(')')? + 2..];
    write!(made, "{} ({}) {}", green.tid(), name(green), state(green)).ok()?;
    for (at, field) in rest.trim_end().split(' ').enumerate().skip(1) {
        match at + 3 {
            14 => write!(made, " {}", kernel_state::cpu_ns(green) / TICK_NS),
            15 => write!(made, " 0"),
            _ => write!(made, " {field}"),
        }
        .ok()?;
    }
    made.push(b'\n');
    Some(())
}

fn status(green: &Green, text: &str, made: &mut Vec<u8>) -> Option<()> {
    for line in text.lines() {
        match line.split(':').next()? {
            "Name" => writeln!(made, "Name:\t{}", name(green)),
            "State" if state(green) == 'R' => writeln!(made, "State:\tR (running)"),
            "State" => writeln!(made, "State:\tS (sleeping)"),
            "Pid" => writeln!(made, "Pid:\t{}", green.tid()),
            "SigBlk" => writeln!(made, "SigBlk:\t{:016x}", green.mask.get()),
            _ => writeln!(made, "{line}"),
        }
        .ok()?;
    }
    Some(())
}

/// A thread's name as `comm` shows it: a line, and its length.
fn line_of(green: &Green) -> Answer<([u8; 16], usize)> {
    // SAFETY: a living thread, as far as is known: a name is always whole.
    let name = unsafe { schedule::name_of(green) }?;
    let length = name.iter().position(|&byte| byte == 0).unwrap_or(name.len() - 1);
    let mut line = [b'\n'; 16];
    line[..length].copy_from_slice(&name[..length]);
    Ok((line, length + 1))
}

/// Two ends: what is written into the second is read from the first.
fn name_pipe() -> Answer<[c_int; 2]> {
    let mut ends = [0 as c_int; 2];
    let kind = O_NONBLOCK | O_CLOEXEC | O_DIRECT;
    // SAFETY: the kernel writes two numbers.
    answer::<c_int>(unsafe { sys::call(SYS_pipe2, ends.as_mut_ptr() as usize, kind as usize, 0, 0, 0, 0) })?;
    Ok(ends)
}

/// The same, where the second end also tells the name, once, and then its end.
fn name_socket(green: &Green) -> Answer<[c_int; 2]> {
    let (line, length) = line_of(green)?;
    let mut ends = [0 as c_int; 2];
    let kind = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;
    // SAFETY: the kernel writes two numbers, and reads the line.
    unsafe {
        let to = ends.as_mut_ptr() as usize;
        answer::<c_int>(sys::call(SYS_socketpair, AF_UNIX as usize, kind as usize, 0, to, 0, 0))?;
        sys::call(SYS_write, ends[0] as usize, line.as_ptr() as usize, length, 0, 0, 0);
        sys::call(SYS_shutdown, ends[0] as usize, SHUT_WR as usize, 0, 0, 0, 0);
    }
    Ok(ends)
}

/// The end to which a name is written; the other is looked into when a name is asked for.
fn written_name(green: &'static Green, flags: c_int, [reader, writer]: [c_int; 2]) -> Answer<c_int> {
    if !AWAITED.add(green, own_fds::keep(reader)) {
        sys::close(writer);
        return errno(EMFILE);
    }
    if flags & O_CLOEXEC == 0 {
        // SAFETY: the call touches no memory.
        unsafe { sys::call(SYS_fcntl, writer as usize, F_SETFD as usize, 0, 0, 0, 0) };
    }
    Ok(writer)
}

/// Names that may be written: (a thread's tid, the pipe's end).
struct Awaited {
    lock: RawLock,
    all: UnsafeCell<Vec<(pid_t, c_int)>>,
    count: AtomicUsize,
}

// SAFETY: the list is only touched under the lock.
unsafe impl Sync for Awaited {}

static AWAITED: Awaited =
    Awaited { lock: RawLock::new(), all: UnsafeCell::new(Vec::new()), count: AtomicUsize::new(0) };

impl Awaited {
    /// So many writers may be open at once.
    const MOST: usize = 256;

    /// False, and the pipe is closed: there are too many.
    fn add(&self, green: &Green, fd: c_int) -> bool {
        self.look(|_, _| ());
        let has_room = self.lock.with(|| {
            // SAFETY: under the lock.
            let all = unsafe { &mut *self.all.get() };
            let has_room = all.len() < Awaited::MOST;
            if has_room {
                all.push((green.tid(), fd));
            }
            self.count.store(all.len(), Release);
            has_room
        });
        if !has_room {
            own_fds::remove(fd);
            sys::close(fd);
        }
        has_room
    }

    /// Takes what was written, and closes what nobody will write any more.
    fn look(&self, mut written: impl FnMut(pid_t, &[u8])) {
        self.lock.with(|| {
            // SAFETY: under the lock.
            let all = unsafe { &mut *self.all.get() };
            all.retain(|&(tid, fd)| loop {
                let mut name = [0u8; 64];
                // SAFETY: the kernel writes into our array.
                let read = unsafe { sys::call(SYS_read, fd as usize, name.as_mut_ptr() as usize, name.len(), 0, 0, 0) };
                match read {
                    1.. => written(tid, &name[..read as usize]),
                    // A socket whose other end left the name unread: told once, before what was written.
                    reset if reset == -(ECONNRESET as isize) => {}
                    0 => {
                        own_fds::remove(fd);
                        sys::close(fd);
                        return false;
                    }
                    _ => return true,
                }
            });
            self.count.store(all.len(), Release);
        });
    }
}

/// Before a name is told: those that were written into `comm` since.
#[inline]
pub fn take_names() {
    if AWAITED.count.load(Acquire) == 0 {
        return;
    }
    AWAITED.look(|tid, written| {
        let Some(green) = roll::find(tid) else { return };
        let mut name = [0u8; 16];
        let length = written.len().min(15);
        name[..length].copy_from_slice(&written[..length]);
        if let Some(end) = name.iter().position(|&byte| byte == b'\n') {
            name[end..].fill(0);
        }
        // SAFETY: a copy that may be of either side of a change, as in pthread_setname_np.
        unsafe { *green.name.get() = name };
    });
}

/// In a fork child: the pipes were closed with all that is the library's.
pub fn after_fork() {
    AWAITED.lock.reset();
    // SAFETY: the only thread.
    unsafe { (*AWAITED.all.get()).clear() };
    AWAITED.count.store(0, Relaxed);
}
