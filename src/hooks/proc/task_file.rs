//! The files that /proc shows of a thread, opened by a green thread's tid, which the kernel does not know: it has just said ENOENT. Those
//! of `thread-self` are the kernel thread's at hand: what has been opened is replaced.
//!
//! `comm`, `stat` and `status` are made anew at each open, of what the library knows (name, tid, CPU time) and of what the kernel says of
//! the thread's stand-in (`tid::stand_in`). All others are the stand-in's own. A name that is written into `comm` arrives in a pipe of the
//! library's, which is looked into whenever a name is asked for. The process's own `stat` and `status` count its threads (`task_list`).

use crate::base::lock::RawLock;
use crate::base::own_fds;
use crate::hooks::answer::{answer, errno, Answer, Miss};
use crate::hooks::proc::task_list;
use crate::hooks::thread::schedule;
use crate::runtime::machine::green::Green;
use crate::runtime::machine::{kernel_state, roll};
use crate::runtime::{self, current};
use crate::sys;
use libc::*;
use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// A file of /proc: whose, by which folder, and which.
struct TaskFile<'a> {
    /// `None`: the process's own.
    green: Option<&'static Green>,
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

const THREAD_SELF: &[u8] = b"thread-self";

/// `/proc/thread-self/…`, `/proc/TID/…`, `/proc/self/task/TID/…`, `/proc/PID/task/TID/…`, `/proc/self/…`, `/proc/PID/…`.
fn parse(path: &[u8]) -> Option<TaskFile<'_>> {
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

/// A path in /proc of a green thread fits into so much, or is none.
pub const PATH_BYTES: usize = 256;
pub type Room = [u8; PATH_BYTES];

/// Where a descriptor, or the working directory, leads to.
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

/// A path from the root; a relative one only if it may be about a green thread, below a folder of /proc.
fn absolute<'a>(dir: c_int, path: &'a [u8], room: &'a mut Room) -> Option<&'a [u8]> {
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

fn open_path(path: &CStr, flags: c_int) -> Answer<c_int> {
    // SAFETY: the kernel reads the string.
    answer(unsafe { sys::call(SYS_openat, AT_FDCWD as usize, path.as_ptr() as usize, flags as usize, 0, 0, 0) })
}

fn path_of_stand_in<'a>(file: &TaskFile, room: &'a mut Room) -> Option<&'a CStr> {
    let folder = if file.in_process { "self/task/" } else { "" };
    // main's kernel thread, the process's first, is always there.
    let tid = match file.green {
        Some(green) if !green.is_main => crate::hooks::thread::tid::stand_in(green.tid()),
        _ => sys::process_id(),
    };
    let mut rest = &mut room[..PATH_BYTES - 1];
    write!(rest, "/proc/{folder}{tid}").ok()?;
    rest.write_all(file.name).ok()?;
    CStr::from_bytes_until_nul(room).ok()
}

/// After ENOENT: the path of the same file of the thread's stand-in, if it is one of a green thread's. (`room` is zeroed.)
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
pub unsafe fn open(dir: c_int, path: *const c_char, flags: c_int) -> Answer<c_int> {
    let mut room = [0; PATH_BYTES];
    let file = absolute(dir, CStr::from_ptr(path).to_bytes(), &mut room).and_then(parse).ok_or(Miss::Errno(ENOENT))?;
    match file.green {
        Some(green) if !green.is_main => open_file(&file, green, flags),
        _ => errno(ENOENT),
    }
}

fn open_file(file: &TaskFile, green: &'static Green, flags: c_int) -> Answer<c_int> {
    match (file.name, flags & O_ACCMODE) {
        (b"/comm", _) if green.is_main => open_of_stand_in(file, flags),
        (b"/comm", O_RDONLY) => {
            let (line, length) = line_of(green)?;
            text_file(&line[..length], flags)
        }
        (b"/comm", O_WRONLY) => written_name(green, flags, name_pipe()?),
        (b"/comm", _) => written_name(green, flags, name_socket(green)?),
        (b"/stat", O_RDONLY) => made(file, green, flags, stat),
        (b"/status", O_RDONLY) => made(file, green, flags, status),
        _ => open_of_stand_in(file, flags),
    }
}

