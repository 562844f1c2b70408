//! A thread's name: kept for each green thread; main's is kept in the kernel, for ps and /proc show the process by it.

use crate::hooks::answer::{answer, errno, Answer};
use crate::hooks::memory;
use crate::hooks::named::{by_pthread, is_me, me};
use crate::hooks::thread::written_names;
use crate::runtime::machine::parts::Green;
use crate::sys;
use libc::*;

/// A thread's name, with its end.
const NAME_BYTES: usize = 16;

/// A thread's name as the kernel keeps it: at most 15 bytes (TASK_COMM_LEN), and a NUL at the end.
pub type Name = [u8; NAME_BYTES];

/// The file of the first kernel thread's name, by which ps and /proc show the process.
const NAME_OF_PROCESS: &std::ffi::CStr = c"/proc/self/comm";

/// Opens the process's `comm` for reading and writing. Returns a descriptor of the program's range, which the caller closes at once.
/// Fails with the kernel's error where /proc is not mounted (ENOENT), and with EMFILE.
fn open_name_of_process() -> Answer<usize> {
    let flags = (O_RDWR | O_CLOEXEC) as usize;
    // SAFETY: the kernel reads the string.
    let fd = unsafe { sys::call(SYS_openat, AT_FDCWD as usize, NAME_OF_PROCESS.as_ptr() as usize, flags, 0, 0, 0) };
    answer(fd)
}

/// Sets the thread's name. Main's goes to the kernel as well, which shows it as the process's. ENOENT when the thread has ended;
/// another thread's name needs /proc, as natively (nptl/pthread_setname.c opens its `comm`): without it the error of opening.
///
/// The name is a plain array: `name_of` on another thread may copy a mixture of the old and the new one, of which each ends with a
/// NUL.
unsafe fn set_name(green: &Green, name: Name) -> Answer<c_int> {
    if green.has_ended() {
        return errno(ENOENT);
    }
    if green.is_main {
        match open_name_of_process() {
            Ok(fd) => {
                let length = name.iter().position(|&byte| byte == 0).unwrap_or(NAME_BYTES - 1);
                let written = sys::call(SYS_write, fd, name.as_ptr() as usize, length, 0, 0, 0);
                sys::close(fd as c_int);
                answer::<ssize_t>(written)?;
            }
            // A thread names itself without /proc, by prctl. Only the leader's name shows from outside: it is set if main runs there.
            Err(_) if is_me(green) => {
                if green.worker().is_leader {
                    sys::set_thread_name(&name);
                }
            }
            Err(miss) => return Err(miss),
        }
    } else if !is_me(green) {
        has_files_of_threads()?;
    }
    *green.thread.name.get() = name;
    Ok(0)
}

/// Fails with the error of opening a thread's file in /proc, where there are none: natively another thread's name is reached by its
/// file. Makes one access of the process's `comm`, which is there if /proc is.
fn has_files_of_threads() -> Answer<()> {
    // SAFETY: the kernel reads the string.
    answer::<c_int>(unsafe { sys::call(SYS_access, NAME_OF_PROCESS.as_ptr() as usize, F_OK as usize, 0, 0, 0, 0) })?;
    Ok(())
}

/// Returns a thread's name. Main's is read from the kernel, for it may be changed from outside; another's is kept here, and takes what was
/// written into its `comm` since. ENOENT when the thread has ended, or where there is no /proc to ask natively.
///
/// # Safety
/// The name is copied while its thread may write it: the copy may be of either side of that.
pub unsafe fn name_of(green: &Green) -> Answer<Name> {
    written_names::take();
    if green.has_ended() {
        return errno(ENOENT);
    }
    if !green.is_main {
        if !is_me(green) {
            has_files_of_threads()?;
        }
        return Ok(*green.thread.name.get());
    }
    let (mut name, fd) = (
        [0; NAME_BYTES],
        match open_name_of_process() {
            Ok(fd) => fd,
            Err(_) if is_me(green) => return Ok(*green.thread.name.get()),
            Err(miss) => return Err(miss),
        },
    );
    let read = sys::call(SYS_read, fd, name.as_mut_ptr() as usize, NAME_BYTES, 0, 0, 0);
    sys::close(fd as c_int);
    // The file has a line: its end becomes the name's NUL.
    name[answer::<usize>(read)?.clamp(1, NAME_BYTES) - 1] = 0;
    Ok(name)
}

/// `pthread_setname_np`: ERANGE for 16 bytes and more comes first, as in glibc (nptl/pthread_setname.c). Then as `set_name`. A bad
/// `name` crashes, as natively. Returns the error number.
pub unsafe fn pthread_setname_np(thread: pthread_t, name: *const c_char) -> Answer<c_int> {
    let green = by_pthread(thread)?;
    let length = strnlen(name, NAME_BYTES);
    if length == NAME_BYTES {
        return errno(ERANGE);
    }
    let mut bytes = [0; NAME_BYTES];
    std::ptr::copy_nonoverlapping(name as *const u8, bytes.as_mut_ptr(), length);
    set_name(green, bytes)
}

/// `pthread_getname_np`: ERANGE for less than 16 bytes of room comes first, as in glibc (nptl/pthread_getname.c), then EFAULT for a
/// bad pointer, then as `name_of`. Returns the error number.
pub unsafe fn pthread_getname_np(thread: pthread_t, name: *mut c_char, room: size_t) -> Answer<c_int> {
    let green = by_pthread(thread)?;
    if room < NAME_BYTES {
        return errno(ERANGE);
    }
    // Natively the kernel writes the name: the caller's own by prctl, another's by read.
    if !memory::can_write(name as usize, NAME_BYTES) {
        return errno(EFAULT);
    }
    *(name as *mut Name) = name_of(green)?;
    Ok(0)
}

/// prctl(PR_SET_NAME), on a green thread: the kernel takes the name down and cuts it to 15 bytes, with EFAULT for a bad pointer. Then
/// the kernel thread gets its own name back, and `set_name` keeps the green thread's. Called by the hook of prctl.
pub unsafe fn set_own_name(name: usize) -> Answer<c_int> {
    let before = sys::thread_name();
    answer::<c_int>(sys::call(SYS_prctl, PR_SET_NAME as usize, name, 0, 0, 0, 0))?;
    let given = sys::thread_name();
    sys::call(SYS_prctl, PR_SET_NAME as usize, before.as_ptr() as usize, 0, 0, 0, 0);
    set_name(me()?, given)
}

/// prctl(PR_GET_NAME), on a green thread: the kernel writes first, so that a bad pointer is EFAULT. Then the caller's name goes over
/// what it wrote. Called by the hook of prctl.
pub unsafe fn own_name(name: usize) -> Answer<c_int> {
    answer::<c_int>(sys::call(SYS_prctl, PR_GET_NAME as usize, name, 0, 0, 0, 0))?;
    *(name as *mut Name) = name_of(me()?)?;
    Ok(0)
}
