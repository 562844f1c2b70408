//! Address space, and whether there is memory at an address.

use crate::sys::call::{call, checked, plain};
use crate::sys::descriptor::close;
use crate::sys::process::process_id;

/// Pages of our own: zeroed, not reserved, never of huge size (one touch would cost 2 MiB).
pub fn map(bytes: usize, flags: i32) -> Option<*mut u8> {
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | flags) as usize;
    // SAFETY: a new mapping where the kernel likes; nothing that exists is touched.
    let result = unsafe { call(libc::SYS_mmap, 0, bytes, protection, flags, usize::MAX, 0) };
    checked(result).ok().map(|address| address as *mut u8)
}

/// Takes the holes between mappings above an address, without memory: what is mapped from now on lies below it, as long as the kernel
/// takes the highest hole that is large enough.
pub fn fill_above(address: usize) {
    let mut bytes = 64 << 20;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    while bytes >= 4096 {
        // SAFETY: a new mapping where the kernel likes; nothing that exists is touched.
        let place = unsafe { call(libc::SYS_mmap, 0, bytes, libc::PROT_NONE as usize, flags as usize, usize::MAX, 0) };
        match checked(place) {
            Ok(place) if place > address => continue,
            Ok(place) => unmap(place, bytes),
            Err(_) => {}
        }
        bytes /= 2;
    }
}

