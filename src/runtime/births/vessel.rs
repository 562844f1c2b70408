//! Vessels: stack, TCB and TLS made by glibc's own pthread_create, whose kernel thread then retires.
//!
//! A vessel's memory, from a region of stacks of one size (addresses grow upward):
//!
//! ```text
//!   │ guard │ stack … ← sp │ static TLS │ TCB (struct pthread) │ guard │ next stack …
//!           └── the size asked for, what pthread_getattr_np reports ──┴─┘ less than a page more
//! ```
//!
//! The padding below a page is chosen so that the TCB's first line, which every switch and every hook reads, is the last line of a page.
//! That page then also holds thread-locals and some 1,800 bytes of stack: a thread that waits and goes on touches this one page. A second
//! page would cost a miss of the TLB per switch where there are thousands of threads.
//!
//! The guard lies below the reported range, for runtimes put guards of their own at its lower end. It is made by
//! MADV_GUARD_INSTALL where the kernel has it, which does not split the mapping: 100,000 stacks are few mappings.
//!
//! Its life:
//!
//! ```text
//!   birth: real pthread_create, its clone caught (`capture`): the context is there, and never was a kernel thread; or,
//!          where that cannot be: real pthread_create → vessel_main → loosen (rseq, robust list, tid address) → retire: the
//!          kernel thread is gone, the context stays
//!   serve: a worker resumes it → run the program's function → destructors → TLS as new → end → pool → serve …
//!   death: a new kernel thread (raw clone on its TCB) resumes it → vessel_main returns → glibc's own epilogue
//! ```
//!
//! A vessel is pooled only when its thread is finished *and* joined or detached, else two threads would share a pthread_t. A vessel on a
//! stack of the program's dies before join returns, for the program may free that stack then.

use crate::base::{pages, signal_set};
use crate::runtime::births::serve::{vessel_main, PUBLISHED};
use crate::runtime::births::yard::{bury_dying, given, take_here, Lists, TCB_BELOW_END, YARD};
use crate::runtime::kernel::gate::GATE;
use crate::runtime::kernel::small_stacks;
use crate::runtime::kernel::unbegun::{begin_birth, UNBEGUN};
use crate::runtime::machine::parts::{current, Green};
use crate::runtime::machine::stack::{Stack, PAGE};
use crate::runtime::machine::words::life;
use crate::runtime::machine::{counts, roll};
use crate::runtime::trap::capture;
use crate::{arch, glibc, sys};
use std::ffi::c_void;
use std::sync::atomic::Ordering::*;

/// Takes a vessel with a stack of the given size and guard (bytes, rounded up to whole pages), pooled or new. Called by a thread that
/// makes a thread, with no lock held; fails by an error number of pthread_create's.
pub fn take(bytes: usize, guard: usize) -> Result<&'static Green, i32> {
    let (bytes, guard) = (bytes.next_multiple_of(PAGE), guard.next_multiple_of(PAGE));
    if let Some(green) = take_here(bytes, guard) {
        return Ok(green);
    }
    enum Found {
        Vessel(&'static Green),
        Stack(Option<usize>),
    }
    let found = YARD.with(bytes, guard, |class| match class.pool.pop() {
        Some(green) => {
            class.least = class.least.min(class.pool.len());
            YARD.fewer_pooled();
            Found::Vessel(green)
        }
        None => Found::Stack(class.take_stack()),
    });
    match found {
        Found::Vessel(green) => Ok(green),
        Found::Stack(None) => Err(libc::EAGAIN),
        Found::Stack(Some(lowest)) => {
            let born = birth(Stack { lowest, bytes, guard, foreign: false });
            if born.is_err() {
                YARD.with(bytes, guard, |class| class.stacks.give_back(lowest));
            }
            born
        }
    }
}

/// Makes a vessel on a stack of the program's: its lowest address and bytes. Called by a thread that makes a thread, with no lock held;
/// fails by an error number of pthread_create's. A detached thread that was given the stack before is buried first, and waited for: the
/// program may give the stack again once that thread has ended, and no join tells it when.
pub fn take_on(lowest: usize, bytes: usize) -> Result<&'static Green, i32> {
    let in_the_way = |guest: &&Green| {
        guest.vessel.stack.get().lowest < lowest + bytes
            && lowest < guest.vessel.stack.get().lowest + guest.vessel.stack.get().bytes
            && guest.life.load(SeqCst) & (life::DETACHED | life::GONE) != 0
    };
    while YARD.with_lists(|lists| lists.guests.iter().any(in_the_way)) {
        bury_dying();
        sys::yield_processor();
    }
    let green = birth(Stack { lowest, bytes, guard: 0, foreign: true })?;
    YARD.with_lists(|lists| lists.guests.push(green));
    Ok(green)
}

