//! The loader's list of modules, read under its lock.

use crate::base::kept::Kept;
use crate::base::lock::{Rank, RawLock};
use crate::glibc::symbols;
use libc::{c_int, c_void};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::*;

/// Held while this library makes the loader walk its list, and across a fork: glibc leaves the loader's lock in a fork child as it was, and
/// such walks are frequent. The thread that forks gives it back, on both sides.
pub static LOADER: Kept<RawLock> = Kept::new(RawLock::new(Rank::Loader));

/// What `dl_iterate_phdr` calls for each module: its facts, their size in bytes, the caller's pointer; other than 0 ends the walk.
pub type ForModule = unsafe extern "C" fn(*mut libc::dl_phdr_info, usize, *mut c_void) -> c_int;

/// libc's own dl_iterate_phdr, 0 until it is first called.
pub static ITERATE: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));

/// Calls libc's dl_iterate_phdr under `LOADER`: `visit` is called for each module, with `out`.
///
/// # Safety
/// `visit` gets `out` and may write there what it likes.
pub unsafe fn each_module(visit: ForModule, out: *mut c_void) {
    let iterate = match ITERATE.load(Relaxed) {
        0 => symbols::own(c"dl_iterate_phdr").unwrap_or(libc::dl_iterate_phdr as *const () as usize),
        address => address,
    };
    ITERATE.store(iterate, Relaxed);
    // SAFETY: the address of dl_iterate_phdr, which has this type.
    let iterate: unsafe extern "C" fn(ForModule, *mut c_void) -> c_int = unsafe { std::mem::transmute(iterate) };
    // SAFETY: the loader walks its list under its own lock and hands `out` through to `visit`, which was made for it.
    LOADER.with(|| unsafe { iterate(visit, out) });
}

/// Takes `LOADER` before a fork: no walk of this library's goes on in the loader until `forked`. Called by the forking thread.
pub fn before_fork() {
    LOADER.lock();
}

/// Releases `LOADER` after a fork, in parent and child alike.
pub fn forked() {
    LOADER.unlock();
}

/// Is the module libc, the loader, or the kernel's own?
///
/// # Safety
/// `info` is what `dl_iterate_phdr` shows.
pub unsafe fn is_libcs_own(info: &libc::dl_phdr_info) -> bool {
    // SAFETY: the loader shows a C string, which lives as long as the module is loaded; none goes during the walk.
    let name = unsafe { std::ffi::CStr::from_ptr(info.dlpi_name) }.to_bytes();
    [&b"/libc.so.6"[..], b"/ld-linux-x86-64.so.2", b"linux-vdso.so.1"].iter().any(|own| name.ends_with(own))
}

/// Asks `is_libcs_own` of what `each_object` shows.
pub fn is_libcs(object: &libc::dl_phdr_info) -> bool {
    // SAFETY: it comes from `dl_iterate_phdr`.
    unsafe { is_libcs_own(object) }
}

/// What `each_object` calls for each module, with the loader's facts, which are alive during the call.
pub type ForObject<'a> = dyn FnMut(&libc::dl_phdr_info) + 'a;

/// Shows all modules, in the order in which the loader has them.
pub fn each_object(visit: &mut ForObject) {
    let mut visit = visit;
    // SAFETY: the callback takes `visit` for what it is.
    unsafe { each_module(show_object, &mut visit as *mut &mut ForObject as *mut c_void) };
}

/// Called by dl_iterate_phdr for each module: shows it to `each_object`'s visitor.
///
/// # Safety
/// `out` points to `each_object`'s visitor.
pub unsafe extern "C" fn show_object(info: *mut libc::dl_phdr_info, _: usize, out: *mut c_void) -> c_int {
    // SAFETY: the loader's facts, alive during the call; `out` is `each_object`'s own variable, which waits for the walk's end.
    unsafe { (*(out as *mut &mut ForObject))(&*info) };
    0
}
