//! The files that /proc shows of a thread. The kernel does not know a green thread's tid: to an open by it the kernel has just said
//! ENOENT. By `thread-self` the kernel opens a file of the kernel thread at hand, and that file is replaced here.
//!
//! `comm`, `stat` and `status` are made anew at each open, of what the library knows (name, tid, CPU time) and of what the kernel says of
//! the thread's stand-in (`named::stand_in`). All others are the stand-in's own. A name that is written into `comm` is taken by
//! `thread/written_names.rs`. The process's own `stat` and `status` count its threads (`task_list`).

use crate::base::own_fds;
use crate::hooks::answer::{answer, errno, Answer, Miss};
use crate::hooks::proc::task_list;
use crate::hooks::proc::thread_path::{absolute, parse, path_of_stand_in, TaskFile, PATH_BYTES};
use crate::hooks::thread::{name, written_names};
use crate::runtime::current;
use crate::runtime::machine::kernel_state;
use crate::runtime::machine::parts::Green;
use crate::sys;
use libc::*;
use std::ffi::CStr;
use std::io::Write;

/// Opens a path by the kernel, for the library or for the program. Fails with the kernel's error. No cancellation point, and no hook
/// sees it.
fn open_path(path: &CStr, flags: c_int) -> Answer<c_int> {
    // SAFETY: the kernel reads the string.
    answer(unsafe { sys::call(SYS_openat, AT_FDCWD as usize, path.as_ptr() as usize, flags as usize, 0, 0, 0) })
}

/// Opens the file of this name in the stand-in's folder; ENOENT where that path does not fit.
fn open_of_stand_in(file: &TaskFile, flags: c_int) -> Answer<c_int> {
    let mut room = [0; PATH_BYTES];
    match path_of_stand_in(file, &mut room) {
        Some(path) => open_path(path, flags),
        None => errno(ENOENT),
    }
}

/// Opens the file of that path, if it is one of a green thread's; main's is the kernel's. Called by the hook of openat after the
/// kernel has said ENOENT, which stays the answer for all other paths. Returns a new descriptor. EMFILE and ENOMEM where the file
/// cannot be made.
#[cold]
pub unsafe fn open(dir: c_int, path: *const c_char, flags: c_int) -> Answer<c_int> {
    let mut room = [0; PATH_BYTES];
    let file = absolute(dir, CStr::from_ptr(path).to_bytes(), &mut room).and_then(parse).ok_or(Miss::Errno(ENOENT))?;
    match file.green {
        Some(green) if !green.is_main => open_file(&file, green, flags),
        _ => errno(ENOENT),
    }
}

/// Opens a file of a thread's folder. Returns a new descriptor.
///
/// | name, and how it is opened | the file |
/// |---|---|
/// | `comm`, of main | the stand-in's: the kernel keeps main's name |
/// | `comm`, to read | a text in memory: the name and a line's end |
/// | `comm`, to write | a pipe's end (`written_names`) |
/// | `comm`, to read and write | a socket's end, which tells the name once |
/// | `stat`, `status`, to read | the stand-in's text, with what is the green thread's own |
/// | all else | the stand-in's |
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

