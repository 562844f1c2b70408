//! Libraries whose waits are never lent, by the names of their files. They are found as they are loaded, be it long after the loop was
//! lent.

use crate::library::{Library, BLOCKING_CALLERS};
use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void, CStr};

/// Parts of file names, and why: two greenlets of a thread would share what the library keeps for each thread.
const NEVER: &[(&str, &str)] = &[
    ("cygrpc.", "absl's per-thread waiters: the process aborts"),
    ("libgrpc.so", "the same"),
    ("libabsl_synchronization", "the same"),
];

/// What a loan has seen of the loader's files. Touched by its thread alone.
#[derive(Default)]
pub struct Seen {
    /// How many files the loader had loaded when it was asked last.
    loads: Cell<u64>,
    /// Where those of `NEVER` lie, as the loader has it.
    places: RefCell<Vec<u64>>,
}

/// A look at the loader's files.
struct Look<'a> {
    library: &'static Library,
    seen: &'a Seen,
    /// Files of `NEVER` were found that are new.
    is_new: bool,
}

impl Seen {
    /// Says to the library that what a file of `NEVER` calls blocks, of all that were loaded since the last time. Returns whether there
    /// were any. Called on a thread that has lent its loop, with any lock of the interpreter's, or none.
    pub fn update(&self, library: &'static Library) -> bool {
        let mut loads = 0_u64;
        // SAFETY: `count` takes a number, and is called during this call only.
        unsafe { libc::dl_iterate_phdr(Some(count), (&raw mut loads).cast()) };
        if self.loads.replace(loads) == loads {
            return false;
        }
        let mut look = Look { library, seen: self, is_new: false };
        // SAFETY: `visit` takes a `Look`, and is called during this call only.
        unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut look).cast()) };
        look.is_new
    }
}

/// Asks one file, which tells of all, how many were loaded.
///
/// # Safety
/// Called by dl_iterate_phdr, with a `u64`.
unsafe extern "C" fn count(file: *mut libc::dl_phdr_info, _: usize, loads: *mut c_void) -> c_int {
    // SAFETY: the loader's description of a file, and `update`'s number.
    unsafe { *(loads as *mut u64) = (*file).dlpi_adds };
    1
}

/// Looks at one file.
///
/// # Safety
/// Called by dl_iterate_phdr, with a `Look`.
unsafe extern "C" fn visit(file: *mut libc::dl_phdr_info, _: usize, look: *mut c_void) -> c_int {
    // SAFETY: the loader's description of a file, and `update`'s look.
    let (file, look) = unsafe { (&*file, &mut *(look as *mut Look)) };
    // SAFETY: the file's name, and its program headers.
    let (name, headers) = unsafe {
        (CStr::from_ptr(file.dlpi_name), std::slice::from_raw_parts(file.dlpi_phdr, file.dlpi_phnum as usize))
    };
    let name = name.to_string_lossy();
    let name = name.rsplit('/').next().unwrap_or_default();
    let mut places = look.seen.places.borrow_mut();
    if !NEVER.iter().any(|(part, _)| name.contains(part)) || places.contains(&file.dlpi_addr) {
        return 0;
    }
    places.push(file.dlpi_addr);
    look.is_new = true;
    for text in headers.iter().filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0) {
        let from = file.dlpi_addr + text.p_vaddr;
        let (from, to) = (from as *const c_void, (from + text.p_memsz) as *const c_void);
        // SAFETY: addresses only. What it cannot take note of (ENOMEM, an old glibc) is lent as everything else.
        unsafe { (look.library.range)(BLOCKING_CALLERS, from, to) };
    }
    0
}
