//! Rights that a program gets and its caller has not. Where there are any, the kernel says so to the loader (AT_SECURE), and the loader
//! takes no library from the caller. The rules are the kernel's (security/commoncap.c): what counts is not the file's mode but whether
//! anything changes by it.
//!
//! ```text
//! setuid, and the owner is not this user          not on a mount with nosuid, nor under "no new privileges"
//! setgid with the group's x, and another group    the same
//! file capabilities that this user would gain     the same, and not for root, whose they are anyway
//! this process's own real and effective ids differ, and the program does not put that right
//! ```

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::mount;

/// The setuid bit.
const SETUID: u32 = 0o4000;
/// The setgid bit together with the group's x, without which it means something else.
const SETGID: u32 = 0o2010;
/// The bit of the attribute's first word that makes the capabilities effective at once.
const EFFECTIVE: u32 = 1;

/// Names the privilege that the kernel would give this process with `program`, as the rest of a sentence about the program. None: it
/// gives none, or the file is not reachable.
pub fn of(program: &Path) -> Option<&'static str> {
    let facts = fs::metadata(program).ok()?;
    let mode = facts.permissions().mode();
    // SAFETY: these only ask.
    let (user, as_user, group, as_group, bound) = unsafe {
        let bound = libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
        (libc::getuid(), libc::geteuid(), libc::getgid(), libc::getegid(), bound)
    };
    // The bits mean nothing on a file system mounted with nosuid, nor where the process has given up new privileges.
    let honoured = !bound && mount::flags(program).is_none_or(|flags| flags & libc::ST_NOSUID == 0);
    let has = |bits| honoured && mode & bits == bits;
    if has(SETUID) && facts.uid() != user {
        Some("is setuid")
    } else if has(SETGID) && facts.gid() != group {
        Some("is setgid")
    } else if honoured && user != 0 && gains_capabilities(program) {
        Some("has file capabilities")
    } else if !has(SETUID) && as_user != user || !has(SETGID) && as_group != group {
        Some("would run with another user or group than its caller's")
    } else {
        None
    }
}

/// Tells whether the file gives capabilities to a caller who is not root. Inheritable capabilities give nothing to a caller that has none
/// to pass on.
fn gains_capabilities(program: &Path) -> bool {
    let Some(words) = attribute(program) else { return false };
    // Each set has its lower 32 capabilities in one word, the upper ones two words on.
    let set = |low: usize| {
        words.get(low).map_or(0, |&low| u64::from(low)) | words.get(low + 2).map_or(0, |&high| u64::from(high) << 32)
    };
    let (permitted, inheritable) = (set(1), set(2));
    let own = |name: &str| {
        let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        u64::from_str_radix(line.trim(), 16).ok()
    };
    let gained = permitted & own("CapBnd:").unwrap_or(u64::MAX) | inheritable & own("CapInh:").unwrap_or(0);
    words[0] & EFFECTIVE != 0 || gained & !own("CapAmb:").unwrap_or(0) != 0
}

/// Reads the words of `security.capability` (linux/capability.h): revision and flags, permitted, inheritable, and both again for the
/// upper half. None: the file has no such attribute.
fn attribute(program: &Path) -> Option<Vec<u32>> {
    let path = CString::new(program.as_os_str().as_bytes()).ok()?;
    let mut bytes = [0u8; 24];
    // SAFETY: both strings end in a NUL, and no more is written than there is room.
    let length = unsafe {
        libc::getxattr(path.as_ptr(), c"security.capability".as_ptr(), bytes.as_mut_ptr().cast(), bytes.len())
    };
    let length = usize::try_from(length).ok().filter(|&length| length >= 12)?;
    Some(bytes[..length].chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect())
}
