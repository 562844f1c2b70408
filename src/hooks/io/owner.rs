//! The owners of descriptors' signals: fcntl's commands and ioctl's requests where a green thread is named (runtime/signal/owner.rs). A
//! thread's tid where a process is meant stands for its process, as natively.
//!
//! What becomes of the owner that the program sets:
//!
//! | the program's | the kernel's | who gets the signal |
//! |---|---|---|
//! | F_OWNER_TID, a green thread's tid | F_OWNER_PID, this process | that thread, by the runtime |
//! | F_OWNER_TID, another tid | the same | the kernel decides |
//! | F_OWNER_PID or F_SETOWN, a green thread's tid | its process | the kernel, then whichever thread takes it |
//! | F_OWNER_PGRP, a group, another process | the same | the kernel decides |

use crate::hooks::answer::{answer, errno, Answer, Miss};
use crate::hooks::memory;
use crate::hooks::named::process_of;
use crate::runtime::machine::roll;
use crate::runtime::signal::{owner, sweep};
use crate::{runtime, sys};
use libc::*;

// bits/fcntl-linux.h.
const F_SETSIG: c_int = 10;
const F_GETSIG: c_int = 11;
const F_SETOWN_EX: c_int = 15;
const F_GETOWN_EX: c_int = 16;
const F_OWNER_TID: c_int = 0;
const F_OWNER_PID: c_int = 1;

// asm-generic/sockios.h: a socket's owner, set and told.
const FIOSETOWN: u32 = 0x8901;
const SIOCSPGRP: u32 = 0x8902;
const FIOGETOWN: u32 = 0x8903;
const SIOCGPGRP: u32 = 0x8904;

/// struct f_owner_ex: a kind (F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP), and the number that it names.
type Owner = [c_int; 2];

/// Makes an fcntl in the kernel, for the program or for the library. Errors are the kernel's. No cancellation point, and it never
/// waits.
fn plainly(fd: c_int, command: c_int, argument: usize) -> Answer<c_int> {
    // SAFETY: the program's own call, or one that reads the library's structure.
    answer(unsafe { sys::call(SYS_fcntl, fd as usize, command as usize, argument, 0, 0, 0) })
}

/// Answers fcntl's commands of this family; all others are libc's, and so is each of them before the start. Called by any thread.
/// F_SETOWN_EX with a green thread's tid has the kernel signal the process, and the runtime passes the signals on. F_GETOWN_EX,
/// F_GETOWN and F_GETSIG tell what the program has set. Errors are the kernel's (EBADF, EINVAL, ESRCH), EFAULT for a bad f_owner_ex,
/// and ENOMEM where no room is left to note the thread. Never waits.
#[cold]
pub unsafe fn fcntl(fd: c_int, command: c_int, argument: usize) -> Answer<c_int> {
    if !runtime::started() {
        return Err(Miss::Libc);
    }
    match command {
        F_SETOWN => {
            let named = argument as pid_t;
            // `owner_of` drops a closed file's entry: the new owner would make it look true.
            owner_of(fd);
            let done = plainly(fd, F_SETOWN, if named > 0 { process_of(named) } else { named } as usize)?;
            give_up(fd);
            Ok(done)
        }
        F_SETOWN_EX if memory::can_read(argument, size_of::<Owner>()) => {
            set_owner(fd, (argument as *const Owner).read_unaligned())
        }
        F_GETOWN_EX => {
            let tid = owner_of(fd).ok_or(Miss::Libc)?;
            let owner: Owner = [F_OWNER_TID, roll::find(tid).map_or(0, |green| green.tid())];
            memory::write(argument as *mut Owner, owner).map(|()| 0)
        }
        F_GETOWN => owner_of(fd).ok_or(Miss::Libc),
        F_SETSIG if owner_of(fd).is_some() => {
            let is_plain = argument == 0;
            let done = plainly(fd, F_SETSIG, if is_plain { SIGIO as usize } else { argument })?;
            owner::set_plain(fd, is_plain);
            Ok(done)
        }
        F_GETSIG if owner_of(fd).is_some() && owner::is_plain(fd) => Ok(0),
        _ => Err(Miss::Libc),
    }
}

