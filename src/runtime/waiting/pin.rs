//! Pinning: a green thread that holds a robust, process-shared or priority mutex stays on its kernel thread.
//!
//! Such a mutex holds its owner's tid where the kernel or another process reads it, so the tid must be a kernel thread's, the same
//! from the lock to the unlock. Only *around* glibc's own functions on such mutexes (`with_kernel_tid`) does glibc's descriptor
//! hold that tid: an ordinary recursive mutex locked before and unlocked meanwhile must find the thread's own one.
//!
//! While pinned, waits happen in the kernel, and the slot is handed over meanwhile. A thread that pins itself for a robust mutex has
//! its robust list registered with the kernel thread, so that the kernel finds it when the whole process dies; when only the
//! green thread ends, nobody in the kernel notices, and `abandon` walks the list instead.

use crate::runtime::machine::parts::{current, Green};
use crate::runtime::waiting::call::{block_for, Length};
use crate::runtime::waiting::yielding::breathe;
use crate::{glibc, sys};
use std::sync::atomic::{AtomicU32, Ordering::*};

/// How many such mutexes the only thread of a program that still runs natively holds.
static EARLY: AtomicU32 = AtomicU32::new(0);

/// Before the start: one more is held, or one less.
pub fn note_early(taken: bool) {
    let count = |held: u32| Some(if taken { held + 1 } else { held.saturating_sub(1) });
    EARLY.fetch_update(Relaxed, Relaxed, count).ok();
}

/// At the start: main is pinned by what it holds; its robust list is registered from the process's first moment on.
pub fn begin(main: &Green) {
    main.pinned.set(EARLY.load(Relaxed) as u64);
    main.robust_registered.set(main.pinned.get() > 0);
}

/// In a fork child, which runs natively: what its thread holds, handlers that run on it not counted.
pub fn after_fork(me: &Green, handlers: u32) {
    EARLY.store((me.pinned.get() as u32).saturating_sub(handlers), Relaxed);
}

/// Makes the running thread stay on its kernel thread until as many `unpin`; `robust`: for a robust mutex, so its robust list is
/// registered.
pub fn pin(robust: bool) {
    let Some(me) = current() else { return };
    me.pinned.set(me.pinned.get() + 1);
    if robust && !me.robust_registered.replace(true) {
        sys::set_robust_list(me.robust_list());
    }
}

/// Takes one `pin` back; of a thread that is not pinned (it unlocks what another has locked) nothing. May yield.
pub fn unpin() {
    let Some(me) = current() else { return };
    if me.pinned.get() == 0 {
        return;
    }
    me.pinned.set(me.pinned.get() - 1);
    if me.pinned.get() == 0 {
        if me.robust_registered.replace(false) {
            sys::set_robust_list(0);
        }
        breathe();
    }
}

/// The program sets a robust list of its own (or glibc's again): it is told, registered while the thread is pinned, and walked at its end.
pub fn set_robust_list(me: &Green, head: usize) {
    me.program_list.set(if head == me.robust_head.get() { 0 } else { head });
    if me.robust_registered.get() {
        sys::set_robust_list(head);
    }
}

/// Does `function`, of libc's, which blocks in calls of its own: a hook that it calls waits in the kernel.
pub fn in_libc<R>(function: impl FnOnce() -> R) -> R {
    let Some(me) = current() else { return function() };
    block_for(Length::Long, || {
        me.pinned.set(me.pinned.get() + 1);
        let result = function();
        me.pinned.set(me.pinned.get() - 1);
        result
    })
}

/// Does `call`, a function of glibc's that reads or writes the owner of a mutex as the kernel knows it. The running thread is pinned.
pub fn with_kernel_tid<R>(call: impl FnOnce() -> R) -> R {
    let Some(me) = current() else { return call() };
    let field = glibc::tid_field(me.fs.get());
    // SAFETY: the running thread's own descriptor, on the kernel thread that it is pinned to.
    let own = unsafe { field.replace(me.worker().kernel_tid.load(Relaxed)) };
    let result = call();
    // SAFETY: as above.
    unsafe { *field = own };
    result
}