/// Returns the descriptor that stands for what the kernel has opened as `fd`: the same, or one with the green thread's file, if the
/// path tells of a thread (`thread-self`) or of the process's own counts. Called by the hook of openat for paths in /proc. A failure
/// to make that file leaves the kernel's. O_PATH descriptors stay as they are.
#[cold]
pub unsafe fn opened(fd: c_int, dir: c_int, path: *const c_char, flags: c_int) -> Answer<c_int> {
    let mut room = [0; PATH_BYTES];
    let file = absolute(dir, CStr::from_ptr(path).to_bytes(), &mut room).and_then(parse);
    let Some(file) = file.filter(|_| flags & O_PATH == 0) else { return Ok(fd) };
    let Some(green) = file.green else { return Ok(fd) };
    Ok(match open_file(&file, green, flags) {
        // open(2) returns the lowest number that is free: the file is moved to the number that the kernel has chosen.
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

/// Makes a file in memory of the text, to be read from its beginning (memfd_create(2)). Returns its descriptor, which closes on exec
/// if `flags` say so. ENOMEM where the kernel has no room for the text, and memfd_create's errors (EMFILE, ENFILE).
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

/// Makes a file of the stand-in's text, with what is the green thread's own in it: `make` writes the new text, or says `None`. EIO
/// for a text of another form than expected. Texts of more than 4096 bytes are cut before. The text is of the moment of the open, and
/// does not change while the file is read; the kernel's is made at each read from its beginning.
fn made(
    file: &TaskFile,
    green: &Green,
    flags: c_int,
    make: fn(&Green, &str, &mut Vec<u8>) -> Option<()>,
) -> Answer<c_int> {
    let fd = open_of_stand_in(file, O_RDONLY | O_CLOEXEC)?;
    let mut text = [0u8; 4096];
    // SAFETY: the kernel writes into a local array.
    let read: Answer<usize> =
        answer(unsafe { sys::call(SYS_read, fd as usize, text.as_mut_ptr() as usize, text.len(), 0, 0, 0) });
    sys::close(fd);
    let text = std::str::from_utf8(&text[..read?]).map_err(|_| Miss::Errno(EIO))?;
    let mut made = Vec::with_capacity(4096);
    make(green, text, &mut made).ok_or(Miss::Errno(EIO))?;
    text_file(&made, flags)
}

/// Returns the thread's name as text, for a line of `stat` or `status`; an empty one where the name cannot be had (the thread has
/// ended). Bytes that are no UTF-8 are replaced.
fn name(green: &Green) -> String {
    // SAFETY: a living thread, as far as is known: a name is always whole.
    let name = unsafe { name::name_of(green) }.unwrap_or_default();
    let length = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..length]).into_owned()
}

/// Returns the thread's state as a letter: R for the caller, S for all others, whether they run or not.
fn state(green: &Green) -> char {
    let is_me = current().is_some_and(|me| std::ptr::eq(me, green));
    if is_me {
        'R'
    } else {
        'S'
    }
}

/// Writes the line of `stat` anew: tid, (name), state, then numbers by their place (proc(5)). The 14th is the CPU time in hundredths
/// of a second, the 15th 0, the 20th the count of threads. All other numbers are the stand-in's. `None`: the text is not of that
/// form.
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

/// Writes the lines of `status` anew, with those that differ for a green thread in the stand-in's place: Threads, Name, State, Pid and
/// SigBlk (proc(5)), which lacks what the thread waits for by sigwait, as the kernel's does. All other lines are the stand-in's. `None`:
/// there is no /proc to count the threads in.
fn status(green: &Green, text: &str, made: &mut Vec<u8>) -> Option<()> {
    for line in text.lines() {
        match line.split(':').next()? {
            "Threads" => writeln!(made, "Threads:\t{}", task_list::count()?),
            "Name" => writeln!(made, "Name:\t{}", name(green)),
            "State" if state(green) == 'R' => writeln!(made, "State:\tR (running)"),
            "State" => writeln!(made, "State:\tS (sleeping)"),
            "Pid" => writeln!(made, "Pid:\t{}", green.tid()),
            "SigBlk" => writeln!(made, "SigBlk:\t{:016x}", green.mask.get() & !green.signals.waits_for.get()),
            _ => writeln!(made, "{line}"),
        }
        .ok()?;
    }
    Some(())
}

/// Returns a thread's name as `comm` shows it: a line of at most 16 bytes, and its length. ENOENT when the thread has ended.
fn line_of(green: &Green) -> Answer<([u8; 16], usize)> {
    // SAFETY: a living thread, as far as is known: a name is always whole.
    let name = unsafe { name::name_of(green) }?;
    let length = name.iter().position(|&byte| byte == 0).unwrap_or(name.len() - 1);
    let mut line = [b'\n'; 16];
    line[..length].copy_from_slice(&name[..length]);
    Ok((line, length + 1))
}

/// Makes a pipe for a `comm` that is opened to write: what is written into its second end is read from the first, a write at a time
/// (O_DIRECT).
fn name_pipe() -> Answer<[c_int; 2]> {
    let mut ends = [0 as c_int; 2];
    let kind = O_NONBLOCK | O_CLOEXEC | O_DIRECT;
    // SAFETY: the kernel writes two numbers.
    answer::<c_int>(unsafe { sys::call(SYS_pipe2, ends.as_mut_ptr() as usize, kind as usize, 0, 0, 0, 0) })?;
    Ok(ends)
}

/// Makes a pair of sockets for a `comm` that is opened to read and write, as `name_pipe` does for one that is written only. The
/// second end also tells the name, once, and then its end. SOCK_SEQPACKET keeps writes apart, as O_DIRECT does in a pipe. ENOENT when
/// the thread has ended.
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

/// Returns the end into which a name is written; the other becomes the library's, and is looked into when a name is asked for.
/// EMFILE: too many are open already, and both ends are closed.
fn written_name(green: &'static Green, flags: c_int, [reader, writer]: [c_int; 2]) -> Answer<c_int> {
    if !written_names::await_writer(green, own_fds::keep(reader)) {
        sys::close(writer);
        return errno(EMFILE);
    }
    if flags & O_CLOEXEC == 0 {
        // SAFETY: the call touches no memory.
        unsafe { sys::call(SYS_fcntl, writer as usize, F_SETFD as usize, 0, 0, 0, 0) };
    }
    Ok(writer)
}
