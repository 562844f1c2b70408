//! The Python lines of a living process's thread, and whether it holds the interpreter's lock, read from outside.
//!
//! A thread that is in a call stands still in Python, too. Its frames are found from CPython's own structures, by their places in a release
//! build of each version:
//!
//! ```text
//!   _PyRuntime ──► the main interpreter ──► states of threads ──► the one of this thread ──► its frames ──► code: file, name, lines
//! ```
//!
//! A build with other places (one for debugging, without the lock, a version that is not listed) is not lied about: a state must belong
//! to the interpreter and to the thread, and what is taken for code and text must be of the types `code` and `str`. Else there are no
//! lines.

use std::fs;
use std::path::Path;

use object::{Object, ObjectSymbol};

use crate::elf::Elf;
use crate::process::Process;
use crate::words::short;

/// A Python line: file, line, function.
pub type Line = (String, u32, String);

/// How many frames are told at most, and how many are passed to find them.
const FRAMES: usize = 24;
const PASSED: usize = 4096;
/// How many threads are looked through at most.
const THREADS: usize = 4096;
/// The most bytes of a text, and of a table of lines.
const TEXT: u64 = 4096;
const TABLE: u64 = 1 << 20;

/// Where the current frame is.
#[derive(Clone, Copy)]
enum Current {
    /// The thread's state has it, at this place.
    State(u64),
    /// A structure does, at the second place, to which the state points at the first one.
    Structure(u64, u64),
}

/// Where it is told who holds the lock.
#[derive(Clone, Copy)]
enum Lock {
    /// The runtime has the state that holds it, at the first place, and the main interpreter at the second.
    Runtime(u64, u64),
    /// The interpreter points to the lock, at this place, which has its last holder and whether it is held.
    Interpreter(u64),
}

/// How lines are told by a code's table.
#[derive(Clone, Copy, PartialEq)]
enum Table {
    /// Pairs: bytes of code, lines (to 3.9).
    Pairs,
    /// Pairs, the lines counted before the code; an instruction is two bytes (3.10).
    Ranges,
    /// Entries of one byte and what follows (from 3.11 on).
    Entries,
}

/// The places in the structures of a version, in bytes.
struct Places {
    minor: u32,
    /// Where the runtime names the first interpreter; the main one follows. Where an interpreter names its first thread. From 3.13 on the
    /// runtime begins with places, and these are where it tells those two.
    interpreters: u64,
    threads: u64,
    /// In a thread's state: its pthread_t, and the kernel's number, where there is one (0: not).
    thread: u64,
    native: u64,
    current: Current,
    lock: Lock,
    /// In a frame: its caller's, its code, its instruction; and its owner, where there is one (0: not).
    back: u64,
    code: u64,
    instruction: u64,
    owner: u64,
    /// In a code: file, name, first line, table of lines, and instructions, where a frame points into them (0: it counts).
    file: u64,
    name: u64,
    first: u64,
    table: u64,
    text: u64,
    lines: Table,
    /// The length of a text's head, where all its characters are ASCII, and else.
    heads: [u64; 2],
}

/// A version before 3.11, but for where a frame has its instruction, and the runtime the lock's holder.
const fn early(minor: u32, lock: Lock, instruction: u64, lines: Table) -> Places {
    Places {
        minor,
        interpreters: 32,
        threads: 8,
        thread: 176,
        native: 0,
        current: Current::State(24),
        lock,
        back: 24,
        code: 32,
        instruction,
        owner: 0,
        file: 104,
        name: 112,
        first: 40,
        table: 120,
        text: 0,
        lines,
        heads: [48, 72],
    }
}

/// What all versions from 3.11 on share; the rest is 3.13's.
const LATE: Places = Places {
    minor: 13,
    interpreters: 40,
    threads: 72,
    thread: 152,
    native: 160,
    current: Current::State(72),
    lock: Lock::Interpreter(16),
    back: 8,
    code: 0,
    instruction: 56,
    owner: 70,
    file: 112,
    name: 128,
    first: 68,
    table: 136,
    text: 200,
    lines: Table::Entries,
    heads: [40, 56],
};

/// The versions, as their headers have it (x86-64).
const VERSIONS: [Places; 6] = [
    early(8, Lock::Runtime(1368, 1384), 104, Table::Pairs),
    early(9, Lock::Runtime(568, 576), 104, Table::Pairs),
    early(10, Lock::Runtime(568, 576), 96, Table::Ranges),
    Places {
        minor: 11,
        threads: 16,
        current: Current::Structure(56, 8),
        lock: Lock::Runtime(576, 584),
        back: 48,
        code: 32,
        owner: 69,
        first: 72,
        text: 184,
        heads: [48, 72],
        ..LATE
    },
    Places {
        minor: 12,
        thread: 136,
        native: 144,
        current: Current::Structure(56, 0),
        lock: Lock::Interpreter(384),
        text: 192,
        ..LATE
    },
    LATE,
];

/// The first version whose runtime begins with places, and with these bytes.
const TELLS_PLACES: u32 = 13;
const COOKIE: u64 = u64::from_ne_bytes(*b"xdebugpy");

