//! Births without a kernel thread: glibc's pthread_create runs as ever, but the clone at its end is caught, and the thread
//! that it would have begun is kept as a context.
//!
//! Syscall User Dispatch (Linux 5.11) turns every system call of this kernel thread that is not made from this library's own text
//! into a SIGSYS. It is on only while pthread_create runs. The handler does for each call what is to be done:
//!
//! ```text
//!   clone3, clone       nothing is cloned: the registers are laid down on the new stack as a suspended context, glibc gets a tid
//!   rt_sigprocmask      nothing is masked (SIGSYS must come through); the "old mask" is all signals, which is what the
//!                       new thread will set when it begins, on a worker: no handler runs there before it is ready
//!   futex, wakes        also wakes parked threads: the allocator may be the program's, and its lock by instructions (`inline`)
//!   all others          made as they are
//! ```
//!
//! The first resume of such a vessel enters glibc's `start_thread` on a worker. What that registers with the kernel for the thread (its
//! robust list, its mask) is then the worker's; `vessel_main` puts both right. A birth costs some microseconds instead of a kernel thread's
//! life, and waits for no other thread. Where the kernel has no dispatch, births take the long way (`vessel::birth`).

use crate::arch::{self, registers};
use crate::base::kept::Kept;
use crate::base::signal_set;
use crate::runtime::machine::disposition;
use crate::runtime::signal::entry;
use crate::runtime::trap::inline;
use crate::{glibc, sys};
use libc::{c_int, c_void, siginfo_t};
use once_cell::race::OnceBox;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::*};

/// The words that the handler of SIGSYS finds and leaves. The address of this is in the creator's TLS while a birth goes on.
struct Capture {
    /// The tid that glibc is told.
    tid: i32,
    /// The context laid down, null until the clone came.
    sp: *mut u8,
    fs: usize,
    control: arch::ControlWords,
}

/// A vessel that has never run.
pub struct Unborn {
    pub sp: *mut u8,
    pub fs: usize,
}

static POSSIBLE: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));
/// This library's instructions, whose calls are not dispatched: start and bytes. A fork child need not look again.
static TEXT: Kept<OnceBox<(usize, usize)>> = Kept::new(OnceBox::new());
/// The kernel's selector: every call from elsewhere is dispatched.
static BLOCK: Kept<AtomicU8> = Kept::new(AtomicU8::new(1));

/// Are births caught? Then SIGSYS's handler is the library's.
pub fn possible() -> bool {
    POSSIBLE.load(Relaxed)
}

/// SIGSYS's action as it was, in the kernel's form; `None`: it was not taken.
pub type Before = Option<[usize; 4]>;

/// Gives SIGSYS the action back that it had: the start has failed.
pub fn give_up(before: Before) {
    if let Some(action) = before {
        // SAFETY: the program's own action, restorer and all.
        unsafe { sys::signal_action(libc::SIGSYS, &action, std::ptr::null_mut()) };
        POSSIBLE.store(false, Relaxed);
    }
}

/// Finds out whether births can be caught here, and takes SIGSYS if so. Returns what its action was before. Called by the start.
pub fn prepare() -> Before {
    if TEXT.get().is_none() {
        TEXT.set(Box::new(glibc::own_text()?)).ok();
    }
    if !dispatch() {
        return None;
    }
    sys::dispatch_off();
    let flags = libc::SA_SIGINFO as usize | libc::SA_ONSTACK as usize | disposition::RESTORER;
    let handler = dispatched as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize;
    let action = [handler, flags, arch::signal_return(), usize::MAX];
    let mut before = [0; 4];
    // SAFETY: the handler passes on what is not ours; the restorer is the kernel's own protocol, from this library's text.
    let taken = unsafe { sys::signal_action(libc::SIGSYS, &action, &mut before) } == 0;
    if taken && before[0] != handler {
        let [handler, flags, _, mask] = before;
        disposition::set(
            libc::SIGSYS,
            disposition::Action { handler, flags: flags & !disposition::RESTORER, mask: mask as u64 },
        );
    }
    POSSIBLE.store(taken, Relaxed);
    taken.then_some(before)
}

