//! Threads as glibc makes, ends and joins them.

use crate::arch;
use crate::glibc::cancel::uncancelled;
use crate::glibc::functions::{real, REAL};
use crate::glibc::rseq::{register_rseq, unregister_rseq};
use crate::glibc::{symbols, version};
use crate::sys::futex;
use libc::{c_int, c_void, pthread_attr_t, pthread_t};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::*;

/// The kernel's tid as glibc believes it for the thread at `tcb`.
pub fn tid_field(tcb: usize) -> *mut i32 {
    (tcb + REAL.tid_offset.load(Relaxed)) as *mut i32
}

/// Sets the running thread's errno: a green thread's own, for it lies in the vessel's TLS.
pub fn set_errno(number: c_int) {
    // SAFETY: errno's own address of this thread.
    unsafe { *libc::__errno_location() = number };
}

/// The running thread's errno.
pub fn errno() -> c_int {
    // SAFETY: errno's own address of this thread.
    unsafe { *libc::__errno_location() }
}

/// The real swapcontext's address.
pub fn swapcontext() -> usize {
    match REAL.swapcontext.load(Relaxed) {
        0 => symbols::own(c"swapcontext").unwrap_or(0), // before the front door
        address => address,
    }
}

/// A function that a thread starts with.
pub type Start = extern "C" fn(*mut c_void) -> *mut c_void;

/// Makes a real thread, by glibc's own pthread_create. `stack`: (lowest address, bytes) to use, or glibc's own of its default size.
pub fn create_thread(start: Start, argument: *mut c_void, stack: Option<(usize, usize)>) -> Result<pthread_t, c_int> {
    let create = real!(
        pthread_create as unsafe extern "C" fn(*mut pthread_t, *const pthread_attr_t, Start, *mut c_void) -> c_int
    );
    // SAFETY: the attribute is initialised here and destroyed after its use; the stack is the caller's to give.
    unsafe {
        let mut attr: pthread_attr_t = std::mem::zeroed();
        libc::pthread_attr_init(&mut attr);
        if let Some((lowest, bytes)) = stack {
            libc::pthread_attr_setstack(&mut attr, lowest as *mut c_void, bytes);
        }
        let mut thread: pthread_t = 0;
        // The creator may be a thread of libc's or of a library's that is older than the start.
        let registered = unregister_rseq();
        let failed = create(&mut thread, &attr, start, argument);
        if registered {
            register_rseq();
        }
        libc::pthread_attr_destroy(&mut attr);
        if failed == 0 {
            Ok(thread)
        } else {
            Err(failed)
        }
    }
}

/// The end word of a real thread that the caller owns and has not joined: 0 when it is gone.
pub fn end_of(thread: pthread_t) -> &'static AtomicU32 {
    // SAFETY: the descriptor lives until it is joined, for as long as the caller looks; the kernel writes the field.
    unsafe { AtomicU32::from_ptr(version::end_word(thread as usize) as *mut u32) }
}

/// Waits for a real thread's end and lets glibc free what it kept of it. glibc's own wait, and since 2.43 its join, would be a point
/// where a cancellation of the running thread acts.
pub fn join_thread(thread: pthread_t) {
    join_thread_by(thread, |_, wait| wait());
}

/// Joins as `join_thread` does; `wait` gets the kernel thread's tid and a function that waits once for its end, which it calls or leaves to
/// the next round. The caller owns the thread.
pub fn join_thread_by(thread: pthread_t, wait: impl Fn(i32, &dyn Fn())) {
    let end = end_of(thread);
    while let alive @ 1.. = end.load(Acquire) {
        wait(alive as i32, &|| futex::futex_wait_shared(end, alive));
    }
    let join = real!(pthread_join as unsafe extern "C" fn(pthread_t, *mut *mut c_void) -> c_int);
    // SAFETY: the caller owns the thread and joins it once.
    uncancelled(|| unsafe { join(thread, std::ptr::null_mut()) });
}

/// Unwinds this stack to its guard and ends the thread there.
///
/// # Safety
/// Nothing with a destructor of ours may be alive on this stack.
pub unsafe fn exit_thread() -> ! {
    let exit = real!(pthread_exit as unsafe extern "C" fn(*mut c_void) -> !);
    // SAFETY: the unwinding ends at `guarded`'s frame, or at glibc's own below it; no destructor of ours stands on the stack above that.
    unsafe { exit(std::ptr::null_mut()) }
}

/// Ends the process as `exit` does: handlers run, streams are flushed.
pub fn exit_process(status: c_int) -> ! {
    let exit = real!(exit as unsafe extern "C" fn(c_int) -> !);
    // SAFETY: any thread may call exit.
    unsafe { exit(status) }
}

/// Calls `function(argument)` so that glibc's thread exit unwinds to here at the farthest.
pub fn guarded(function: extern "C" fn(usize), argument: usize) {
    let mut buffer = arch::UnwindBuffer::new();
    let functions = [REAL.guard[0].load(Relaxed), REAL.guard[1].load(Relaxed), REAL.guard[2].load(Relaxed)];
    // SAFETY: the three functions are glibc's; the buffer outlives the call.
    unsafe { arch::guarded(function, argument, &mut buffer, &functions) };
}
