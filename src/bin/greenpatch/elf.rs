//! Can a program be preloaded? The answer is read from its file, before it is started.
//!
//! LD_PRELOAD is a message to glibc's dynamic loader. It is lost where the kernel starts a program without a loader (static),
//! where the loader is another C library's, where it must not be trusted (setuid), and where the library does not fit the
//! machine. A Go program that makes its system calls itself may load the library, but never enters it.
//!
//! A file that cannot be read or understood is given the benefit of the doubt: the kernel decides when it is executed.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use object::elf::{
    DynamicFlags1, FileHeader32, FileHeader64, DF_1_PIE, DT_FLAGS_1, DT_NEEDED, ELFMAG, ET_DYN, ET_EXEC, PT_INTERP,
};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, FileKind, Object, ObjectSymbol, ReadCache, ReadRef};

use crate::privilege;

/// As much of a script's first line as the kernel reads.
const FIRST_LINE: usize = 256;

/// Loaders of other C libraries, by what their file names contain.
const FOREIGN_LOADERS: [(&str, &str); 3] = [("ld-musl", "musl"), ("uClibc", "uClibc"), ("linker", "Android's bionic")];

/// What a file seems to be, by its first bytes.
pub enum Kind {
    Elf,
    /// The interpreter that its first line names; `None`: not in a form that the kernel takes.
    Script(Option<PathBuf>),
    Other,
}

pub fn kind(path: &Path) -> io::Result<Kind> {
    let head = head(path)?;
    Ok(match head.strip_prefix(b"#!") {
        Some(line) => Kind::Script(interpreter(line, head.len() < FIRST_LINE)),
        None if head.starts_with(&ELFMAG) => Kind::Elf,
        None => Kind::Other,
    })
}

/// The dynamic loader that a program of our machine asks for.
pub fn loader_of(program: &Path) -> Option<PathBuf> {
    let cache = ReadCache::new(File::open(program).ok()?);
    let elf = ElfFile64::<Endianness, _>::parse(&cache).ok()?;
    loader(&elf).map(PathBuf::from)
}

/// How the file system of a file is mounted: ST_NOEXEC, ST_NOSUID.
pub fn mount_flags(path: &Path) -> Option<libc::c_ulong> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: all-zero is a value of statvfs, which is filled; the string ends in a NUL.
    unsafe {
        let mut facts: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &mut facts) == 0).then_some(facts.f_flag)
    }
}

/// Does a library export this symbol?
pub fn exports(library: &Path, wanted: &str) -> bool {
    let Ok(data) = fs::read(library) else { return false };
    let Ok(elf) = ElfFile64::<Endianness>::parse(&*data) else { return false };
    let mut defined = elf.dynamic_symbols().filter(|symbol| symbol.is_definition());
    defined.any(|symbol| symbol.name() == Ok(wanted))
}

/// The words of a script's first line; `None` if the file is no script.
pub fn first_line(path: &Path) -> Option<Vec<OsString>> {
    let head = head(path).ok()?;
    let line = head.strip_prefix(b"#!")?;
    Some(words(line).map(|word| OsStr::from_bytes(word).to_owned()).collect())
}

fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(FIRST_LINE as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// The first word of a script's first line, as the kernel takes it: the line must have an end, or the word. A carriage return is a
/// letter like others.
fn interpreter(line: &[u8], whole: bool) -> Option<PathBuf> {
    let ends = whole || line.contains(&b'\n') || words(line).nth(1).is_some() || line.ends_with(b" ");
    words(line).next().filter(|_| ends).map(|word| PathBuf::from(OsStr::from_bytes(word)))
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
    line.split(|byte| b" \t\0".contains(byte)).filter(|word| !word.is_empty())
}

/// Why `library` cannot be preloaded into `program`: the rest of a sentence that began with the program's name.
pub fn objection(program: &Path, library: &Path) -> Option<String> {
    let (machine, wanted) = (machine(program)?, machine(library)?);
    if machine != wanted {
        return Some(format!("is built for {machine}, but {} for {wanted}.", library.display()));
    }
    let privilege = privilege::of(program).map(|what| {
        format!(
            "{what}: the dynamic loader ignores LD_PRELOAD for privileged programs. Run a copy without the privilege."
        )
    });
    privilege.or_else(|| linkage(program))
}

/// The kind of machine that an ELF file is built for, in words; `None` if it is no ELF file.
pub fn machine(path: &Path) -> Option<String> {
    let head = head(path).ok()?;
    match FileKind::parse(&*head).ok()? {
        FileKind::Elf32 => machine_of::<FileHeader32<Endianness>>(&head, "32-bit"),
        FileKind::Elf64 => machine_of::<FileHeader64<Endianness>>(&head, "64-bit"),
        _ => None,
    }
}

fn machine_of<Header: FileHeader<Endian = Endianness>>(head: &[u8], class: &str) -> Option<String> {
    let header = Header::parse(head).ok()?;
    let endian = header.endian().ok()?;
    let machine = header.e_machine(endian);
    let order = if endian == Endianness::Big { ", big-endian" } else { "" };
    let name = machine.name().map_or(machine.to_string(), |name| name.replace("EM_", ""));
    Some(format!("{name} ({class}{order})"))
}

/// Static, Go, or another C library. The program is for our machine, so it is read as a file of our class.
fn linkage(program: &Path) -> Option<String> {
    let cache = ReadCache::new(File::open(program).ok()?);
    let elf = ElfFile64::<Endianness, _>::parse(&cache).ok()?;
    if !matches!(elf.elf_header().e_type(elf.endian()), ET_DYN | ET_EXEC) {
        return Some("is no program: an object file, or a memory image.".into());
    }
    if is_go(&elf) && !needs_libc(&elf) {
        return Some(
            "is a Go program without cgo: it makes its system calls itself, past libc. Go has green threads already."
                .into(),
        );
    }
    let Some(loader) = loader(&elf) else {
        return Some(
            "is statically linked: there is no dynamic loader to preload a library. Link it dynamically.".into(),
        );
    };
    let name = loader.rsplit('/').next().unwrap_or_default();
    let (_, libc) = FOREIGN_LOADERS.iter().find(|(part, _)| name.contains(part))?;
    Some(format!("is linked with {libc} ({loader}): greenpatch knows glibc only."))
}

type Elf<'data> = ElfFile64<'data, Endianness, &'data ReadCache<File>>;

/// Whether it is no program but a library: position-independent, not marked as a program, and asking for no loader.
pub fn is_library<'data, R: ReadRef<'data>>(elf: &ElfFile64<'data, Endianness, R>) -> bool {
    let table = elf.elf_dynamic_table().unwrap_or_default();
    let program = table.iter().any(|entry| entry.tag == DT_FLAGS_1 && DynamicFlags1(entry.val).contains(DF_1_PIE));
    let (header, parts) = (elf.elf_header(), elf.elf_program_headers());
    let asks = parts.iter().any(|part| part.p_type(elf.endian()) == PT_INTERP);
    header.e_type(elf.endian()) == ET_DYN && !program && !asks
}

fn loader(elf: &Elf) -> Option<String> {
    let mut paths =
        elf.elf_program_headers().iter().filter_map(|part| part.interpreter(elf.endian(), elf.data()).ok()?);
    paths.next().map(|path| String::from_utf8_lossy(path).into_owned())
}

/// Has it Go's note?
pub fn is_go<'data, R: ReadRef<'data>>(elf: &ElfFile64<'data, Endianness, R>) -> bool {
    let notes = elf.elf_program_headers().iter().filter_map(|part| part.notes(elf.endian(), elf.data()).ok()?);
    notes.flat_map(|notes| notes.map_while(Result::ok)).any(|note| note.name() == b"Go")
}

fn needs_libc(elf: &Elf) -> bool {
    let Ok(table) = elf.elf_dynamic_table() else { return false };
    let mut needed = table.iter().filter(|entry| entry.tag == DT_NEEDED);
    needed.any(|entry| table.string(entry).is_ok_and(|name| name.starts_with(b"libc.so")))
}