/// Notes that the running thread's vessel has come to differ from a new thread in a way that cannot be undone: it will not serve another.
pub fn spoil() {
    if let Some(me) = current() {
        me.spoilt.set(true);
    }
}

/// A robust list's head: the first entry (its own address when empty), the lock word's distance from an entry, and the entry
/// whose lock or unlock was under way (source: linux/futex.h).
#[repr(C)]
struct Head {
    first: usize,
    distance: isize,
    pending: usize,
}

/// Does for the running thread, which ends, what the kernel does when a kernel thread ends: marks the robust locks that it holds. Words of
/// a list of the program's hold the tid that gettid told.
pub fn abandon(me: &Green) {
    let own = me.program_list.replace(0);
    if own != 0 {
        abandon_words(own, me.tid() as u32);
    }
    if me.pinned.replace(0) != 0 {
        abandon_mutexes(me);
    }
}

/// The kernel's walk: no farther than it goes, and past nothing that cannot be read.
fn abandon_words(head: usize, tid: u32) {
    const FARTHEST: usize = 2048;
    if !sys::can_read(head, size_of::<Head>()) {
        return;
    }
    // SAFETY: just read by the kernel; the thread that set the list has it mapped until its end.
    let Head { first, distance, pending } = unsafe { (head as *const Head).read_unaligned() };
    let mut at = first;
    for _ in 0..FARTHEST {
        let entry = at & !INHERITING;
        if entry == head || !sys::can_read(entry, size_of::<usize>()) {
            break;
        }
        // SAFETY: as above.
        at = unsafe { *(entry as *const usize) };
        mark_word(entry.wrapping_add_signed(distance), tid);
    }
    if pending != 0 {
        mark_word((pending & !INHERITING).wrapping_add_signed(distance), tid);
    }
}

fn mark_word(word: usize, tid: u32) {
    if word.is_multiple_of(4) && sys::can_read(word & !7, 8) {
        // SAFETY: a lock word of the program's that is mapped; read-only ones hold nobody's tid.
        unsafe { mark_dead(word, tid) };
    }
}

/// Marks the robust mutexes that the thread, which was pinned, still holds.
fn abandon_mutexes(me: &Green) {
    let tid = me.worker().kernel_tid.load(Relaxed) as u32;
    // SAFETY: the running thread's own list; its entries are mutexes that it holds, which must be alive.
    unsafe {
        if let Some(head) = (me.robust_head.get() as *mut Head).as_mut() {
            let end = head as *const Head as usize;
            let mut at = std::mem::replace(&mut head.first, end);
            while at & !INHERITING != end {
                let entry = at & !INHERITING;
                at = *(entry as *const usize);
                mark_dead(entry.wrapping_add_signed(head.distance), tid);
            }
        }
    }
    if me.robust_registered.replace(false) {
        sys::set_robust_list(0);
    }
}

/// The bit of an entry's address that says: a priority inheriting mutex.
const INHERITING: usize = 1;

/// Marks a lock word as its dead owner's, and wakes one who waits for it.
///
/// # Safety
/// `word` is the lock word of a robust mutex that is alive.
unsafe fn mark_dead(word: usize, tid: u32) {
    use libc::{FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS};
    // SAFETY: the caller's lock word, which is alive, aligned, and used by atomic instructions only.
    let lock = unsafe { AtomicU32::from_ptr(word as *mut u32) };
    let mark = |now: u32| (now & FUTEX_TID_MASK == tid).then_some(now & FUTEX_WAITERS | FUTEX_OWNER_DIED);
    if lock.fetch_update(AcqRel, Relaxed, mark).is_ok_and(|before| before & FUTEX_WAITERS != 0) {
        crate::runtime::waiting::park::wake_one(word);
        sys::futex_wake(word as *const u32, 1);
        sys::futex_wake_shared(word as *const u32, 1);
    }
}
