//! liburing's functions that make a ring, or make it known by a number: its system calls are instructions of its own, so these are
//! exported beside the table, which is for libc's. Each calls liburing's own, and notes the ring (`task.rs`). liburing's are looked up at
//! each call, for liburing may be loaded late.

use crate::hooks::process::task::{ring_made, ring_registered};
use libc::{c_char, c_int, c_uint, c_void};

/// The place of the flags in `struct io_uring_params`, counted in words of 4 bytes (source: linux/io_uring.h); `task.rs` has the same
/// for the system call.
const FLAGS: usize = 2;

/// Returns a set-up's flags out of liburing's structure.
///
/// # Safety
/// `parameters` is a `struct io_uring_params`, which liburing has read before.
unsafe fn flags(parameters: *const c_uint) -> c_uint {
    *parameters.add(FLAGS)
}

/// Returns the address of liburing's function of this name, in the libraries behind this one or in those that were loaded privately
/// (RTLD_LOCAL); 0: there is none. Asks the loader, so it may wait for the loader's lock; called at the making of a ring only.
unsafe fn theirs(name: &'static std::ffi::CStr) -> usize {
    const NAMES: [*const c_char; 2] = [c"liburing.so.2".as_ptr(), c"liburing.so.1".as_ptr()];
    let next = libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) as usize;
    // RTLD_NOLOAD: a library that the program has not loaded is not loaded here.
    let late = || {
        let loaded = NAMES.map(|library| libc::dlopen(library, libc::RTLD_LAZY | libc::RTLD_NOLOAD));
        let found =
            loaded.map(|library| if library.is_null() { 0 } else { libc::dlsym(library, name.as_ptr()) as usize });
        found.into_iter().find(|&found| found != 0)
    };
    if next != 0 {
        next
    } else {
        late().unwrap_or(0)
    }
}

macro_rules! liburing {
    ($($symbol:ident $name:literal ($($argument:ident: $t:ty),*) => |$made:ident| $note:expr;)*) => {$(
        /// liburing's function of this name; its result is liburing's, a negated error number, and -ENOSYS where there is no liburing.
        /// Called by any thread. A vfork child's ring is not noted: it is not this process's.
        ///
        /// # Safety
        /// liburing's.
        #[no_mangle]
        pub unsafe extern "C" fn $symbol($($argument: $t),*) -> c_int {
            let function = theirs($name);
            if function == 0 {
                return -libc::ENOSYS;
            }
            let function: unsafe extern "C" fn($($t),*) -> c_int = std::mem::transmute(function);
            let $made = function($($argument),*);
            if $made >= 0 && crate::arch::vfork_word() == 0 {
                $note;
                if !crate::runtime::kernel::alone::is_bound() {
                    crate::runtime::machine::parts::note_unseen_submissions();
                }
            }
            $made
        }
    )*};
}

liburing! {
    io_uring_setup c"io_uring_setup" (entries: c_uint, parameters: *mut c_uint) => |made| ring_made(flags(parameters));
    io_uring_queue_init c"io_uring_queue_init" (entries: c_uint, ring: *mut c_void, wished: c_uint) => |made| ring_made(wished);
    io_uring_queue_init_params c"io_uring_queue_init_params" (entries: c_uint, ring: *mut c_void, parameters: *mut c_uint)
        => |made| ring_made(flags(parameters));
    io_uring_queue_init_mem c"io_uring_queue_init_mem"
        (entries: c_uint, ring: *mut c_void, parameters: *mut c_uint, room: *mut c_void, bytes: usize)
        => |made| ring_made(flags(parameters));
    io_uring_enable_rings c"io_uring_enable_rings" (ring: *mut c_void) => |made| ring_registered();
    io_uring_register_ring_fd c"io_uring_register_ring_fd" (ring: *mut c_void) => |made| ring_registered();
}
