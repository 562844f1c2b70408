//! The list of the green threads, written by the process itself when the signal of the option `dump` has come: to stderr, or to the end of
//! a file. The list is read as `greenpatch dump PID` reads it from outside, from memory and /proc (src/dump), so no lock of the runtime's
//! or the program's is taken; memory comes from the library's own allocator.
//!
//! `runtime::dump` knows how the signal comes; this file is the `Duty` that it does then.

use crate::config::Dump;
use crate::dump::list::Lister;
use crate::dump::process::{File, Process};
use crate::runtime::{self, table};
use crate::statistics::place;
use crate::sys::{self, file};
use once_cell::race::OnceBox;
use std::ffi::CString;

/// The file's path, as an option writes it; `None`: stderr.
static PATH: OnceBox<Option<String>> = OnceBox::new();

/// Notes where the list is to go, and takes the signal. Called at load, while the process has one thread; may allocate.
pub fn prepare(option: &Dump) {
    let path = option.path.map(|path| place::absolute(path, sys::process_id()));
    PATH.set(Box::new(path)).ok();
    runtime::dump::prepare(runtime::dump::Duty { signal: option.signal, write, say_native });
}

/// This process, read on the kernel thread that writes lists, while its other threads go on.
struct Own;

impl Process for Own {
    type File = OwnFile;

    fn read(&self, address: u64, room: &mut [u8]) -> bool {
        sys::read_own_memory(address as usize, room)
    }

    fn maps(&self) -> Option<Vec<u8>> {
        whole("/proc/self/maps")
    }

    fn network(&self, table: &str) -> Option<Vec<u8>> {
        whole(&format!("/proc/self/net/{table}"))
    }

    fn open(&self, _: &str, path: &str) -> Option<OwnFile> {
        OwnFile::open(path)
    }

    fn descriptor(&self, fd: u64) -> Option<String> {
        const LONGEST: usize = 256;
        let (path, mut room) = (CString::new(format!("/proc/self/fd/{fd}")).ok()?, [0; LONGEST]);
        let bytes = file::read_link(&path, &mut room).ok()?;
        Some(String::from_utf8_lossy(&room[..bytes]).into_owned())
    }
}

/// Reads a whole file of /proc; `None`: it cannot be opened or read.
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

/// A file by its descriptor, which is closed at the end.
struct OwnFile(i32);

impl OwnFile {
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
/// the process may not read its own memory (a seccomp filter), one line says so.
fn write() {
    let pid = sys::process_id();
    match Lister::new(&Own, table::address() as u64) {
        Ok(mut lister) => deliver((lister.text(pid as u32) + "\n").as_bytes()),
        Err(_) => deliver(b"greenpatch: dump: a filter of system calls forbids the process to read its own memory\n"),
    }
}

/// Writes one line: the runtime does not run. Called inside the signal's handler, on any thread: allocates nothing.
fn say_native() {
    deliver(b"greenpatch: there are no green threads: the program has made no thread, or runs natively\n");
}

/// As long as the kernel takes a path, the final NUL included.
const LONGEST: usize = 4096;

/// Writes a text to where the list is to go: appended to the file, in one write where the file takes it, or to stderr. The path is opened
/// anew each time, for the file may have been moved away. A failure is one line on stderr. Allocates nothing.
fn deliver(text: &[u8]) {
    let Some(Some(value)) = PATH.get().map(Option::as_deref) else {
        sys::write_all(2, text);
        return;
    };
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
    /// How long a reader may take nothing, in nanoseconds.
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