/// The interpreter of a process.
pub struct Interpreter {
    runtime: u64,
    places: &'static Places,
}

impl Interpreter {
    /// Finds the interpreter in a mapped file, by the address of its first byte. `None`: it has none, or one of a
    /// version that is not known.
    pub fn find(path: &Path, start: u64, memory: &Process) -> Option<Interpreter> {
        let name = path.to_str().map(short).filter(|name| name.contains("python"))?;
        let data = fs::read(path).ok()?;
        let elf = Elf::parse(&*data).ok()?;
        let base = start.wrapping_sub(crate::elf::first_address(&elf));
        let symbol = |name: &str| {
            let mut symbols = elf.dynamic_symbols().filter(|symbol| symbol.is_definition());
            symbols.find(|symbol| symbol.name() == Ok(name)).map(|symbol| base.wrapping_add(symbol.address()))
        };
        let runtime = symbol("_PyRuntime")?;
        let told = symbol("Py_Version").and_then(|at| memory.read::<u32>(at as usize).ok());
        let minor = told.map(|version| version >> 16 & 0xff).or_else(|| minor_of(name))?;
        let places = VERSIONS.iter().find(|places| places.minor == minor)?;
        Some(Interpreter { runtime, places })
    }

    /// Returns the Python lines of a thread, the innermost first, and how the interpreter's lock is for it (`held`, `released`). `None`: it
    /// is no thread of the interpreter's, or its structures are not as is known. `tid_offset`: where glibc has a thread's number.
    pub fn lines(&self, memory: &Process, thread: i32, tid_offset: u64) -> Option<(Vec<Line>, &'static str)> {
        let Places { current, lock, back, code, instruction, owner, .. } = *self.places;
        let word = |address: u64| memory.word(address as usize).ok();
        let [interpreters, threads] = self.roots(memory)?;
        let interpreter = word(self.runtime + interpreters + 8)?;
        let state = self.state(memory, interpreter, word(interpreter + threads)?, thread, tid_offset)?;
        let is_held = match lock {
            Lock::Runtime(at, main) => word(self.runtime + main)? == interpreter && word(self.runtime + at)? == state,
            Lock::Interpreter(at) => {
                let lock = word(interpreter + at)?;
                word(lock + 8)? == state && memory.read::<i32>(lock as usize + 16).ok()? == 1
            }
        };
        let mut frame = match current {
            Current::State(at) => word(state + at)?,
            Current::Structure(at, within) => word(word(state + at)? + within)?,
        };
        let mut lines = Vec::new();
        for _ in 0..PASSED {
            if frame == 0 || lines.len() == FRAMES {
                break;
            }
            /// A frame of the interpreter's own, between one of Python and the C function that called it.
            const OF_C: u8 = 3;
            let is_pythons = owner == 0 || memory.read::<u8>((frame + owner) as usize).ok()? < OF_C;
            if is_pythons {
                lines.push(self.line(memory, word(frame + code)?, frame + instruction)?);
            }
            frame = word(frame + back)?;
        }
        Some((lines, if is_held { "held" } else { "released" }))
    }

    /// Returns where the runtime names the first interpreter, and an interpreter its first thread.
    fn roots(&self, memory: &Process) -> Option<[u64; 2]> {
        let Places { minor, interpreters, threads, .. } = *self.places;
        if minor < TELLS_PLACES {
            return Some([interpreters, threads]);
        }
        let word = |at: u64| memory.word((self.runtime + at) as usize).ok();
        /// Where it is told that there is no lock.
        const FREE: u64 = 16;
        if word(0)? != COOKIE || word(FREE)? != 0 {
            return None;
        }
        Some([word(interpreters)?, word(threads)?])
    }

    /// Finds a thread's state, in the list that begins with `state`.
    fn state(&self, memory: &Process, interpreter: u64, first: u64, thread: i32, tid_offset: u64) -> Option<u64> {
        let word = |address: u64| memory.word(address as usize).ok();
        /// Where a state names the next one, and its interpreter.
        const NEXT: u64 = 8;
        const INTERPRETER: u64 = 16;
        let mut state = first;
        for _ in 0..THREADS {
            if state == 0 || word(state + INTERPRETER)? != interpreter {
                return None;
            }
            let number = match self.places.native {
                0 => memory.read::<i32>((word(state + self.places.thread)? + tid_offset) as usize).unwrap_or(0),
                native => word(state + native)? as i32,
            };
            if number == thread {
                return Some(state);
            }
            state = word(state + NEXT)?;
        }
        None
    }

