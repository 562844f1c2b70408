//! The kernel, of files: what the library writes for itself.

use crate::sys::call::{call, checked, plain};
use crate::sys::process::limit;
use std::ffi::CStr;

/// Opens a file, closed on exec; never waits, and makes no terminal the process's own.
pub fn open(path: &CStr, flags: i32) -> Result<i32, i32> {
    const MODE: usize = 0o666; // less the program's umask
    let flags = (flags | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY) as usize;
    // SAFETY: the kernel reads the string.
    checked(unsafe { call(libc::SYS_openat, libc::AT_FDCWD as usize, path.as_ptr() as usize, flags, MODE, 0, 0) })
        .map(|fd| fd as i32)
}

/// Returns the facts of what a path leads to; `flags`: AT_SYMLINK_NOFOLLOW or nothing.
pub fn facts(path: &CStr, flags: i32) -> Result<libc::stat, i32> {
    facts_at(libc::AT_FDCWD, path, flags)
}

/// Returns the facts of the file that a descriptor stands for.
pub fn facts_of(fd: i32) -> Result<libc::stat, i32> {
    facts_at(fd, c"", libc::AT_EMPTY_PATH)
}

fn facts_at(fd: i32, path: &CStr, flags: i32) -> Result<libc::stat, i32> {
    // SAFETY: all-zero is a value of stat; the kernel reads the string and fills the structure.
    unsafe {
        let mut facts: libc::stat = std::mem::zeroed();
        let place = &mut facts as *mut _ as usize;
        checked(call(libc::SYS_newfstatat, fd as usize, path.as_ptr() as usize, place, flags as usize, 0, 0))?;
        Ok(facts)
    }
}

/// Asks whether the effective user may use a path so (`mode`: W_OK and its like); fails by the kernel's error.
pub fn may(path: &CStr, mode: i32) -> Result<(), i32> {
    let (path, flags) = (path.as_ptr() as usize, libc::AT_EACCESS as usize);
    // SAFETY: the kernel reads the string.
    let answer = unsafe { call(libc::SYS_faccessat2, libc::AT_FDCWD as usize, path, mode as usize, flags, 0, 0) };
    checked(answer).map(|_| ())
}

/// Renames a file (`flags`: RENAME_NOREPLACE, RENAME_EXCHANGE or nothing); fails by the kernel's error.
pub fn rename(from: &CStr, to: &CStr, flags: u32) -> Result<(), i32> {
    let here = libc::AT_FDCWD as usize;
    let (from, to) = (from.as_ptr() as usize, to.as_ptr() as usize);
    // SAFETY: the kernel reads the strings.
    checked(unsafe { call(libc::SYS_renameat2, here, from, here, to, flags as usize, 0) }).map(|_| ())
}

/// Takes away a file's name. A name that is gone, or may not be taken away, is left: the caller has nothing else to try.
pub fn unlink(path: &CStr) {
    // SAFETY: the kernel reads the string.
    unsafe { call(libc::SYS_unlinkat, libc::AT_FDCWD as usize, path.as_ptr() as usize, 0, 0, 0, 0) };
}

/// Makes `bytes` the whole of a file, wherever its descriptor stands.
pub fn overwrite(fd: i32, bytes: &[u8]) -> Result<(), i32> {
    let mut written = 0;
    while written < bytes.len() {
        let rest = &bytes[written..];
        let (address, length) = (rest.as_ptr() as usize, rest.len());
        // SAFETY: the kernel reads `rest`.
        written += checked(unsafe { call(libc::SYS_pwrite64, fd as usize, address, length, written, 0, 0) })?;
    }
    // (A file system's journal may be waited for where its size changes.)
    if facts_of(fd).is_ok_and(|facts| facts.st_size == bytes.len() as i64) {
        return Ok(());
    }
    checked(plain(libc::SYS_ftruncate, [fd as usize, bytes.len(), 0, 0])).map(|_| ())
}

/// Gives a file its permission bits (`mode`: 0o7777 at the most), whatever the umask. A refusal leaves the bits that the file was made
/// with.
pub fn set_mode(fd: i32, mode: u32) {
    plain(libc::SYS_fchmod, [fd as usize, mode as usize, 0, 0]);
}

/// Reads from the file's beginning, and returns how many bytes there were.
pub fn read_first(fd: i32, room: &mut [u8]) -> usize {
    // SAFETY: the kernel writes into `room`.
    let read = unsafe { call(libc::SYS_pread64, fd as usize, room.as_mut_ptr() as usize, room.len(), 0, 0, 0) };
    checked(read).unwrap_or(0)
}

/// Reads from the byte `from` on, and returns how many bytes there were; 0 at the end.
pub fn read_at(fd: i32, room: &mut [u8], from: u64) -> Result<usize, i32> {
    let (address, length) = (room.as_mut_ptr() as usize, room.len());
    // SAFETY: the kernel writes into `room`.
    checked(unsafe { call(libc::SYS_pread64, fd as usize, address, length, from as usize, 0, 0) })
}

/// Reads where a symbolic link leads, and returns how many bytes of that there was room for.
pub fn read_link(path: &CStr, room: &mut [u8]) -> Result<usize, i32> {
    let (path, address, length) = (path.as_ptr() as usize, room.as_mut_ptr() as usize, room.len());
    // SAFETY: the kernel reads the string and writes into `room`.
    checked(unsafe { call(libc::SYS_readlinkat, libc::AT_FDCWD as usize, path, address, length, 0, 0) })
}

/// Writes as much as goes at once, and returns how many bytes that was; EAGAIN where nothing goes.
pub fn write(fd: i32, bytes: &[u8]) -> Result<usize, i32> {
    // SAFETY: the kernel reads `bytes`.
    checked(unsafe { call(libc::SYS_write, fd as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0) })
}

/// Returns the effective user's id, which never fails: the one that owns the files this process makes.
pub fn effective_user() -> u32 {
    plain(libc::SYS_geteuid, [0; 4]) as u32
}

/// Has this process waited for a child of its own?
pub fn had_children() -> bool {
    // SAFETY: all-zero is a value of rusage, which the kernel fills.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        call(libc::SYS_getrusage, libc::RUSAGE_CHILDREN as usize, &mut usage as *mut _ as usize, 0, 0, 0, 0);
        usage.ru_maxrss > 0
    }
}

/// Gives a file its size, without blocks. Fails by the kernel's number; EFBIG where the program's limit of a file's size (RLIMIT_FSIZE)
/// forbids it, which is asked first, for the kernel sends SIGXFSZ with it, and that ends the program.
pub fn set_size(fd: i32, bytes: usize) -> Result<(), i32> {
    if limit(libc::RLIMIT_FSIZE) < bytes as u64 {
        return Err(libc::EFBIG);
    }
    checked(plain(libc::SYS_ftruncate, [fd as usize, bytes, 0, 0])).map(|_| ())
}

/// Gives a file its size, and its blocks where its file system can do that. Fails by the kernel's number: no room.
pub fn allocate(fd: i32, bytes: usize) -> Result<(), i32> {
    match checked(plain(libc::SYS_fallocate, [fd as usize, 0, 0, bytes])) {
        Err(libc::EOPNOTSUPP | libc::ENOSYS) => set_size(fd, bytes),
        result => result.map(|_| ()),
    }
}
