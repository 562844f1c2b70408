//! The kind of a file, read from its first bytes and its ELF headers. Nothing is started, and nothing judged.
//!
//! Two depths: the functions that take a path read a file's beginning or map it piece by piece; those that take an `Elf` read a file that
//! the caller holds in memory. A file that cannot be read or understood is None, or `Kind::Other`: the kernel decides about it when it is
//! executed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use object::elf::{
    DynamicFlags1, FileHeader32, FileHeader64, DF_1_PIE, DT_FLAGS_1, ELFMAG, ET_DYN, PT_INTERP, PT_LOAD,
};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, FileKind, Object, ObjectSymbol, ReadCache, ReadRef};

/// An ELF file of 64 bits, held in memory.
pub type Elf<'data> = ElfFile64<'data, Endianness, &'data [u8]>;

/// The bytes of a script's first line that the kernel reads.
const FIRST_LINE: usize = 256;

/// The kind of a file, as its first bytes tell.
pub enum Kind {
    /// An ELF file of any class and machine.
    Elf,
    /// A file that begins with `#!`, and the interpreter that its first line names. None: the line has a form that the kernel refuses.
    Script(Option<PathBuf>),
    /// A file of any other kind, which `execvp` gives to the shell.
    Other,
}

/// Tells what a file seems to be. Fails as the reading of it fails.
pub fn kind(path: &Path) -> io::Result<Kind> {
    let head = head(path)?;
    Ok(match head.strip_prefix(b"#!") {
        Some(line) => Kind::Script(interpreter(line, head.len() < FIRST_LINE)),
        None if head.starts_with(&ELFMAG) => Kind::Elf,
        None => Kind::Other,
    })
}

/// Reads the words of a script's first line. None: the file is no script, or not readable.
pub fn first_line(path: &Path) -> Option<Vec<OsString>> {
    let head = head(path).ok()?;
    let line = head.strip_prefix(b"#!")?;
    Some(words(line).map(|word| OsStr::from_bytes(word).to_owned()).collect())
}

/// Reads as much of a file's beginning as tells its kind.
fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(FIRST_LINE as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// Finds the interpreter in a script's first line, as the kernel does: the line must have an end, or its first word must. A carriage
/// return is a letter like others. `whole`: the file ends with the line.
fn interpreter(line: &[u8], whole: bool) -> Option<PathBuf> {
    let ends = whole || line.contains(&b'\n') || words(line).nth(1).is_some() || line.ends_with(b" ");
    words(line).next().filter(|_| ends).map(|word| PathBuf::from(OsStr::from_bytes(word)))
}

/// Splits the first line of a text into words, as the kernel does: at spaces, tabs and NULs.
fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
    line.split(|byte| b" \t\0".contains(byte)).filter(|word| !word.is_empty())
}

/// Names the kind of machine that an ELF file is built for, in words that a user may read and that are equal for equal machines. None:
/// the file is no ELF file.
pub fn machine(path: &Path) -> Option<String> {
    let head = head(path).ok()?;
    match FileKind::parse(&*head).ok()? {
        FileKind::Elf32 => machine_of::<FileHeader32<Endianness>>(&head, "32-bit"),
        FileKind::Elf64 => machine_of::<FileHeader64<Endianness>>(&head, "64-bit"),
        _ => None,
    }
}

/// Names the machine of an ELF header of one class.
fn machine_of<Header: FileHeader<Endian = Endianness>>(head: &[u8], class: &str) -> Option<String> {
    let header = Header::parse(head).ok()?;
    let endian = header.endian().ok()?;
    let machine = header.e_machine(endian);
    // Machines of the other byte order have the same name.
    let order = if endian == Endianness::Big { ", big-endian" } else { "" };
    let name = machine.name().map_or(machine.to_string(), |name| name.replace("EM_", ""));
    Some(format!("{name} ({class}{order})"))
}

/// Finds the dynamic loader that a program of 64 bits asks for. None: it asks for none, or is no such program.
pub fn loader_of(program: &Path) -> Option<PathBuf> {
    let cache = ReadCache::new(File::open(program).ok()?);
    let elf = ElfFile64::<Endianness, _>::parse(&cache).ok()?;
    loader(&elf).map(PathBuf::from)
}

/// Reads the dynamic loader's path in an ELF file (PT_INTERP). None: the file asks for no loader.
pub fn loader<'data, R: ReadRef<'data>>(elf: &ElfFile64<'data, Endianness, R>) -> Option<String> {
    let mut paths =
        elf.elf_program_headers().iter().filter_map(|part| part.interpreter(elf.endian(), elf.data()).ok()?);
    paths.next().map(|path| String::from_utf8_lossy(path).into_owned())
}

/// Tells whether a library exports a symbol. False also where the file is not readable.
pub fn exports(library: &Path, wanted: &str) -> bool {
    let Ok(data) = fs::read(library) else { return false };
    let Ok(elf) = Elf::parse(&*data) else { return false };
    let mut defined = elf.dynamic_symbols().filter(|symbol| symbol.is_definition());
    defined.any(|symbol| symbol.name() == Ok(wanted))
}

/// Tells whether a file is a library and no program: position-independent, not marked as a program, and asking for no loader.
pub fn is_library<'data, R: ReadRef<'data>>(elf: &ElfFile64<'data, Endianness, R>) -> bool {
    let table = elf.elf_dynamic_table().unwrap_or_default();
    let program = table.iter().any(|entry| entry.tag == DT_FLAGS_1 && DynamicFlags1(entry.val).contains(DF_1_PIE));
    let (header, parts) = (elf.elf_header(), elf.elf_program_headers());
    // libc.so itself asks for a loader, for it can be executed: then it is a program.
    let asks = parts.iter().any(|part| part.p_type(elf.endian()) == PT_INTERP);
    header.e_type(elf.endian()) == ET_DYN && !program && !asks
}

/// Tells whether a file has the note that Go's linker writes.
pub fn is_go<'data, R: ReadRef<'data>>(elf: &ElfFile64<'data, Endianness, R>) -> bool {
    let notes = elf.elf_program_headers().iter().filter_map(|part| part.notes(elf.endian(), elf.data()).ok()?);
    notes.flat_map(|notes| notes.map_while(Result::ok)).any(|note| note.name() == b"Go")
}

/// Returns the address at which a file's first byte is meant to be mapped, or else 0: that of its first loaded segment, in whole pages.
pub fn first_address(elf: &Elf) -> u64 {
    const PAGE: u64 = 4096;
    let headers = elf.elf_program_headers().iter();
    let loaded = headers.filter(|header| header.p_type(Endianness::Little) == PT_LOAD);
    loaded.map(|header| header.p_vaddr(Endianness::Little)).min().unwrap_or(0) / PAGE * PAGE
}
