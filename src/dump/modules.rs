//! What is mapped into the process: which file an address belongs to, that file's functions, and its call frame information. It is read
//! from /proc, memory and the files themselves, never from the loader's list, which changes under a lock.

use super::frames::Unwinding;
use super::process::{bytes, File, Process};

/// A file that is mapped, from its first byte on, or the kernel's own module ([vdso]).
struct Module {
    /// Where its first mapping begins, and where its last one ends.
    start: u64,
    end: u64,
    /// Its first range, as maps writes it: the name of the file in /proc/PID/map_files.
    range: String,
    /// The file's path when it was mapped, perhaps with ` (deleted)` behind.
    path: String,
    /// What has been read of it; `None`: it was not asked for.
    known: Option<Known>,
}

/// What has been read of a module, once an address in it was asked for.
struct Known {
    /// What is added to an address of the file's.
    bias: u64,
    /// `None`: the module has no call frame information that can be read.
    unwinding: Option<Unwinding>,
    functions: Functions,
}

/// The functions of a file.
#[derive(Default)]
struct Functions {
    /// Sorted by address.
    places: Vec<Function>,
    /// The file's table of names, each ended by a NUL.
    names: Vec<u8>,
}

/// A function, as the file's symbol table has it.
struct Function {
    /// The address in the file, without the bias.
    address: u64,
    /// Its size; 0 where the table does not say.
    bytes: u64,
    /// Where its name begins in `names`.
    name: usize,
}

/// Where an address is, for a line of the list.
pub struct Place {
    /// The file's name, without its folders.
    pub module: String,
    /// The module's path.
    pub path: String,
    /// The function's name and the distance from its beginning; without a name, the distance from the module's.
    pub function: Option<String>,
    pub offset: u64,
}

/// All that is mapped with a name, in the order of addresses.
pub struct Modules(Vec<Module>);

impl Modules {
    /// Reads the process's maps; of each module more is read when it is first asked for. Without maps there are no modules, and addresses
    /// have no names. A line of maps: range, rights, offset in the file, device, inode, path (source: proc(5)).
    pub fn read(process: &impl Process) -> Modules {
        let maps = process.maps().unwrap_or_default();
        let mut modules: Vec<Module> = Vec::new();
        for line in String::from_utf8_lossy(&maps).lines() {
            let mut fields = line.split_ascii_whitespace();
            let (Some(range), Some(_), Some(offset)) = (fields.next(), fields.next(), fields.next()) else { continue };
            let Some((start, end)) = range.split_once('-') else { continue };
            let (Ok(start), Ok(end)) = (u64::from_str_radix(start, 16), u64::from_str_radix(end, 16)) else { continue };
            let path = line.find(['/', '[']).map_or("", |at| &line[at..]);
            match modules.last_mut().filter(|last| last.path == path) {
                Some(last) => last.end = end,
                None if offset.bytes().all(|digit| digit == b'0') && (path.starts_with('/') || path == "[vdso]") => {
                    modules.push(Module { start, end, range: range.into(), path: path.into(), known: None })
                }
                None => {}
            }
        }
        Modules(modules)
    }

    /// The module around an address, with all that is known of it. The file is read when the module is first asked for.
    fn at(&mut self, process: &impl Process, address: u64) -> Option<&Module> {
        let module = self.0.iter_mut().find(|module| (module.start..module.end).contains(&address))?;
        if module.known.is_none() {
            module.known = Some(module.learn(process));
        }
        Some(module)
    }

    /// The call frame information around an address, if its module has any.
    pub fn unwinding(&mut self, process: &impl Process, address: u64) -> Option<&Unwinding> {
        self.at(process, address)?.known.as_ref()?.unwinding.as_ref()
    }

    /// What is at an address; `None`: no file is mapped there.
    pub fn place(&mut self, process: &impl Process, address: u64) -> Option<Place> {
        let module = self.at(process, address)?;
        let known = module.known.as_ref()?;
        let found = known.functions.at(address.wrapping_sub(known.bias));
        let (path, name) = (module.path.clone(), module.path.rsplit('/').next().unwrap_or_default().into());
        Some(match found {
            Some((function, offset)) => Place { module: name, path, function: Some(function), offset },
            None => Place { module: name, path, function: None, offset: address.wrapping_sub(module.start) },
        })
    }
}

/// A little-endian number of `bytes` bytes at `at` in `data`; `None`: the data ends before.
fn number(data: &[u8], at: usize, bytes: usize) -> Option<u64> {
    let mut word = [0; 8];
    word[..bytes].copy_from_slice(data.get(at..at.checked_add(bytes)?)?);
    Some(u64::from_le_bytes(word))
}

