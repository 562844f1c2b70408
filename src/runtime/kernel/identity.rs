//! User and group ids, which belong to the process, while the kernel keeps them per kernel thread: glibc's setuid and its family signal
//! (33) every thread that has a kernel thread, and wait until each has made the system call and said so in its descriptor.
//!
//! Two things are in the way:
//!
//! - A worker runs on a vessel's TCB. glibc's handler would answer in the vessel's descriptor, while the sender waits for the worker's own.
//!   So the handler here loads the kernel thread's own TCB, calls glibc's, and puts the vessel's back.
//! - glibc leaves the caller out, and would take a green caller for its vessel: its kernel thread would keep the old ids. So a thread made
//!   for this makes the call.
//!
//! A kernel thread that ends otherwise than glibc ends one could take the signal with it, and the sender would wait for ever. So no kernel
//! thread ends that way while the threads are asked (`begin_unasked`).

use crate::base::kept::Kept;
use crate::base::signal_set;
use crate::runtime::kernel::asking::ASKING;
use crate::runtime::kernel::errand::{self, SIGNAL};
use crate::runtime::kernel::gate::GATE;
use crate::runtime::kernel::{small_stacks, unbegun};
use crate::runtime::machine::parts::{self, current};
use crate::runtime::machine::{counts, roll};
use crate::runtime::waiting::{call, park};
use crate::why::Why;
use crate::{arch, glibc, sys};
use libc::{c_int, c_void, siginfo_t};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};

type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

/// glibc's handler. A fork child has ours before it from its parent, and so never asks the kernel for it (`begin`).
static REAL: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));

/// Puts the library's handler before glibc's, which is there since the first real pthread_create. Called by the start.
pub fn begin() {
    let mut action = [0; 4];
    // SAFETY: asks only.
    unsafe { sys::signal_action(SIGNAL, std::ptr::null(), &mut action) };
    let own = asked as Handler as usize;
    if action[0] <= libc::SIG_IGN || action[0] == own {
        return;
    }
    REAL.store(action[0], Relaxed);
    action[0] = own;
    action[3] = sys::without_kept_open(action[3] as u64) as usize;
    // SAFETY: glibc's own flags and restorer; the handler is fit for any thread.
    unsafe { sys::signal_action(SIGNAL, &action, std::ptr::null_mut()) };
}

/// Handles glibc's signal on any kernel thread, at any instruction: an errand of the library's own is told by its SI_QUEUE, everything else
/// is glibc's.
extern "C" fn asked(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel's own information.
    if unsafe { (*info).si_code } == libc::SI_QUEUE {
        return errand::look();
    }
    // SAFETY: `begin` stored glibc's handler before ours was there.
    let real: Handler = unsafe { std::mem::transmute(REAL.load(Relaxed)) };
    let dies = current().is_some_and(|me| me.vessel.dying.get());
    let own = parts::here().filter(|_| !dies).map(|worker| match roll::main_or_its_end() {
        Some(main) if worker.is_leader => main.fs.get(),
        _ => worker.thread.get(),
    });
    match own {
        // SAFETY: the TCB of this kernel thread. Only main may run on its own meanwhile, and glibc's handler changes nothing there
        // but two words that are for this. What was interrupted is no birth (`without_unbegun`) and finds its own TCB again.
        Some(own) if own != arch::tcb() => unsafe { arch::on_tcb(own, || real(signal, info, context)) },
        _ => real(signal, info, context),
    }
}

/// The call that another kernel thread makes for a green thread, and whether it is done.
struct Errand {
    call: *mut dyn FnMut(),
    done: AtomicU32,
}

/// Has a thread with a TCB of its own do `call`, which asks all threads, and waits for that. Called on a green thread, with no lock held.
/// False: there is no kernel thread to be had, and `call` has not run.
pub fn by_another(call: &mut dyn FnMut()) -> bool {
    unbegun::without_unbegun(|| run_elsewhere(call))
}

fn run_elsewhere(call: &mut dyn FnMut()) -> bool {
    // SAFETY: only the lifetime is forgotten: this returns once `done` is set, after which nothing calls it.
    let call = unsafe { std::mem::transmute::<&mut dyn FnMut(), *mut (dyn FnMut() + 'static)>(call) };
    let errand = Errand { call, done: AtomicU32::new(0) };
    let Some(stack) = small_stacks::small_stack() else { return false };
    GATE.enter();
    counts::kernel_thread_born();
    let old_mask = sys::set_signal_mask(signal_set::CLOSED);
    let born = glibc::create_thread(run_errand, &errand as *const Errand as *mut c_void, Some(stack));
    sys::set_signal_mask(old_mask);
    GATE.leave();
    if let Ok(thread) = born {
        let address = errand.done.as_ptr() as usize;
        while errand.done.load(Acquire) == 0 {
            park::park_uncancelled(Why::Errand, address, 0, None, || errand.done.load(Acquire) == 0);
        }
        call::block(|| glibc::join_thread(thread));
        small_stacks::return_small_stack(thread as usize);
    } else {
        small_stacks::keep_small_stack(stack.0);
    }
    counts::kernel_thread_gone();
    born.is_ok()
}

extern "C" fn run_errand(errand: *mut c_void) -> *mut c_void {
    // SAFETY: `by_another` waits until this is done.
    let errand = unsafe { &*(errand as *const Errand) };
    ASKING.lock.with(|| {
        ASKING.is_asking.store(true, Relaxed);
        // SAFETY: as above; the other thread only waits for `done`.
        unsafe { (*errand.call)() };
        ASKING.is_asking.store(false, Relaxed);
    });
    errand.done.store(1, Release);
    park::wake_all(errand.done.as_ptr() as usize);
    std::ptr::null_mut()
}