/// Answers ioctl's requests of this family: FIOSETOWN and SIOCSPGRP as F_SETOWN, FIOGETOWN and SIOCGPGRP as F_GETOWN. All others are
/// libc's, and cost one comparison.
#[inline]
pub unsafe fn ioctl(fd: c_int, request: u32, argument: usize) -> Answer<c_int> {
    if !(FIOSETOWN..=SIOCGPGRP).contains(&request) {
        return Err(Miss::Libc);
    }
    by_ioctl(fd, request, argument)
}

/// As `fcntl`'s F_SETOWN and F_GETOWN, with the number in memory: EFAULT is the kernel's to say.
#[cold]
unsafe fn by_ioctl(fd: c_int, request: u32, argument: usize) -> Answer<c_int> {
    let call = |argument: usize| answer(sys::call(SYS_ioctl, fd as usize, request as usize, argument, 0, 0, 0));
    match request {
        _ if !runtime::started() => Err(Miss::Libc),
        FIOSETOWN | SIOCSPGRP if memory::can_read(argument, size_of::<pid_t>()) => {
            let process = process_of((argument as *const pid_t).read_unaligned());
            // Drops a closed file's entry, as for F_SETOWN.
            owner_of(fd);
            let done = call(&process as *const pid_t as usize)?;
            give_up(fd);
            Ok(done)
        }
        FIOGETOWN | SIOCGPGRP => {
            let told = call(argument)?;
            if let Some(tid) = owner_of(fd) {
                (argument as *mut pid_t).write_unaligned(tid);
            }
            Ok(told)
        }
        _ => Err(Miss::Libc),
    }
}

/// Returns the tid of the thread that owns the descriptor. Drops an entry where the kernel says that the file is not the process's:
/// the entry was made for an earlier file of that number.
fn owner_of(fd: c_int) -> Option<pid_t> {
    let tid = owner::of(fd)?;
    if plainly(fd, F_GETOWN, 0) == Ok(sys::process_id()) {
        return Some(tid);
    }
    owner::forget(fd);
    None
}

/// Forgets that a green thread owns the descriptor: from now on the kernel addresses its signals. Called after the kernel has taken
/// the new owner. Signals that were sent before go to their thread first (`sweep`). A signal of 0, for which SIGIO stood, is set
/// again; a failure of that is not told.
fn give_up(fd: c_int) {
    if owner::of(fd).is_none() {
        return;
    }
    sweep::sweep();
    if owner::forget(fd) {
        plainly(fd, F_SETSIG, 0).ok();
    }
}

/// Makes F_SETOWN_EX. A green thread's signals go to the process, and the runtime passes them on; a green thread's tid where a
/// process is meant becomes its process's. The steps for a green thread:
///
/// 1. The kernel gets the process as owner. It may refuse that (EBADF): nothing has changed then.
/// 2. SIGIO is set where the program has set no signal: only with a signal set the kernel tells which descriptor it is for (F_SETSIG
///    in fcntl(2)). `is_plain` remembers that, for F_GETSIG must answer 0.
/// 3. The thread is noted. ENOMEM where no room is left: the process owns the descriptor then.
fn set_owner(fd: c_int, [kind, named]: Owner) -> Answer<c_int> {
    let directed = kind == F_OWNER_TID && roll::find(named).is_some();
    let told: Owner = match kind {
        F_OWNER_TID if directed => [F_OWNER_PID, sys::process_id()],
        F_OWNER_PID => [kind, process_of(named)],
        _ => [kind, named],
    };
    let was_plain = owner_of(fd).is_some() && owner::is_plain(fd);
    let done = plainly(fd, F_SETOWN_EX, told.as_ptr() as usize)?;
    if !directed {
        give_up(fd);
        return Ok(done);
    }
    let is_plain = was_plain || plainly(fd, F_GETSIG, 0)? == 0;
    if is_plain {
        plainly(fd, F_SETSIG, SIGIO as usize)?;
    }
    if !owner::direct(fd, named, is_plain) {
        return errno(ENOMEM);
    }
    Ok(done)
}