/// Turns the dispatch on for this kernel thread.
fn dispatch() -> bool {
    TEXT.get().is_some_and(|&(start, bytes)| sys::dispatch_calls(sys::Dispatch::NotFrom, start, bytes, &BLOCK))
}

/// Has glibc make a thread (`create`) that never begins, and returns its context, or glibc's error.
pub fn birth(tid: i32, create: impl FnOnce() -> Result<libc::pthread_t, c_int>) -> Result<Unborn, c_int> {
    let mut capture = Capture { tid, sp: std::ptr::null_mut(), fs: 0, control: arch::control_words() };
    let old_mask = sys::set_signal_mask(signal_set::CLOSED & !signal_set::bit(libc::SIGSYS));
    arch::set_capture_word(&mut capture as *mut Capture as usize);
    dispatch();
    let created = create();
    sys::dispatch_off();
    inline::arm();
    arch::set_capture_word(0);
    sys::set_signal_mask(old_mask);
    created?;
    // SAFETY: the handler wrote it, on this kernel thread.
    let capture = unsafe { std::ptr::read_volatile(&capture) };
    if capture.sp.is_null() {
        sys::abort("glibc made a thread without a clone");
    }
    Ok(Unborn { sp: capture.sp, fs: capture.fs })
}

/// Handles SIGSYS.
extern "C" fn dispatched(number: c_int, info: *mut siginfo_t, context: *mut c_void) {
    const SYS_USER_DISPATCH: c_int = 2;
    let capture = arch::capture_word() as *mut Capture;
    // SAFETY: the kernel passes both; the capture is the creator's, whose kernel thread this is.
    unsafe {
        let registers = arch::registers::Registers::of(context);
        let dispatched = (*info).si_code == SYS_USER_DISPATCH;
        if dispatched && !capture.is_null() {
            let result = answer(&mut *capture, &registers);
            registers.set_result(result);
        } else if dispatched && inline::is_on() {
            inline::answer(info, &registers);
        } else {
            entry::pass_on(number, info, context);
        }
    }
}

/// Does what one dispatched call is to do.
///
/// # Safety
/// `registers` are those of a system call that the interrupted code makes.
unsafe fn answer(capture: &mut Capture, registers: &registers::Registers) -> isize {
    let [a, b, c, d, e, f] = registers.arguments();
    match registers.number() {
        libc::SYS_clone3 => {
            // SAFETY: glibc's own arguments of this call.
            let arguments = unsafe { &*(a as *const libc::clone_args) };
            let top = (arguments.stack + arguments.stack_size) as usize;
            let [fs, end] = [arguments.tls as usize, arguments.child_tid as usize];
            // SAFETY: what glibc passed to the clone.
            unsafe { keep(capture, registers, top, fs, [arguments.parent_tid as usize, end]) }
        }
        // clone(flags, stack, parent_tid, child_tid, tls)
        // SAFETY: what glibc passed to the clone.
        libc::SYS_clone => unsafe { keep(capture, registers, b, e, [c, d]) },
        libc::SYS_rt_sigprocmask => {
            if c != 0 {
                // SAFETY: glibc's own variable for the old mask.
                unsafe { *(c as *mut u64) = sys::without_kept_open(u64::MAX) };
            }
            0
        }
        number => match inline::wake_from_kernel(registers) {
            Some(result) => result,
            // SAFETY: the call that the interrupted code makes, as it makes it.
            None => unsafe { sys::call(number, a, b, c, d, e, f) },
        },
    }
}

/// Answers the clone: nothing is cloned, and the context that its child would have is kept.
///
/// # Safety
/// As for `answer`; the rest is what glibc passed to the clone.
unsafe fn keep(
    capture: &mut Capture,
    registers: &registers::Registers,
    top: usize,
    fs: usize,
    [parent_tid, end]: [usize; 2],
) -> isize {
    if parent_tid != 0 {
        // SAFETY: glibc's own place for the tid.
        unsafe { *(parent_tid as *mut i32) = capture.tid };
    }
    glibc::version::learn_end(end - fs);
    capture.fs = fs;
    // SAFETY: `top` is the end of the new thread's stack, on which nothing lies yet.
    capture.sp = unsafe { registers.lay_down(top, &capture.control) };
    capture.tid as isize
}
