//! Which glibc a program would get, and which one the library needs: beside an older one the loader refuses the library, and the program
//! does not start at all.
//!
//! The library's need stands in its table of needed versions (SHT_GNU_VERNEED: `GLIBC_2.34` and the like); what a libc provides stands
//! among its strings. The newest on each side decides. Where the program's libc is not found, or a version cannot be read, there is no
//! objection: the loader will say what is wrong.

use std::fs;
use std::path::Path;

use object::elf::SHT_GNU_VERNEED;
use object::read::elf::SectionHeader;
use object::Endianness;

use crate::elf::Elf;
use crate::loaded;
use crate::words::shown;

/// A version of glibc: `2.34` as a pair.
type Version = (u32, u32);

/// Tells why a program cannot be started with the library: the rest of a sentence that begins with the program's name. None: its glibc is
/// new enough, or one of the versions is not to be found. The glibc is the one that the loader would find for the program here and now.
pub fn objection(program: &Path, library: &Path) -> Option<String> {
    let libc = loaded::libc_of(program)?;
    let (has, needs) = (provided(&libc)?, needed(library)?);
    (has < needs).then(|| {
        let (has, needs) = (words(has), words(needs));
        format!("is linked with glibc {has} ({}): greenpatch needs glibc {needs} or later.", shown(&libc))
    })
}

/// Writes a version as users know it.
fn words((major, minor): Version) -> String {
    format!("{major}.{minor}")
}

/// Finds the newest version of glibc that a library asks for, in its table of needed versions.
fn needed(library: &Path) -> Option<Version> {
    let data = fs::read(library).ok()?;
    let elf = Elf::parse(&*data).ok()?;
    let (endian, sections) = (Endianness::Little, elf.elf_section_table());
    let section = sections.iter().find(|section| section.sh_type(endian) == SHT_GNU_VERNEED)?;
    let (mut needs, link) = section.gnu_verneed(endian, &*data).ok()??;
    let strings = sections.strings(endian, &*data, link).ok()?;
    let mut newest = None;
    while let Ok(Some((_, mut names))) = needs.next() {
        while let Ok(Some(name)) = names.next() {
            newest = newest.max(name.name(endian, strings).ok().and_then(version));
        }
    }
    newest
}

/// Finds the newest version that a libc has: the names of its versions are among its strings.
fn provided(libc: &Path) -> Option<Version> {
    let data = fs::read(libc).ok()?;
    data.split(|byte| *byte == 0).filter_map(version).max()
}

/// Reads the version in a name such as `GLIBC_2.34`. None: the name has another form, such as `GLIBC_PRIVATE`.
fn version(name: &[u8]) -> Option<Version> {
    let number = std::str::from_utf8(name.strip_prefix(b"GLIBC_")?).ok()?;
    let mut parts = number.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}