impl Module {
    /// Reads what is asked of a module: its segments from memory, its functions from the file. What cannot be read is left out.
    fn learn(&self, process: &impl Process) -> Known {
        let (bias, unwinding) = self.segments(process).unwrap_or((self.start, None));
        let file = process.open(&self.range, &self.path);
        Known { bias, unwinding, functions: file.and_then(|file| functions(&file)).unwrap_or_default() }
    }

    /// Reads the program headers (source: elf.h): returns the bias, and the call frame information. The bias is where the module's address
    /// 0 would be; a program that is not position-independent has 0. `None`: the beginning is no ELF header.
    fn segments(&self, process: &impl Process) -> Option<(u64, Option<Unwinding>)> {
        const HEADER: usize = 64;
        const SEGMENT: usize = 56;
        let (load, eh_frame_header) = (u64::from(libc::PT_LOAD), u64::from(libc::PT_GNU_EH_FRAME));
        let head = bytes(process, self.start, HEADER).filter(|head| head.starts_with(b"\x7fELF"))?;
        let (at, count) = (number(&head, 32, 8)?, number(&head, 56, 2)? as usize);
        let table = bytes(process, self.start + at, count * SEGMENT)?;
        let segments = || table.chunks_exact(SEGMENT);
        let of = |segment: &[u8], place| number(segment, place, 8).unwrap_or(0);
        let kind = |segment: &[u8]| number(segment, 0, 4).unwrap_or(0);
        let first = segments().find(|segment| kind(segment) == load)?;
        let bias = self.start.wrapping_sub(of(first, 16) & !0xfff);
        let unwinding = segments().find(|segment| kind(segment) == eh_frame_header).and_then(|header| {
            let (address, length) = (of(header, 16), of(header, 40));
            let around = segments().find(|segment| {
                kind(segment) == load && (of(segment, 16)..of(segment, 16) + of(segment, 32)).contains(&address)
            })?;
            let end = of(around, 16) + of(around, 32);
            Unwinding::read(process, bias.wrapping_add(address), length as usize, bias.wrapping_add(end))
        });
        Some((bias, unwinding))
    }
}

/// Reads the functions of an ELF file (source: elf.h): those of its full symbol table, or, where that was stripped, of its dynamic one.
/// Types 2 and 10 are functions and those chosen at load (IFUNC); section 0 is a function of another file. `None`: the file is none, or
/// larger than is read.
fn functions(file: &impl File) -> Option<Functions> {
    const HEADER: usize = 64;
    const SECTION: usize = 64;
    const SYMBOL: usize = 24;
    const SYMTAB: u64 = 2;
    const DYNSYM: u64 = 11;
    /// Bytes of a table that is still read.
    const MOST: u64 = 256 << 20;
    let read = |from: u64, count: u64| {
        let mut room = vec![0; Some(count).filter(|&count| count <= MOST)? as usize];
        file.read(from, &mut room).then_some(room)
    };
    let head = read(0, HEADER as u64)?;
    let sections = read(number(&head, 40, 8)?, number(&head, 60, 2)? * SECTION as u64)?;
    let of_kind = |kind| sections.chunks_exact(SECTION).find(|section| number(section, 4, 4) == Some(kind));
    let symbols = of_kind(SYMTAB).or_else(|| of_kind(DYNSYM))?;
    let strings = sections.chunks_exact(SECTION).nth(number(symbols, 40, 4)? as usize)?;
    let content = |section: &[u8]| read(number(section, 24, 8)?, number(section, 32, 8)?);
    let (symbols, names) = (content(symbols)?, content(strings)?);
    let mut places: Vec<Function> = symbols
        .chunks_exact(SYMBOL)
        .filter(|symbol| matches!(symbol[4] & 15, 2 | 10) && symbol[6..8] != [0, 0])
        .filter_map(|symbol| {
            let (address, bytes) = (number(symbol, 8, 8)?, number(symbol, 16, 8)?);
            Some(Function { address, bytes, name: number(symbol, 0, 4)? as usize })
        })
        .collect();
    places.sort_unstable_by_key(|function| (function.address, function.name));
    Some(Functions { places, names })
}

impl Functions {
    /// The function at an address of the file's, and the distance from its beginning.
    fn at(&self, address: u64) -> Option<(String, u64)> {
        let behind = self.places.partition_point(|function| function.address <= address);
        let last = self.places[..behind].last()?;
        // Of several names of one place: the first in the table that is none of a compiler's own (`__x` beside `x` is).
        let start = self.places[..behind].partition_point(|function| function.address < last.address);
        let names =
            self.places[start..behind].iter().filter(|function| address - function.address < function.bytes.max(1));
        let name = |function: &Function| {
            let text = self.names.get(function.name..)?;
            let end = text.iter().position(|&byte| byte == 0)?;
            Some(String::from_utf8_lossy(&text[..end]).into_owned())
        };
        let best = names.filter_map(name).min_by_key(|name| (name.starts_with('_'), name.len()))?;
        Some((best, address - last.address))
    }
}
