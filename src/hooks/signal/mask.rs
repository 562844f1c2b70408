//! A thread's own of signals: its mask, what waits for it, its alternate stack.

use crate::arch;
use crate::hooks::answer::{errno, Answer, Miss};
use crate::hooks::memory::{self, write_mask};
use crate::hooks::named::me;
use crate::hooks::real;
use crate::runtime::machine::alternate::Alternate;
use crate::runtime::machine::disposition::bit;
use crate::runtime::signal::{delivery, sweep};
use libc::*;

/// glibc reads the new mask itself, the kernel writes the old one.
pub unsafe fn sigprocmask(how: c_int, set: *const sigset_t, old: *mut sigset_t) -> Answer<c_int> {
    let me = me()?;
    let before = me.mask.get();
    if !set.is_null() {
        let set = (set as *const u64).read_unaligned();
        delivery::set_mask(
            me,
            match how {
                SIG_BLOCK => before | set,
                SIG_UNBLOCK => before & !set,
                SIG_SETMASK => set,
                _ => return errno(EINVAL),
            },
        );
    }
    memory::write_if_wanted(old as *mut u64, before).map(|()| 0)
}

/// `sigpending`: what waits in the thread's own queue, and for the process. EFAULT for a bad pointer.
pub unsafe fn sigpending(set: *mut sigset_t) -> Answer<c_int> {
    let pending = delivery::waiting(me()?);
    write_mask(set, pending).map(|()| 0)
}

/// The program reads signals from a descriptor.
pub unsafe fn signalfd(fd: c_int, set: *const sigset_t, flags: c_int) -> Answer<c_int> {
    let made = real::signalfd(fd, set, flags);
    if made >= 0 {
        sweep::leave_to_descriptor(*(set as *const u64) & delivery::CLOSED);
    }
    Ok(made)
}

/// System V's: one signal more in the mask, or one less.
pub unsafe fn sighold(number: c_int) -> Answer<c_int> {
    change_mask(number, |mask| mask | bit(number))
}

/// System V's `sigrelse`: one signal less in the mask; what waits for that runs its handler before this returns.
pub unsafe fn sigrelse(number: c_int) -> Answer<c_int> {
    change_mask(number, |mask| mask & !bit(number))
}

/// Changes the caller's mask; EINVAL for a number that is no signal's, or glibc's own. A signal that this opens runs its handler at once.
fn change_mask(number: c_int, change: impl FnOnce(u64) -> u64) -> Answer<c_int> {
    let me = me()?;
    if !(1..=64).contains(&number) || number == 32 || number == 33 {
        return errno(EINVAL);
    }
    delivery::set_mask(me, change(me.mask.get()));
    Ok(0)
}

/// BSD's: the first word of the mask, and what it was.
pub unsafe fn sigblock(mask: c_int) -> Answer<c_int> {
    sigsetmask(me()?.mask.get() as c_int | mask)
}

/// BSD's `sigsetmask`: the mask's first 32 signals are set, all others opened; returns the first 32 as they were.
pub unsafe fn sigsetmask(mask: c_int) -> Answer<c_int> {
    let me = me()?;
    let before = me.mask.get();
    delivery::set_mask(me, mask as u32 as u64);
    Ok(before as c_int)
}

/// A thread's alternate stack is noted; the kernel thread keeps the worker's, from which a handler goes on to the thread's own.
pub unsafe fn sigaltstack(new: *const stack_t, old: *mut stack_t) -> Answer<c_int> {
    let me = me()?;
    let now = me.alternate.get();
    let on_it = now.is_in_use(arch::stack_pointer());
    if !new.is_null() {
        let new = memory::read(new)?;
        if on_it {
            return errno(EPERM);
        }
        me.alternate.set(Alternate::wanted(&new).map_err(Miss::Errno)?);
    }
    memory::write_if_wanted(old, now.told(on_it)).map(|()| 0)
}
