//! The list of the green threads, written by the process itself when the signal of the option `dump` has come: to stderr, or to the end of
//! a file. The list is read as `greenpatch dump PID` reads it from outside, from memory and /proc (src/dump), so no lock of the runtime's
//! or the program's is taken; memory comes from the library's own allocator.
//!
//! `runtime::dump` knows how the signal comes; this file is the `Duty` that it does then.
//!
//! The life of a list:
//!
//! 1. The signal's handler rings (`runtime::dump`). Before the start it calls `say_native` instead, and that is all.
//! 2. The kernel thread of lists calls `write`: the table gives the offsets (`runtime::table`), `Lister` the text.
//! 3. `deliver` opens the path and appends the text. A signal that came meanwhile makes one more list.
//!
//! The two ends differ in what they may do: `write` allocates and may wait for a slow reader; `say_native` runs in a handler, at any
//! instruction of any thread, and shares `deliver` with it. So `deliver` and what it calls allocate nothing.

use crate::base::kept::Kept;
use crate::config::Dump;
use crate::dump::list::Lister;
use crate::dump::process::{File, Process};
use crate::runtime::{self, table};
use crate::statistics::place;
use crate::sys::{self, file};
use once_cell::race::OnceBox;
use std::ffi::CString;

/// The file's path, as an option writes it and absolute; `None`: stderr. Set at load, the same in a fork child. The escapes stay in it, so
/// that `%p` is a fork child's own id.
static PATH: Kept<OnceBox<Option<String>>> = Kept::new(OnceBox::new());

/// Notes where the list is to go, and takes the signal. Called at load, while the process has one thread; may allocate. A relative path
/// counts from the directory in which the process is then, wherever the program goes later.
pub fn prepare(option: &Dump) {
    let path = option.path.map(|path| place::absolute(path, sys::process_id()));
    PATH.set(Box::new(path)).ok();
    runtime::dump::prepare(runtime::dump::Duty { signal: option.signal, write, say_native });
}

/// This process, read on the kernel thread that writes lists, while its other threads go on. Its memory is read by a system call, so that a
/// page unmapped meanwhile is a failure and no fault. A process that forbids itself that call by a filter gets one line instead of a list
/// (`write`).
struct Own;

impl Process for Own {
    type File = OwnFile;

    fn read(&self, address: u64, room: &mut [u8]) -> bool {
        sys::read_own_memory(address as usize, room)
    }

    /// As the kernel shows them at this moment: mappings come and go while the text is read.
    fn maps(&self) -> Option<Vec<u8>> {
        whole("/proc/self/maps")
    }

    fn network(&self, table: &str) -> Option<Vec<u8>> {
        whole(&format!("/proc/self/net/{table}"))
    }

    /// Opens by the path: the range's entry in /proc/self/map_files is not needed, for this process sees its files by their own names.
    fn open(&self, _: &str, path: &str) -> Option<OwnFile> {
        OwnFile::open(path)
    }

    /// A link of more than `LONGEST` bytes is cut: it is a word of a line of text.
    fn descriptor(&self, fd: u64) -> Option<String> {
        const LONGEST: usize = 256;
        let (path, mut room) = (CString::new(format!("/proc/self/fd/{fd}")).ok()?, [0; LONGEST]);
        let bytes = file::read_link(&path, &mut room).ok()?;
        Some(String::from_utf8_lossy(&room[..bytes]).into_owned())
    }
}

/// Reads a whole file of /proc, in pieces of `AT_ONCE` bytes until there is no more; `None`: it cannot be opened or read. Allocates.
fn whole(path: &str) -> Option<Vec<u8>> {
    const AT_ONCE: usize = 64 << 10;
    let file = OwnFile::open(path)?;
    let (mut text, mut room) = (Vec::new(), vec![0; AT_ONCE]);
    loop {
        match file::read_at(file.0, &mut room, text.len() as u64) {
            Ok(0) => return Some(text),
            Ok(bytes) => text.extend_from_slice(&room[..bytes]),
            Err(_) => return None,
        }
    }
}

