//! User and group ids: of the whole process.
//!
//! The kernel keeps ids for each kernel thread, and glibc's functions change them on every thread that has a kernel thread, by a
//! signal to each (nptl/nptl_setxid.c). glibc leaves its caller out, and would take a green caller for its vessel: so a thread that
//! is made for the purpose calls them (runtime/kernel/identity.rs). The system calls of these names are another matter: they change
//! one kernel thread (`task.rs`).

use crate::glibc;
use crate::hooks::answer::{errno, Answer, Miss};
use crate::hooks::real;
use crate::runtime::kernel::alone;
use crate::runtime::kernel::identity::by_another;
use crate::runtime::{self, current};
use libc::*;

/// Has another thread call libc by `call`, and returns libc's answer, with that thread's errno: EINVAL, EPERM, EAGAIN by libc. EAGAIN
/// as well where no kernel thread was to be had, and nothing was called. Before the start libc is called as usual. Called by any
/// thread, with no lock held; waits in the kernel.
///
/// PR_SET_KEEPCAPS is kept for the caller alone. A caller that has set it is alone with its kernel thread first, so that this one
/// keeps the capabilities that the others lose.
fn whole(mut call: impl FnMut() -> c_int) -> Answer<c_int> {
    if !runtime::started() {
        return Err(Miss::Libc);
    }
    if current().is_some_and(|me| me.thread.settings.own_keeps_capabilities() == Some(true)) {
        // Its kernel thread gets the setting by this.
        alone::stay();
    }
    let (mut result, mut number) = (0, 0);
    let done = by_another(&mut || {
        result = call();
        number = glibc::errno();
    });
    if !done {
        return errno(EAGAIN);
    }
    if result == -1 {
        return Err(Miss::Errno(number));
    }
    Ok(result)
}

macro_rules! whole {
    ($($name:ident($($argument:ident: $t:ty),*);)*) => {$(
        /// libc's function of this name, made for the whole process (`whole`). EINVAL, EPERM and EAGAIN are libc's.
        ///
        /// # Safety
        /// That of libc's function.
        pub unsafe fn $name($($argument: $t),*) -> Answer<c_int> {
            whole(|| real::$name($($argument),*))
        }
    )*};
}

whole! {
    setuid(user: uid_t);
    setgid(group: gid_t);
    seteuid(user: uid_t);
    setegid(group: gid_t);
    setreuid(user: uid_t, effective: uid_t);
    setregid(group: gid_t, effective: gid_t);
    setresuid(user: uid_t, effective: uid_t, saved: uid_t);
    setresgid(group: gid_t, effective: gid_t, saved: gid_t);
    setgroups(count: size_t, groups: *const gid_t);
    initgroups(user: *const c_char, group: gid_t);
}
