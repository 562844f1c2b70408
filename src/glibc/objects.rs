//! The objects that the loader has mapped, seen from outside: which is this library, whether a second copy of it is among them, what their
//! names and notes say.
//!
//! Every copy bears a note, which lies in memory once it is mapped. (A symbol would not do: one copy may be loaded where the other does not
//! see its names.)

use crate::arch::scan;
use crate::glibc::loader;
use libc::dl_phdr_info;
use std::ffi::CStr;

/// An ELF note (elf.h): the sizes of name and description, the type, the name, the description.
#[repr(C)]
struct Note {
    sizes: [u32; 2],
    kind: u32,
    name: [u8; 12],
    version: [u8; 4],
}

const NAME: &[u8; 12] = b"greenpatch\0\0";

#[used]
#[link_section = ".note.greenpatch"]
static NOTE: Note = Note { sizes: [NAME.len() as u32, 4], kind: 1, name: *NAME, version: *b"1\0\0\0" };

/// The file's name of an older version, which has no note.
const FILE: &[u8] = b"libgreenpatch.so";

/// The last part of an object's path; the program's own is empty.
fn file_name(object: &dl_phdr_info) -> &[u8] {
    // SAFETY: a C string of the loader's, which lives as long as the object is loaded.
    let path = unsafe { CStr::from_ptr(object.dlpi_name) }.to_bytes();
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

fn is_this(object: &dl_phdr_info) -> bool {
    let here = &NOTE as *const Note as usize;
    segments(object, libc::PT_LOAD).any(|(start, bytes)| (start..start + bytes).contains(&here))
}

/// The segments of a kind: start and bytes of each.
fn segments(object: &dl_phdr_info, kind: u32) -> impl Iterator<Item = (usize, usize)> + '_ {
    with_flags(object, kind, 0)
}

/// The segments of code: start and bytes of each.
fn texts(object: &dl_phdr_info) -> impl Iterator<Item = (usize, usize)> + '_ {
    with_flags(object, libc::PT_LOAD, libc::PF_X)
}

fn with_flags(object: &dl_phdr_info, kind: u32, flags: u32) -> impl Iterator<Item = (usize, usize)> + '_ {
    // SAFETY: the loader's array of this length.
    let headers = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum as usize) };
    let here = headers.iter().filter(move |header| header.p_type == kind && header.p_flags & flags == flags);
    here.map(|header| (object.dlpi_addr as usize + header.p_vaddr as usize, header.p_memsz as usize))
}

/// Has it a note of this name and type?
fn has_note(object: &dl_phdr_info, name: &[u8], kind: u32) -> bool {
    const HEADER: usize = 12;
    segments(object, libc::PT_NOTE).any(|(start, bytes)| {
        // SAFETY: the loader has mapped the segment, readable as notes are.
        let mut rest = unsafe { std::slice::from_raw_parts(start as *const u8, bytes) };
        while rest.len() >= HEADER {
            let word =
                |at: usize| rest[at..at + 4].iter().rev().fold(0, |value: u32, byte| value << 8 | u32::from(*byte));
            let [named, described] = [word(0), word(4)].map(|size| (size as usize).next_multiple_of(4));
            if word(8) == kind && rest[HEADER..].starts_with(name) {
                return true;
            }
            rest = rest.get(HEADER + named + described..).unwrap_or_default();
        }
        false
    })
}

/// Is another copy of this library there that serves the program? A copy that the loader has before this one does. A copy without a note
/// does in any case, for it does not look for others.
pub fn is_second_copy() -> bool {
    let (mut found, mut passed) = (false, false);
    loader::each_object(&mut |object| {
        if is_this(object) {
            passed = true;
        } else if has_note(object, NAME, NOTE.kind) {
            found |= !passed;
        } else {
            found |= file_name(object) == FILE;
        }
    });
    found
}

/// Libraries that have such instructions for what no program asks of them: tcmalloc's look for leaks.
const HARMLESS: &[&[u8]] = &[b"libtcmalloc", b"libprofiler"];

/// A text that is larger is not looked through: it costs half a millisecond a megabyte.
const MOST_TEXT: usize = 4 << 20;

/// Has the program, or a library, system call instructions of its own that set a thread's state? Go's are known by a note.
pub fn set_thread_state() -> bool {
    const GO_BUILD_ID: u32 = 4;
    let mut found = false;
    loader::each_object(&mut |object| {
        let passed = found || is_this(object) || loader::is_libcs(object);
        if passed || HARMLESS.iter().any(|name| file_name(object).starts_with(name)) {
            return;
        }
        // SAFETY: the loader has mapped the texts, readable as code is.
        let text = |&(start, bytes): &(usize, usize)| unsafe { std::slice::from_raw_parts(start as *const u8, bytes) };
        found = has_note(object, b"Go\0\0", GO_BUILD_ID)
            || texts(object)
                .filter(|(_, bytes)| *bytes <= MOST_TEXT)
                .any(|place| scan::sets_thread_state(text(&place)));
    });
    found
}

/// Does valgrind run the program? It has its own library loaded then, whatever the tool.
pub fn are_valgrinds() -> bool {
    let mut found = false;
    loader::each_object(&mut |object| found |= file_name(object).starts_with(b"vgpreload_core"));
    found
}

/// Does a path of LD_PRELOAD's name this library, or another copy of it?
pub fn names_this(path: &str) -> bool {
    let named = path.rsplit('/').next().unwrap_or(path).as_bytes();
    let mut own = false;
    loader::each_object(&mut |object| own |= is_this(object) && file_name(object) == named);
    own || named == FILE
}
