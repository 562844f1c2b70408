//! The caller's memory, read and written by handlers where natively the kernel does it: a bad pointer is EFAULT then, and no crash.
//!
//! The kernel is asked first (`sys::can_read`, `sys::can_write`), but not about a variable of a caller's: that costs no call. Objects
//! that libc itself would touch (a mutex, an attribute object) are touched here without asking: a bad pointer crashes as natively.

use crate::hooks::answer::{errno, Answer};
use crate::{runtime, sys};
use libc::{sigset_t, EFAULT};

/// The kernel's sigset_t.
pub const MASK_BYTES: usize = 8;

/// Can the kernel read `bytes` at `address`? Looked at are the first and the last 8 bytes, so nothing in between may be unmapped.
pub fn can_read(address: usize, bytes: usize) -> bool {
    if bytes >= 8 {
        return sys::can_read(address, bytes);
    }
    // The kernel reads 8 bytes: those around, on the same page.
    let first = address & !7;
    address != 0 && sys::can_read(first, address.saturating_add(bytes).next_multiple_of(8) - first)
}

/// Can the kernel write `bytes` (8 or more) at `address`? What was in the first and the last 8 of them is gone then.
pub fn can_write(address: usize, bytes: usize) -> bool {
    sys::can_write(address, bytes)
}

/// Reads what the program points to, or EFAULT.
///
/// # Safety
/// The memory stays mapped meanwhile, and any bytes are a value of `T`.
#[inline]
pub unsafe fn read<T: Copy>(from: *const T) -> Answer<T> {
    if !is_callers(from) && !can_read(from as usize, size_of::<T>()) {
        return errno(EFAULT);
    }
    Ok(from.read_unaligned())
}

/// Writes where the program points to, or EFAULT. `T` has 8 bytes or more.
///
/// # Safety
/// The memory stays mapped meanwhile.
pub unsafe fn write<T>(to: *mut T, value: T) -> Answer<()> {
    debug_assert!(size_of::<T>() >= 8);
    if !is_callers(to) && !can_write(to as usize, size_of::<T>()) {
        return errno(EFAULT);
    }
    to.write_unaligned(value);
    Ok(())
}

/// Finds out whether the 8 bytes at `to` can be written: EFAULT if not. The kernel overwrites them for that, so a caller writes all
/// of them afterwards.
///
/// # Safety
/// As for `write`.
pub unsafe fn probe(to: *mut u64) -> Answer<()> {
    if is_callers(to) || can_write(to as usize, size_of::<u64>()) {
        return Ok(());
    }
    errno(EFAULT)
}

/// As `write`, but does nothing for a null pointer, by which a program says that it does not want the value.
///
/// # Safety
/// As for `write`.
pub unsafe fn write_if_wanted<T>(to: *mut T, value: T) -> Answer<()> {
    if to.is_null() {
        return Ok(());
    }
    write(to, value)
}

/// Reads a signal mask as the kernel has it: the first 8 bytes of a sigset_t.
///
/// # Safety
/// As for `read`.
#[inline]
pub unsafe fn read_mask(set: *const sigset_t) -> Answer<u64> {
    read(set as *const u64)
}

/// Writes a signal mask as the kernel does: the first 8 bytes of a sigset_t.
///
/// # Safety
/// As for `write`.
pub unsafe fn write_mask(set: *mut sigset_t, mask: u64) -> Answer<()> {
    write(set as *mut u64, mask)
}

/// Does the object lie on this stack, shortly above this function's frame? Then it is mapped: above every stack there is more, the thread's
/// descriptor or the environment.
#[inline]
fn is_callers<T>(object: *const T) -> bool {
    const SHORTLY: usize = 2048;
    let here = 0u8;
    (object as usize).wrapping_sub(&here as *const u8 as usize) < SHORTLY
}

/// Does the object lie anywhere on the running green thread's stack? Then it is mapped, and may be written.
pub fn is_on_stack<T>(object: *const T) -> bool {
    runtime::current().is_some_and(|me| {
        let stack = me.vessel.stack.get();
        (object as usize).wrapping_sub(stack.lowest) < stack.bytes.saturating_sub(size_of::<T>())
    })
}
