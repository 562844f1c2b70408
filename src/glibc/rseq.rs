//! Restartable sequences, which glibc registers for each thread and the runtime takes back.

use crate::arch;
use crate::base::kept::Kept;
use crate::glibc::symbols;
use crate::sys::process;
use std::sync::atomic::Ordering::*;
use std::sync::atomic::{AtomicI32, AtomicIsize, AtomicUsize};

/// Where glibc puts a thread's rseq area: the distance from the TCB, and its bytes, 0 where there is none.
pub static RSEQ_AT: Kept<AtomicIsize> = Kept::new(AtomicIsize::new(0));
/// That area's bytes; 0 where glibc registers none.
pub static RSEQ_BYTES: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));

/// Reads glibc's public constants (source: sys/rseq.h).
pub fn find_rseq() {
    const LEAST: u32 = 32;
    let (Some(offset), Some(size)) = (symbols::own(c"__rseq_offset"), symbols::own(c"__rseq_size")) else { return };
    // SAFETY: the types that the header declares.
    let (offset, size) = unsafe { (*(offset as *const isize), *(size as *const u32)) };
    RSEQ_AT.store(offset, Relaxed);
    RSEQ_BYTES.store(if size == 0 { 0 } else { size.max(LEAST) as usize }, Relaxed);
}

/// This thread's rseq area and its bytes.
pub fn rseq_area() -> Option<(usize, usize)> {
    let bytes = RSEQ_BYTES.load(Relaxed);
    (bytes != 0).then(|| (arch::tcb().wrapping_add_signed(RSEQ_AT.load(Relaxed)), bytes))
}

/// The area's word that says on which processor the thread runs; negative: it is not registered.
///
/// # Safety
/// `area` is this thread's.
pub unsafe fn rseq_processor<'a>(area: usize) -> &'a AtomicI32 {
    const PROCESSOR: usize = 4;
    // SAFETY: the second word of the area (linux/rseq.h), aligned to 32 bytes in this thread's TCB, which outlives its use here; the kernel
    // alone writes there meanwhile.
    unsafe { AtomicI32::from_ptr((area + PROCESSOR) as *mut i32) }
}

/// Returns the number of the processor on which the thread runs, as the kernel wrote it last; 0: the thread has no registered area.
#[inline(always)]
pub fn processor() -> u32 {
    // SAFETY: the running thread's own area.
    let number = rseq_area().map(|(area, _)| unsafe { rseq_processor(area).load(Relaxed) });
    number.map_or(0, |number| u32::try_from(number).unwrap_or(0))
}

/// Unregisters this thread's rseq area, if it is registered. A thread made after that does not register its own: glibc asks its creator's.
/// An area that is registered follows the kernel thread, and a green thread's would then be written by a worker for ever.
pub fn unregister_rseq() -> bool {
    const REGISTRATION_FAILED: i32 = -2;
    let Some((area, bytes)) = rseq_area() else { return false };
    // SAFETY: the running thread's own area, which no kernel writes once it is unregistered.
    unsafe {
        let registered = rseq_processor(area).load(Relaxed) >= 0 && process::rseq(area, bytes, false);
        if registered {
            rseq_processor(area).store(REGISTRATION_FAILED, Relaxed);
        }
        registered
    }
}

/// Registers this thread's rseq area again, after `unregister_rseq` has answered that it was.
pub fn register_rseq() {
    if let Some((area, bytes)) = rseq_area() {
        process::rseq(area, bytes, true);
    }
}
