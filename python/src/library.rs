//! The preloaded library, as include/greenpatch.h describes it: its functions, found by name, for nothing links them.

use std::ffi::{c_int, c_void, CStr};
use std::sync::OnceLock;

/// `leave` of `struct gp_loop_ops`.
pub type Leave = unsafe extern "C" fn(*mut c_void, *mut *mut c_void) -> c_int;

/// `struct gp_loop_ops`.
#[repr(C)]
pub struct Ops {
    pub size: usize,
    pub leave: Leave,
}

/// `struct gp_loop_statistics`.
#[repr(C)]
pub struct Statistics {
    pub size: usize,
    pub lent: u64,
    pub blocked: u64,
    pub taken: u64,
}

/// The functions of the same names, with `gp_` before them.
pub struct Library {
    pub version: unsafe extern "C" fn() -> c_int,
    pub mode: unsafe extern "C" fn() -> c_int,
    pub lend: unsafe extern "C" fn(*const Ops, c_int, *mut c_void) -> c_int,
    pub unlend: unsafe extern "C" fn() -> c_int,
    pub take: unsafe extern "C" fn(*mut *mut c_void, usize) -> usize,
    pub pause: unsafe extern "C" fn(),
    pub resume: unsafe extern "C" fn(),
    pub range: unsafe extern "C" fn(c_int, *const c_void, *const c_void) -> c_int,
    pub loop_statistics: unsafe extern "C" fn(*mut Statistics) -> c_int,
}

/// `GP_GREEN`.
pub const GREEN: c_int = 1;
/// `GP_AUDIT`.
pub const AUDIT: c_int = 2;

/// `GP_CANCEL_IGNORE`.
pub const IGNORE: c_int = 0;
/// `GP_CANCEL_ERROR`.
pub const FAIL: c_int = -1;
/// `GP_CANCEL_SHUTDOWN`.
pub const SHUTDOWN: c_int = -2;
/// `GP_BLOCKING_OBJECTS`.
pub const BLOCKING_OBJECTS: c_int = 0;
/// `GP_BLOCKING_CALLERS`.
pub const BLOCKING_CALLERS: c_int = 1;
/// `GP_CONDITION_CALLERS`.
pub const CONDITION_CALLERS: c_int = 2;

/// Returns the preloaded library; `None`: there is none, or one that is older than this interface. Any thread.
pub fn library() -> Option<&'static Library> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    LIBRARY.get_or_init(find).as_ref()
}

fn find() -> Option<Library> {
    // SAFETY: each function is that of its name, whose type the header gives.
    unsafe {
        Some(Library {
            version: symbol(c"gp_version")?,
            mode: symbol(c"gp_mode")?,
            lend: symbol(c"gp_lend")?,
            unlend: symbol(c"gp_unlend")?,
            take: symbol(c"gp_take")?,
            pause: symbol(c"gp_pause")?,
            resume: symbol(c"gp_resume")?,
            range: symbol(c"gp_range")?,
            loop_statistics: symbol(c"gp_loop_statistics")?,
        })
    }
}

/// Finds a function.
///
/// # Safety
/// `T` is the function's type.
pub unsafe fn symbol<T: Copy>(name: &CStr) -> Option<T> {
    const { assert!(size_of::<T>() == size_of::<*mut c_void>()) };
    // SAFETY: the name ends in a NUL, and `T` is a pointer to a function, which the caller knows.
    unsafe {
        let address = libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr());
        (!address.is_null()).then(|| std::mem::transmute_copy(&address))
    }
}