/// The caller's tid, if the path is `/proc/thread-self` itself.
///
/// # Safety
/// The kernel has just read the path.
#[cold]
pub unsafe fn own_tid_by(dir: c_int, path: *const c_char) -> Option<pid_t> {
    let mut room = [0; PATH_BYTES];
    let is_it = absolute(dir, CStr::from_ptr(path).to_bytes(), &mut room)? == b"/proc/thread-self";
    current().filter(|_| is_it).map(Green::tid)
}

/// May the path be of a file that `opened` replaces?
///
/// # Safety
/// The kernel has just read the path.
#[inline]
pub unsafe fn is_in_proc(path: *const c_char) -> bool {
    let starts = |with: &[u8]| with.iter().enumerate().all(|(at, &byte)| *path.add(at) as u8 == byte);
    starts(b"/proc/") || starts(THREAD_SELF)
}

/// The kernel has opened it: the same, or what stands for it, if it tells of a thread.
///
/// # Safety
/// The kernel has just read the path.
#[cold]
pub unsafe fn opened(fd: c_int, dir: c_int, path: *const c_char, flags: c_int) -> Answer<c_int> {
    let mut room = [0; PATH_BYTES];
    let file = absolute(dir, CStr::from_ptr(path).to_bytes(), &mut room).and_then(parse);
    let Some(file) = file.filter(|_| flags & O_PATH == 0) else { return Ok(fd) };
    let Some(green) = file.green else { return Ok(fd) };
    Ok(match open_file(&file, green, flags) {
        // What is read comes to the number that the kernel has chosen, the lowest.
        Ok(instead) if flags & O_ACCMODE == O_RDONLY => {
            let close_on_exec = flags & O_CLOEXEC;
            sys::call(SYS_dup3, instead as usize, fd as usize, close_on_exec as usize, 0, 0, 0);
            sys::close(instead);
            fd
        }
        Ok(instead) => {
            sys::close(fd);
            instead
        }
        Err(_) => fd,
    })
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
fn made(
    file: &TaskFile,
    green: &Green,
    flags: c_int,
    make: fn(&Green, &str, &mut Vec<u8>) -> Option<()>,
) -> Answer<c_int> {
    let fd = open_of_stand_in(file, O_RDONLY | O_CLOEXEC)?;
    let mut text = [0u8; 4096];
    // SAFETY: the kernel writes into our array.
    let read: Answer<usize> =
        answer(unsafe { sys::call(SYS_read, fd as usize, text.as_mut_ptr() as usize, text.len(), 0, 0, 0) });
    sys::close(fd);
    let text = std::str::from_utf8(&text[..read?]).map_err(|_| Miss::Errno(EIO))?;
    let mut made = Vec::with_capacity(4096);
    make(green, text, &mut made).ok_or(Miss::Errno(EIO))?;
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
    let is_me = current().is_some_and(|me| std::ptr::eq(me, green));
    if is_me {
        'R'
    } else {
        'S'
    }
}

/// proc(5): tid, (name), state, then numbers by their place; the 14th and 15th are the CPU time in hundredths of a second, the 20th counts
/// the threads.
fn stat(green: &Green, text: &str, made: &mut Vec<u8>) -> Option<()> {
    const TICK_NS: u64 = 10_000_000;
    let rest = &text[text.rfind(')')? + 2..];
    write!(made, "{} ({}) {}", green.tid(), name(green), state(green)).ok()?;
    for (at, field) in rest.trim_end().split(' ').enumerate().skip(1) {
        match at + 3 {
            14 => write!(made, " {}", kernel_state::cpu_ns(green) / TICK_NS),
            15 => write!(made, " 0"),
            20 => write!(made, " {}", task_list::count()?),
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
            "Threads" => writeln!(made, "Threads:\t{}", task_list::count()?),
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
