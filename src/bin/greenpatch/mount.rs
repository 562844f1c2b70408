//! How the file system of a file is mounted: whether it may execute, and whether it may give privileges.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Asks for the flags of the mount that a file is on (ST_NOEXEC, ST_NOSUID). None: the file is not reachable.
pub fn flags(path: &Path) -> Option<libc::c_ulong> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: all-zero is a value of statvfs, which is filled; the string ends in a NUL.
    unsafe {
        let mut facts: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &mut facts) == 0).then_some(facts.f_flag)
    }
}
