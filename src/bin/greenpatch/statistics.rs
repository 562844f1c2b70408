//! `greenpatch stats PID`: what a running process has counted by now. It is read out of the process's memory, as src/figures.rs says where
//! it lies, while the process goes on: nothing is stopped, sent or changed.

use std::fs::{self, File};
use std::io;
use std::mem::{offset_of, size_of, MaybeUninit};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSymbol};
use serde_json::{Map, Value};

use crate::elf::Elf;
use crate::failure::{Failure, FAILED};
use crate::library::LIBRARY;
use crate::shared::figures::{Counters, Layout, Name, Plain, MARK, ROWS, SYMBOL};
use crate::words::{print, short, shown};

/// Print what a running program has counted by now
#[derive(clap::Args)]
pub struct Arguments {
    /// The process
    #[arg(value_name = "PID")]
    pid: u32,
}

/// Prints a process's figures as JSON. Fails with `FAILED` where its memory cannot be read, or has no figures of this version.
pub fn statistics(arguments: Arguments) -> Result<(), Failure> {
    let pid = arguments.pid;
    let fail = |why: String| Failure(FAILED, format!("process {pid}: {why}"));
    let figures = Process::open(pid).and_then(|process| process.figures(pid)).map_err(fail)?;
    print(&format!("{figures}\n")).map_err(|why| fail(why.to_string()))
}

/// The memory of a process, opened for reading. Its functions fail with a sentence for the user.
struct Process(File);

impl Process {
    fn open(pid: u32) -> Result<Process, String> {
        File::open(format!("/proc/{pid}/mem")).map(Process).map_err(|why| match why.raw_os_error() {
            Some(libc::ENOENT) => "there is no such process.".into(),
            Some(libc::EACCES | libc::EPERM) => {
                "its memory may not be read: by the same user only, and where ptrace_scope is 1, by root.".into()
            }
            _ => why.to_string(),
        })
    }

    fn bytes(&self, address: usize, count: usize) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; count];
        self.0
            .read_exact_at(&mut bytes, address as u64)
            .map_err(|why| format!("its memory is not to be read: {why}."))?;
        Ok(bytes)
    }

    /// A structure of figures.rs: words and arrays of words, for which all bytes are values.
    fn read<T>(&self, address: usize) -> Result<T, String> {
        let bytes = self.bytes(address, size_of::<T>())?;
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: as many bytes as the structure has, of a type that takes any.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), value.as_mut_ptr().cast(), bytes.len());
            Ok(value.assume_init())
        }
    }

    fn word(&self, address: usize) -> Result<u64, String> {
        self.read(address)
    }

    fn text(&self, name: &Name) -> Result<String, String> {
        const LONGEST: usize = 256;
        self.bytes(name.text as usize, name.bytes.min(LONGEST)).map(|text| String::from_utf8_lossy(&text).into_owned())
    }

    fn figures(&self, pid: u32) -> Result<Value, String> {
        let layout: Layout = self.read(place(pid)?)?;
        if layout.mark != MARK {
            return Err("another version of greenpatch is loaded in it: use that one's command.".into());
        }
        let mut all = Map::new();
        all.insert("version".into(), self.text(&layout.version)?.into());
        all.insert("pid".into(), pid.into());
        for at in 0..layout.plain_count {
            let figure: Plain = self.read(layout.plain as usize + at * size_of::<Plain>())?;
            let value = match figure.bytes {
                1 => (self.bytes(figure.place as usize, 1)?[0] != 0).into(),
                _ => self.word(figure.place as usize)?.into(),
            };
            all.insert(self.text(&figure.name)?, value);
        }
        // First what passed: what comes meanwhile must not look like more than came.
        let mut passed: Vec<u64> = self.read::<[u64; ROWS]>(layout.others_passed as usize)?.into();
        let mut calls: Vec<u64> = self.read::<[u64; ROWS]>(layout.others as usize)?.into();
        let (mut created, mut parks, mut switches) = (self.word(layout.created_by_others as usize)?, 0, 0);
        let mut worker = self.word(layout.workers as usize)? as usize;
        while worker != 0 {
            let words = self.bytes(worker, size_of::<Counters>())?;
            let word = |at: usize| u64::from_ne_bytes(words[at..at + 8].try_into().unwrap_or_default());
            created += word(offset_of!(Counters, created));
            parks += word(offset_of!(Counters, parks));
            switches += word(offset_of!(Counters, switches));
            for (sums, first) in
                [(&mut calls, offset_of!(Counters, calls)), (&mut passed, offset_of!(Counters, passed))]
            {
                sums.iter_mut().enumerate().for_each(|(row, sum)| *sum += word(first + row * 8));
            }
            worker = word(offset_of!(Counters, next)) as usize;
        }
        for (name, value) in [("green_threads", created), ("parks", parks), ("switches", switches)] {
            all.insert(name.into(), value.into());
        }
        let (mut hooks, mut served) = (Map::new(), Map::new());
        for (row, (&came, &passed)) in calls.iter().zip(&passed).enumerate().take(layout.hook_count) {
            if came > 0 {
                let name: Name = self.read(layout.hooks as usize + row * size_of::<Name>())?;
                let name = self.text(&name)?;
                if came > passed {
                    served.insert(name.clone(), (came - passed).into());
                }
                hooks.insert(name, came.into());
            }
        }
        all.insert("hooks".into(), hooks.into());
        all.insert("served".into(), served.into());
        Ok(all.into())
    }
}

/// Finds the address of the layout in the process: behind the beginning of the library that has its symbol.
fn place(pid: u32) -> Result<usize, String> {
    let maps =
        fs::read_to_string(format!("/proc/{pid}/maps")).map_err(|why| format!("it cannot be looked at: {why}."))?;
    let mut gone = None;
    for line in maps.lines() {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let [range, _, "00000000", _, _, name, ..] = fields[..] else { continue };
        if !name.starts_with('/') || !name.contains(".so") {
            continue;
        }
        let name = PathBuf::from(&line[line.find('/').unwrap_or_default()..]);
        let base = usize::from_str_radix(range.split('-').next().unwrap_or_default(), 16).unwrap_or(0);
        // The file itself, even where another has its name by now; else by name, seen from the process's own root.
        let files = [format!("/proc/{pid}/map_files/{range}"), format!("/proc/{pid}/root{}", name.display())];
        match files.iter().find_map(|file| offset(Path::new(file)).ok()) {
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
fn offset(library: &Path) -> io::Result<Option<usize>> {
    let data = fs::read(library)?;
    let Ok(elf) = Elf::parse(&*data) else { return Ok(None) };
    let mut symbols = elf.dynamic_symbols().filter(|symbol| symbol.is_definition());
    Ok(symbols.find(|symbol| symbol.name() == Ok(SYMBOL)).map(|symbol| symbol.address() as usize))
}