/// Would the kernel promise so much memory? (Our stacks are not reserved, so a size beyond all bounds is refused here only.)
pub fn has_memory(bytes: usize) -> bool {
    let (protection, flags) =
        ((libc::PROT_READ | libc::PROT_WRITE) as usize, (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize);
    // SAFETY: a new mapping where the kernel likes; nothing that exists is touched.
    let result = unsafe { call(libc::SYS_mmap, 0, bytes, protection, flags, usize::MAX, 0) };
    checked(result).map(|address| unmap(address, bytes)).is_ok()
}

/// Advises the kernel of the library's own pages (`advice`: madvise's MADV_…). Returns an error number, or 0. Whole pages; an advice that
/// the kernel does not know (EINVAL) leaves them as they are.
pub fn advise(address: usize, bytes: usize, advice: i32) -> i32 {
    plain(libc::SYS_madvise, [address, bytes, advice as usize, 0]).min(0).unsigned_abs() as i32
}

/// Is the page at `address` in memory, though no code has touched it? Then it is locked.
pub fn is_resident(address: usize) -> bool {
    let mut resident = 0u8;
    // SAFETY: the kernel writes a byte for each page asked about.
    let result = unsafe { call(libc::SYS_mincore, address, 4096, &mut resident as *mut u8 as usize, 0, 0, 0) };
    result == 0 && resident & 1 != 0
}

/// Takes every access from pages of the library's own: a stack's guard. False: the kernel has no room for one mapping more, and they are as
/// they were.
pub fn forbid(address: usize, bytes: usize) -> bool {
    plain(libc::SYS_mprotect, [address, bytes, libc::PROT_NONE as usize, 0]) == 0
}

/// Lets code be read and run, and written as well while `writable`. Called at the start, while there is one thread. False: a policy forbids
/// it (SELinux, PR_SET_MDWE), and the code is as it was.
pub fn protect_code(address: usize, bytes: usize, writable: bool) -> bool {
    let write = if writable { libc::PROT_WRITE } else { 0 };
    plain(libc::SYS_mprotect, [address, bytes, (libc::PROT_READ | libc::PROT_EXEC | write) as usize, 0]) == 0
}

/// Gives pages of the library's own back to the kernel: whole pages from `address` on, to which nothing leads any more. A part of a mapping
/// may be given back alone.
pub fn unmap(address: usize, bytes: usize) {
    plain(libc::SYS_munmap, [address, bytes, 0, 0]);
}

/// Fills `room` with this process's memory from `address` on, which may go away meanwhile; false: it is not there, or a filter forbids to
/// ask.
pub fn read_own_memory(address: usize, room: &mut [u8]) -> bool {
    let (to, from) = ([room.as_mut_ptr() as usize, room.len()], [address, room.len()]);
    let (to, from, me) = (&to as *const _ as usize, &from as *const _ as usize, process_id() as usize);
    // SAFETY: the kernel writes into `room`, by the first of the two pairs.
    let read = unsafe { call(libc::SYS_process_vm_readv, me, to, 1, from, 1, 0) };
    read == room.len() as isize
}

/// Is there memory to read at `address`? The kernel is asked to read a signal mask at either end, and then refuses the
/// way of setting it that no kernel knows.
pub fn can_read(address: usize, bytes: usize) -> bool {
    const NO_WAY: usize = 99;
    address != 0
        && ends(address, bytes).all(|at| plain(libc::SYS_rt_sigprocmask, [NO_WAY, at, 0, 8]) != -libc::EFAULT as isize)
}

/// Is there memory to write at `address`? What was at either end is gone then: the kernel has written there.
pub fn can_write(address: usize, bytes: usize) -> bool {
    address != 0 && ends(address, bytes).all(|at| plain(libc::SYS_rt_sigprocmask, [0, 0, at, 8]) == 0)
}

/// The first and the last 8 of at least 8 bytes; once if both are on one page.
pub fn ends(address: usize, bytes: usize) -> impl Iterator<Item = usize> {
    const PAGE: usize = 4096;
    let (first, last) = (address, address.wrapping_add(bytes - 8));
    std::iter::once(first).chain((first / PAGE != last.wrapping_add(7) / PAGE).then_some(last))
}

/// May the stack that the process began with be executed, as the kernel says? (/proc/self is empty once main has ended.)
pub fn may_execute_first_stack() -> bool {
    const LONGEST_LINE: usize = 256;
    let mut text = [0u8; 4096];
    let path = c"/proc/thread-self/maps".as_ptr() as usize;
    // SAFETY: the kernel reads the path, and writes into `text` behind what was kept.
    unsafe {
        let Ok(fd) = checked(call(libc::SYS_openat, libc::AT_FDCWD as usize, path, libc::O_CLOEXEC as usize, 0, 0, 0))
        else {
            return false;
        };
        let (mut kept, mut found) = (0, None);
        while found.is_none() {
            let room = text.as_mut_ptr().add(kept) as usize;
            let more = call(libc::SYS_read, fd, room, text.len() - kept, 0, 0, 0);
            if more <= 0 {
                break;
            }
            let length = kept + more as usize;
            let mut lines = text[..length].split(|&byte| byte == b'\n');
            found = lines.find(|line| line.ends_with(b"[stack]")).map(|line| line.contains(&b'x'));
            kept = length.min(LONGEST_LINE);
            text.copy_within(length - kept..length, 0);
        }
        close(fd as i32);
        found == Some(true)
    }
}

/// Maps a file's first bytes, to be read and written, shared with all who map it. Fails by the kernel's number.
pub fn map_shared(fd: i32, bytes: usize) -> Result<usize, i32> {
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    // SAFETY: a new mapping where the kernel likes; nothing that exists is touched.
    checked(unsafe { call(libc::SYS_mmap, 0, bytes, protection, libc::MAP_SHARED as usize, fd as usize, 0) })
}

/// Gives pages of a mapping of a file what they need to be written to. Fails by the kernel's number instead of a SIGBUS later: EFAULT,
/// ENOSPC; EINVAL: it cannot (before Linux 5.14).
pub fn populate(address: usize, bytes: usize) -> Result<(), i32> {
    let whole = bytes.next_multiple_of(4096);
    checked(plain(libc::SYS_madvise, [address, whole, libc::MADV_POPULATE_WRITE as usize, 0])).map(|_| ())
}

/// A page of our own that the kernel clears in a fork child (Linux 4.14). `None`: it cannot.
pub fn map_wiped_in_child() -> Option<*mut u8> {
    let page = map(4096, 0)?;
    if advise(page as usize, 4096, libc::MADV_WIPEONFORK) == 0 {
        Some(page)
    } else {
        unmap(page as usize, 4096);
        None
    }
}

/// Maps fresh pages within reach of a jump's 32 bits from `address`, above or below it. `None`: everything there is taken.
pub fn map_near(address: usize, bytes: usize) -> Option<usize> {
    const STEP: usize = 1 << 20;
    const REACH: usize = 1 << 30;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE) as usize;
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let around =
        (1..REACH / STEP).flat_map(|step| [address.checked_sub(step * STEP), address.checked_add(step * STEP)]);
    around.flatten().map(|place| place / 4096 * 4096).filter(|place| *place >= 1 << 16).find(|place| {
        // SAFETY: a new mapping, which the kernel refuses where there is one (Linux 4.17; older kernels may map it elsewhere).
        let result = unsafe { call(libc::SYS_mmap, *place, bytes, protection, flags, usize::MAX, 0) };
        match checked(result) {
            Ok(mapped) if mapped == *place => true,
            Ok(mapped) => {
                unmap(mapped, bytes);
                false
            }
            Err(_) => false,
        }
    })
}
