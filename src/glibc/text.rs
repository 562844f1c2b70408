//! The places of instructions: libc's, this library's, a function's.

use crate::glibc::functions::REAL;
use crate::glibc::loader::{each_module, each_object, is_libcs_own};
use crate::glibc::symbols;
use libc::{c_int, c_void};
use std::sync::atomic::Ordering::*;

/// For `dl_iterate_phdr`: the executable segment around an address.
///
/// # Safety
/// `out` points to {the address, the segment's start, its bytes}.
pub unsafe extern "C" fn find_text(info: *mut libc::dl_phdr_info, _: usize, out: *mut c_void) -> c_int {
    // SAFETY: the loader's facts, alive during the call; `out` is `text_around`'s own array, which waits for the walk's end.
    let (info, found) = unsafe { (&*info, &mut *(out as *mut [usize; 3])) };
    for i in 0..info.dlpi_phnum as usize {
        // SAFETY: the loader's array has `dlpi_phnum` headers.
        let header = unsafe { &*info.dlpi_phdr.add(i) };
        let start = info.dlpi_addr as usize + header.p_vaddr as usize;
        let executable = header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0;
        if executable && (start..start + header.p_memsz as usize).contains(&found[0]) {
            (found[1], found[2]) = (start, header.p_memsz as usize);
            return 1;
        }
    }
    0
}

/// Shows the executable segments of all modules, in the order in which the loader has them, each with whether it is libc's, the loader's,
/// or the kernel's own.
pub fn each_text(visit: &mut dyn FnMut(&std::ops::Range<usize>, bool)) {
    each_object(&mut |object| {
        // SAFETY: it is what `dl_iterate_phdr` shows.
        let own = unsafe { is_libcs_own(object) };
        // SAFETY: the loader's array of this length.
        let headers = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum as usize) };
        let executable =
            |header: &&libc::Elf64_Phdr| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0;
        for header in headers.iter().filter(executable) {
            let start = object.dlpi_addr as usize + header.p_vaddr as usize;
            visit(&(start..start + header.p_memsz as usize), own);
        }
    });
}

/// Returns the address from which main's stack grows downwards; `None`: this glibc does not say.
pub fn main_stack() -> Option<usize> {
    // SAFETY: the loader's variable of this name, an address.
    symbols::own(c"__libc_stack_end").map(|place| unsafe { *(place as *const usize) })
}

/// Where this library's instructions are: start and bytes.
pub fn own_text() -> Option<(usize, usize)> {
    text_around(own_text as fn() -> Option<(usize, usize)> as usize)
}

/// Where glibc's instructions are.
pub fn text() -> Option<(usize, usize)> {
    text_around(REAL.exit.load(Relaxed))
}

/// Where the loader's instructions are: start and bytes.
pub fn loader_text() -> Option<(usize, usize)> {
    symbols::own(c"__tls_get_addr").and_then(text_around)
}

/// Notes that a function's entry leads elsewhere from now on: the runtime calls the function itself at `moved`.
pub fn function_moved(function: usize, moved: usize) {
    for place in [&REAL.pthread_create, &REAL.pthread_join, &REAL.pthread_exit, &REAL.setcancelstate, &REAL.exit] {
        place.compare_exchange(function, moved, Relaxed, Relaxed).ok();
    }
}

/// The executable segment that holds `address`: start and bytes; `None` if no module has it. Takes the loader's lock.
pub fn text_around(address: usize) -> Option<(usize, usize)> {
    let mut found = [address, 0, 0];
    // SAFETY: the callback writes into `found` only.
    unsafe { each_module(find_text, &mut found as *mut [usize; 3] as *mut c_void) };
    (found[2] != 0).then_some((found[1], found[2]))
}

/// The kernel's number of a timer by libc's name of it: the number itself, or, of a timer with a function, half the address of what glibc
/// keeps of it, which begins with the number; the sign tells which (source: kernel-posix-timers.h of 2.34 and later).
pub fn kernel_timer(handle: usize) -> c_int {
    if handle as isize >= 0 {
        return handle as c_int;
    }
    // SAFETY: libc has just made that timer, and frees what it keeps of it in timer_delete.
    unsafe { *((handle << 1) as *const c_int) }
}