/// A file of this process by its descriptor, which is closed when this is dropped. `hooks` do not see the descriptor: the library opens and
/// closes it by system calls of its own.
struct OwnFile(i32);

impl OwnFile {
    /// Opens a file to be read. `None`: the kernel refuses, or the path holds a NUL.
    fn open(path: &str) -> Option<OwnFile> {
        file::open(&CString::new(path).ok()?, libc::O_RDONLY).ok().map(OwnFile)
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        sys::close(self.0);
    }
}

impl File for OwnFile {
    fn read(&self, from: u64, room: &mut [u8]) -> bool {
        let mut done = 0;
        while done < room.len() {
            match file::read_at(self.0, &mut room[done..], from + done as u64) {
                Ok(bytes) if bytes > 0 => done += bytes,
                _ => return false,
            }
        }
        true
    }
}

/// Writes the list. Called on the kernel thread that is there for it (`runtime::dump`), with all signals blocked and no lock held. Where
/// the process may not read its own memory (a seccomp filter), one line says so. The text is made whole before its first byte is written,
/// so that no list stands half in the file while the process is read.
fn write() {
    let pid = sys::process_id();
    match Lister::new(&Own, table::address() as u64) {
        Ok(mut lister) => deliver((lister.text(pid as u32) + "\n").as_bytes()),
        Err(_) => deliver(b"greenpatch: dump: a filter of system calls forbids the process to read its own memory\n"),
    }
}

/// Writes one line: the runtime does not run, or has no kernel thread for lists. Called inside the signal's handler, on any thread:
/// allocates nothing.
fn say_native() {
    deliver(b"greenpatch: there are no green threads: the program has made no thread, or runs natively\n");
}

/// The room for a path, the final NUL included (PATH_MAX): the kernel takes none that is longer. A longer one fails by ENAMETOOLONG, before
/// the kernel is asked.
const LONGEST: usize = 4096;

/// Writes a text to where the list is to go: appended to the file, in one write where the file takes it, or to stderr. The path is opened
/// anew each time, for the file may have been moved away. A failure is one line on stderr. Allocates nothing. Called by `write` and, in
/// handlers, by `say_native`.
fn deliver(text: &[u8]) {
    let Some(Some(value)) = PATH.get().map(Option::as_deref) else {
        sys::write_all(2, text);
        return;
    };
    // The path is put together in place: in a handler nothing may be allocated.
    let (mut path, mut length) = ([0; LONGEST], 0);
    crate::config::unescape(value, sys::process_id() as u32, |byte| {
        if length < LONGEST {
            path[length] = byte;
            length += 1;
        }
    });
    let name = std::ffi::CStr::from_bytes_until_nul(&path).map_err(|_| libc::ENAMETOOLONG);
    let opened = name.and_then(|name| file::open(name, libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND));
    let written = opened.and_then(|fd| {
        let written = write_all(fd, text);
        sys::close(fd);
        written
    });
    if let Err(why) = written {
        for part in [b"greenpatch: dump: ", value.as_bytes(), b": ", place::reason(why).as_bytes(), b"\n"] {
            sys::write_all(2, part);
        }
    }
}

/// Writes all bytes to a descriptor that does not wait. Fails by ETIMEDOUT where its reader (of a FIFO, a terminal) takes nothing for
/// `LONGEST_READER_NS`, or by the kernel's error.
fn write_all(fd: i32, mut text: &[u8]) -> Result<(), i32> {
    /// How long a reader may take nothing, in nanoseconds. Each piece that it takes gives it as long again.
    const LONGEST_READER_NS: u64 = 1_000_000_000;
    while !text.is_empty() {
        match file::write(fd, text) {
            Ok(bytes) => text = &text[bytes..],
            Err(libc::EAGAIN) => {
                let mut poll = [libc::pollfd { fd, events: libc::POLLOUT, revents: 0 }];
                if sys::poll(&mut poll, Some(sys::now_ns() + LONGEST_READER_NS)) == Ok(0) {
                    return Err(libc::ETIMEDOUT);
                }
            }
            Err(libc::EINTR) => {}
            Err(why) => return Err(why),
        }
    }
    Ok(())
}
