//! A running process, looked at from outside while it goes on: its memory, and where this library's tables lie in it. Nothing is stopped,
//! sent or changed.
//!
//! The memory is /proc/PID/mem, which the kernel opens for those who may trace the process. A table is an exported symbol of the library:
//! its address is that of the file's first mapping, and the symbol's value in the file. So a process needs to tell nothing, and may be
//! stuck.
//!
//! ```text
//!   /proc/PID/maps: 7f…000-7f…000 r--p 00000000 … /…/libgreenpatch.so     the library's beginning
//!                   └ + the symbol's value in that file                      the table
//! ```

use std::fs::{self, File};
use std::io;
use std::mem::{size_of, MaybeUninit};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSymbol};

use crate::elf::Elf;
use crate::library::LIBRARY;
use crate::shared::figures::Name;
use crate::words::{short, shown};

/// The memory of a process, opened for reading. Its functions fail with a sentence for the user.
pub struct Process(File);

impl Process {
    /// Opens the memory of a process by its number. Fails where there is no such process, or this user may not trace it.
    pub fn open(pid: u32) -> Result<Process, String> {
        File::open(format!("/proc/{pid}/mem")).map(Process).map_err(|why| match why.raw_os_error() {
            Some(libc::ENOENT) => "there is no such process.".into(),
            Some(libc::EACCES | libc::EPERM) => {
                "its memory may not be read: by the same user only, and where ptrace_scope is 1, by root.".into()
            }
            _ => why.to_string(),
        })
    }

    /// Reads `count` bytes of its memory. Fails where a page of them is not mapped, or the process has ended.
    pub fn bytes(&self, address: usize, count: usize) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; count];
        self.fill(address, &mut bytes).map_err(|why| format!("its memory is not to be read: {why}."))?;
        Ok(bytes)
    }

    /// Fills `room` with the memory from `address` on. Fails with the kernel's error, with nothing certain in `room`.
    pub fn fill(&self, address: usize, room: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(room, address as u64)
    }

    /// Reads a structure of src/figures.rs. The caller answers for the type: words, and arrays of words, for which all bytes are values.
    /// Pointers in it are addresses in the process, and lead nowhere here.
    pub fn read<T>(&self, address: usize) -> Result<T, String> {
        let bytes = self.bytes(address, size_of::<T>())?;
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: as many bytes as the structure has, of a type that takes any.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), value.as_mut_ptr().cast(), bytes.len());
            Ok(value.assume_init())
        }
    }

    /// Reads a word of its memory.
    pub fn word(&self, address: usize) -> Result<u64, String> {
        self.read(address)
    }

    /// Reads a text of its memory, the first 256 bytes at the most. Bytes that are no text are replaced.
    pub fn text(&self, name: &Name) -> Result<String, String> {
        /// The most bytes of a text: a length that is no length must not take all memory.
        const LONGEST: usize = 256;
        self.bytes(name.text as usize, name.bytes.min(LONGEST)).map(|text| String::from_utf8_lossy(&text).into_owned())
    }
}

/// Finds the address of this library's table `symbol` in the process: behind the beginning of the library that has its symbol, whatever
/// that file is called. Fails with the rest of a sentence, which tells a library that is not loaded from one whose file has gone.
pub fn place(pid: u32, symbol: &str) -> Result<usize, String> {
    let maps =
        fs::read_to_string(format!("/proc/{pid}/maps")).map_err(|why| format!("it cannot be looked at: {why}."))?;
    let mut gone = None;
    for line in maps.lines() {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        // A library's beginning is mapped from the file's beginning: the other mappings are passed over.
        let [range, _, "00000000", _, _, name, ..] = fields[..] else { continue };
        if !name.starts_with('/') || !name.contains(".so") {
            continue;
        }
        let name = PathBuf::from(&line[line.find('/').unwrap_or_default()..]);
        let base = usize::from_str_radix(range.split('-').next().unwrap_or_default(), 16).unwrap_or(0);
        // The file itself, even where another has its name by now; else by name, seen from the process's own root.
        let files = [format!("/proc/{pid}/map_files/{range}"), format!("/proc/{pid}/root{}", name.display())];
        match files.iter().find_map(|file| offset(Path::new(file), symbol).ok()) {
            Some(Some(offset)) => return Ok(base + offset),
            Some(None) => {}
            None if short(&name.display().to_string()).starts_with(LIBRARY) => gone = Some(name),
            None => {}
        }
    }
    Err(match gone {
        Some(name) => format!("the library that it has loaded is no longer to be read: {}.", shown(&name)),
        None => "greenpatch is not loaded in it.".into(),
    })
}

/// Finds the symbol's distance in bytes from the library's beginning. None: it is another library. Fails as the reading of the file fails.
fn offset(library: &Path, wanted: &str) -> io::Result<Option<usize>> {
    let data = fs::read(library)?;
    let Ok(elf) = Elf::parse(&*data) else { return Ok(None) };
    let mut symbols = elf.dynamic_symbols().filter(|symbol| symbol.is_definition());
    Ok(symbols.find(|symbol| symbol.name() == Ok(wanted)).map(|symbol| symbol.address() as usize))
}