/// Makes a vessel: glibc makes a thread, whose kernel thread retires or never was. Called with no lock held, and calls the program's
/// allocator; fails by pthread_create's error number. The stack is the caller's again then.
pub fn birth(stack: Stack) -> Result<&'static Green, i32> {
    let green = green_for(stack).ok_or(libc::EAGAIN)?;
    let born = if capture::possible() { caught_birth(green) } else { uncaught_birth(green) };
    if born.is_err() {
        YARD.with_lists(|lists| lists.dead.push(green));
    }
    born.map(|()| green)
}

/// Returns a dead vessel's green thread, or a new one; `None`: there is no memory for one, or for its places in the lists.
fn green_for(stack: Stack) -> Option<&'static Green> {
    if let Some(green) = YARD.with_lists(|lists| lists.dead.pop()) {
        green.begin_anew(stack);
        return Some(green);
    }
    let room = YARD.with_lists(Lists::make_room);
    (room && pages::has_reserve()).then(|| Green::new(stack, false))
}

/// Makes a vessel the long way: a kernel thread is made, and retires. Two threads hand over by `PUBLISHED`, behind the gate:
///
/// 1. The creator stores 0 into `PUBLISHED`, has glibc make the thread, and waits for the word.
/// 2. The newborn saves its context and stores 1 (`arch::retire`): nothing of its kernel thread's uses the stack any more.
/// 3. The creator reads 1: the vessel's context is there to be resumed. The next birth waits until the kernel thread has gone
///    (`vessel_alive`).
fn uncaught_birth(green: &'static Green) -> Result<(), i32> {
    GATE.enter();
    PUBLISHED.store(0, Relaxed);
    GATE.vessel_alive.store(1, Relaxed);
    counts::kernel_thread_born();
    let (stack, argument) = (given(&green.vessel.stack.get()), green as *const Green as *mut c_void);
    // The newborn inherits the mask.
    let old_mask = sys::set_signal_mask(signal_set::CLOSED);
    let born = glibc::create_thread(vessel_main, argument, Some(stack));
    if born.is_ok() {
        while PUBLISHED.load(Acquire) == 0 {
            sys::futex_wait(&PUBLISHED, 0, None).ok();
        }
    } else {
        GATE.vessel_alive.store(0, Relaxed);
    }
    sys::set_signal_mask(old_mask);
    counts::kernel_thread_gone();
    GATE.leave();
    born.map(|_| ())
}

/// Makes a vessel the short way: no kernel thread is made (`capture`). glibc waits in some functions for a thread that has not begun, so
/// the vessel is counted until then (`unbegun`).
fn caught_birth(green: &'static Green) -> Result<(), i32> {
    // The thread is pinned: the program's malloc may call hooks, and they must wait in the kernel, for this kernel thread's system calls
    // are dispatched to `capture` meanwhile.
    let creator = current();
    creator.inspect(|me| me.thread.pinned.set(me.thread.pinned.get() + 1));
    begin_birth();
    let (stack, argument) = (green.vessel.stack.get(), green as *const Green as *mut c_void);
    let create = || glibc::create_thread(vessel_main, argument, Some(given(&stack)));
    let unborn = capture::birth(roll::NO_THREAD, create);
    creator.inspect(|me| me.thread.pinned.set(me.thread.pinned.get() - 1));
    if unborn.is_err() {
        UNBEGUN.births.fetch_sub(1, SeqCst);
    }
    let unborn = unborn?;
    green.fs.set(unborn.fs);
    green.vessel.caught.set(true);
    // SAFETY: the vessel has not begun: its context and its TLS are ours. No handler is to run in it before it has.
    unsafe {
        *green.sp.get() = unborn.sp;
        arch::raise_guard_of(unborn.fs);
    }
    Ok(())
}

/// Makes the leader's own stack and TCB, and learns where glibc lays a TCB. Called by the start; fails by pthread_create's error number.
pub fn birth_small() -> Result<&'static Green, i32> {
    let (lowest, bytes) = small_stacks::small_stack().ok_or(libc::EAGAIN)?;
    let own = birth(Stack { lowest, bytes, guard: 0, foreign: true })?;
    TCB_BELOW_END.store(lowest + bytes - own.fs.get(), Relaxed);
    Ok(own)
}