    /// Returns the line of a code, at the instruction that stands at `at`.
    fn line(&self, memory: &Process, code: u64, at: u64) -> Option<Line> {
        let Places { file, name, first, table, text, lines, .. } = *self.places;
        if type_of(memory, code)? != "code" {
            return None;
        }
        let word = |address: u64| memory.word(address as usize).ok();
        let first = memory.read::<i32>((code + first) as usize).ok()?;
        let offset = match (text, lines) {
            (0, Table::Ranges) => u64::from(memory.read::<u32>(at as usize).ok()?) * 2,
            (0, _) => u64::from(memory.read::<u32>(at as usize).ok()?),
            (text, _) => word(at)?.wrapping_sub(code + text),
        };
        let table = word(code + table)?;
        /// Where bytes begin, and their count stands.
        const BYTES: u64 = 32;
        const COUNT: u64 = 16;
        let count = word(table + COUNT)?;
        if type_of(memory, table)? != "bytes" || count > TABLE {
            return None;
        }
        let table = memory.bytes((table + BYTES) as usize, count as usize).ok()?;
        let line = match lines {
            Table::Pairs => pairs(&table, first, offset),
            Table::Ranges => ranges(&table, first, offset),
            Table::Entries => entries(&table, first, offset),
        };
        let (file, name) = (self.text(memory, word(code + file)?)?, self.text(memory, word(code + name)?)?);
        Some((file, line.max(0) as u32, name))
    }

    /// Reads a text of Python's.
    fn text(&self, memory: &Process, object: u64) -> Option<String> {
        /// Where a text has its length in characters, and what its characters are.
        const LENGTH: u64 = 16;
        const STATE: u64 = 32;
        let length = memory.word((object + LENGTH) as usize).ok()?.min(TEXT);
        let state = memory.read::<u32>((object + STATE) as usize).ok()?;
        let (size, is_compact, is_ascii) = (state >> 2 & 7, state >> 5 & 1 == 1, state >> 6 & 1 == 1);
        if type_of(memory, object)? != "str" || !is_compact {
            return None;
        }
        let from = object + self.places.heads[usize::from(!is_ascii)];
        let bytes = memory.bytes(from as usize, length as usize * size as usize).ok()?;
        let characters = bytes.chunks_exact(size.max(1) as usize);
        let character = |bytes: &[u8]| bytes.iter().rev().fold(0u32, |all, byte| all << 8 | u32::from(*byte));
        Some(characters.map(|bytes| char::from_u32(character(bytes)).unwrap_or('\u{fffd}')).collect())
    }
}

/// Returns the minor version that a file's name tells: `python3.9`, `libpython3.9.so.1.0`.
fn minor_of(name: &str) -> Option<u32> {
    let rest = &name[name.find("python3.")? + "python3.".len()..];
    rest[..rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
}

/// Returns the name of an object's type.
fn type_of(memory: &Process, object: u64) -> Option<String> {
    /// Where an object names its type, and a type its name.
    const TYPE: u64 = 8;
    const NAME: u64 = 24;
    const LONGEST: usize = 8;
    let kind = memory.word((object + TYPE) as usize).ok()?;
    let name = memory.bytes(memory.word((kind + NAME) as usize).ok()? as usize, LONGEST).ok()?;
    Some(String::from_utf8_lossy(name.split(|byte| *byte == 0).next()?).into_owned())
}

/// Returns the line of a code's byte, by pairs of bytes of code and lines (CPython to 3.9).
fn pairs(table: &[u8], first: i32, offset: u64) -> i32 {
    let (mut line, mut at) = (first, 0);
    for pair in table.chunks_exact(2) {
        at += u64::from(pair[0]);
        if at > offset {
            break;
        }
        line += i32::from(pair[1] as i8);
    }
    line
}

/// Returns the line of a code's byte, by pairs of bytes of code and lines that hold for them (CPython 3.10).
fn ranges(table: &[u8], first: i32, offset: u64) -> i32 {
    /// The code has no line.
    const NONE: i8 = -128;
    let (mut line, mut at) = (first, 0);
    for pair in table.chunks_exact(2) {
        let lines = pair[1] as i8;
        line += if lines == NONE { 0 } else { i32::from(lines) };
        at += u64::from(pair[0]);
        if at > offset {
            return if lines == NONE { 0 } else { line };
        }
    }
    0
}

/// Returns the line of a code's byte, by entries (CPython 3.11 on).
fn entries(table: &[u8], first: i32, offset: u64) -> i32 {
    let mut bytes = table.iter().copied().peekable();
    let (mut line, mut at) = (first, 0);
    while let Some(head) = bytes.next() {
        let kind = head >> 3 & 15;
        let mut number = || {
            let (mut all, mut shift) = (0u32, 0);
            for byte in bytes.by_ref() {
                all |= u32::from(byte & 63).checked_shl(shift).unwrap_or(0);
                shift += 6;
                if byte & 64 == 0 {
                    break;
                }
            }
            all
        };
        /// The entries without a line, with lines by a number, and those of a few lines.
        const NONE: u8 = 15;
        const LONG: u8 = 14;
        const LINES: u8 = 13;
        const FEW: u8 = 10;
        line += match kind {
            LONG | LINES => {
                let number = number();
                if number & 1 == 1 {
                    -((number >> 1) as i32)
                } else {
                    (number >> 1) as i32
                }
            }
            FEW..LINES => i32::from(kind - FEW),
            _ => 0,
        };
        // The rest of an entry begins no other: a first byte has its highest bit.
        while bytes.next_if(|byte| byte & 0x80 == 0).is_some() {}
        at += (u64::from(head & 7) + 1) * 2;
        if at > offset {
            return if kind == NONE { 0 } else { line };
        }
    }
    0
}
