//! System calls: the instruction, its results, and the clock.

use crate::arch;
use crate::base::kept::Kept;
use std::sync::atomic::{AtomicUsize, Ordering};

/// libc's real `clock_gettime`, 0 until the front door has found it.
pub static CLOCK: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));

/// A raw system call: the kernel's answer, negative for an error. No errno, no cancellation.
///
/// # Safety
/// That of the system call: the kernel checks pointers, but it writes where they point.
#[inline(always)]
pub unsafe fn call(number: libc::c_long, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
    // SAFETY: the instruction asks for nothing by itself. What the kernel writes goes where the caller's arguments point: into memory of
    // the caller's own in `sys`, or where the program wants it in the hooks, whose arguments are passed on.
    unsafe { arch::system_call(number, a, b, c, d, e, f) }
}

/// Makes a call that hands over no memory for the kernel to write: descriptors, sizes, flags, addresses that it reads or maps. Returns the
/// kernel's answer, negative for an error. Takes no lock and allocates nothing, so it may be called in a signal handler.
pub fn plain(number: libc::c_long, arguments: [usize; 4]) -> isize {
    // SAFETY: the callers below pass descriptors, sizes and flags, never an address that the kernel writes to.
    unsafe { call(number, arguments[0], arguments[1], arguments[2], arguments[3], 0, 0) }
}

/// Splits the kernel's answer: the result, or the error number (positive, errno.h) where it was negative. For calls whose results are
/// never negative themselves; an address (`mmap`) lies in the lower half, so it counts as a result.
pub fn checked(result: isize) -> Result<usize, i32> {
    if result < 0 {
        Err(-result as i32)
    } else {
        Ok(result as usize)
    }
}

/// Returns CLOCK_MONOTONIC in nanoseconds; 0 if the kernel refuses, which it does not. Any thread, signal handlers too.
#[inline]
pub fn now_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC).unwrap_or(0)
}

/// Returns any clock's time in nanoseconds, or the error number (EINVAL: no such clock). A clock of the first twelve is read by libc's real
/// function (the vDSO, no system call) once `CLOCK` is set; CPU clocks of other threads have negative numbers, and go to the kernel.
#[inline]
pub fn clock_ns(clock: libc::clockid_t) -> Result<u64, i32> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let real = CLOCK.load(Ordering::Relaxed);
    if real != 0 && (0..=11).contains(&clock) {
        // SAFETY: `CLOCK` holds the address of libc's clock_gettime, and `time` is ours.
        let failed = unsafe {
            let real: unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> i32 = std::mem::transmute(real);
            real(clock, &mut time)
        };
        if failed == 0 {
            return Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64);
        }
    }
    // SAFETY: `time` is ours to be written.
    let result = unsafe { call(libc::SYS_clock_gettime, clock as usize, &mut time as *mut _ as usize, 0, 0, 0, 0) };
    checked(result)?;
    Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Splits nanoseconds into the kernel's pair of seconds and nanoseconds.
pub fn timespec(ns: u64) -> libc::timespec {
    libc::timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 }
}

/// Writes all of `bytes` to `fd`, and again after an interruption. False: an error or a full descriptor (EAGAIN) has ended it early; how
/// much was written is not told.
pub fn write_all(fd: i32, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        // SAFETY: the kernel reads `bytes`.
        let result = unsafe { call(libc::SYS_write, fd as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0) };
        if result == -libc::EINTR as isize {
            continue;
        }
        if result <= 0 {
            return false;
        }
        bytes = &bytes[result as usize..];
    }
    true
}
