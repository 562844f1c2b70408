//! Objections to preloading a program, read from its file, before it is started.
//!
//! LD_PRELOAD is a message to glibc's dynamic loader. It is lost where the kernel starts a program without a loader (static),
//! where the loader is another C library's, where the loader must not trust it (setuid), and where the library does not fit the
//! machine. A Go program that makes its system calls itself may load the library, but never enters it.
//!
//! A file that cannot be read or understood meets no objection: the kernel decides when it is executed. Whether the glibc that the
//! program gets is new enough is asked apart (`glibc`), for `run` looks for the loader in between.

use std::fs::File;
use std::path::Path;

use object::elf::{DT_NEEDED, ET_DYN, ET_EXEC};
use object::read::elf::{ElfFile64, FileHeader};
use object::{Endianness, ReadCache};

use crate::{elf, privilege};

/// Loaders of other C libraries, by what their file names contain, and whose they are.
const FOREIGN_LOADERS: [(&str, &str); 3] = [("ld-musl", "musl"), ("uClibc", "uClibc"), ("linker", "Android's bionic")];

/// Tells why `library` cannot be preloaded into `program`: the rest of a sentence that begins with the program's name. None: it can be,
/// as far as the file tells.
pub fn objection(program: &Path, library: &Path) -> Option<String> {
    let (machine, wanted) = (elf::machine(program)?, elf::machine(library)?);
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

/// An ELF file of which only what is asked for is read.
type Opened<'data> = ElfFile64<'data, Endianness, &'data ReadCache<File>>;

/// Objects to what is static, Go, or another C library's. The program is for our machine, so it is read as a file of our class.
fn linkage(program: &Path) -> Option<String> {
    let cache = ReadCache::new(File::open(program).ok()?);
    let elf = Opened::parse(&cache).ok()?;
    if !matches!(elf.elf_header().e_type(elf.endian()), ET_DYN | ET_EXEC) {
        return Some("is no program: an object file, or a memory image.".into());
    }
    if elf::is_go(&elf) && !needs_libc(&elf) {
        return Some(
            "is a Go program without cgo: it makes its system calls itself, past libc. Go has green threads already."
                .into(),
        );
    }
    let Some(loader) = elf::loader(&elf) else {
        return Some(
            "is statically linked: there is no dynamic loader to preload a library. Link it dynamically.".into(),
        );
    };
    let name = loader.rsplit('/').next().unwrap_or_default();
    let (_, libc) = FOREIGN_LOADERS.iter().find(|(part, _)| name.contains(part))?;
    Some(format!("is linked with {libc} ({loader}): greenpatch knows glibc only."))
}

/// Tells whether a program asks the loader for glibc: then even Go's calls it, through cgo.
fn needs_libc(elf: &Opened) -> bool {
    let Ok(table) = elf.elf_dynamic_table() else { return false };
    let mut needed = table.iter().filter(|entry| entry.tag == DT_NEEDED);
    needed.any(|entry| table.string(entry).is_ok_and(|name| name.starts_with(b"libc.so")))
}
