//! Pinning: a green thread that holds a robust, process-shared or priority mutex stays on its kernel thread.
//!
//! Such a mutex holds its owner's tid where the kernel or another process reads it, so the tid must be a kernel thread's, the same
//! from the lock to the unlock. Only *around* glibc's own functions on such mutexes (`with_kernel_tid`) does glibc's descriptor
//! hold that tid: an ordinary recursive mutex locked before and unlocked meanwhile must find the thread's own one.
//!
//! While pinned, waits happen in the kernel, and the slot is handed over meanwhile. A thread that pins itself for a robust mutex has
//! its robust list registered with the kernel thread, so that the kernel finds the list when the whole process dies. When only the
//! green thread ends, the kernel notices nothing, and `abandon` walks the list instead.
//!
//! ```text
//!   pinned   robust_registered   when
//!   0        false               the thread may run on any worker
//!   n > 0    false               n mutexes held (calls inside libc, handlers), none of them robust since only handlers counted
//!   n > 0    true                a robust one among them: the kernel thread's robust list is this thread's
//! ```

use crate::runtime::machine::parts::{current, Green};
use crate::runtime::signal::frames;
use crate::runtime::waiting::call::{block_for, Length};
use crate::runtime::waiting::yielding::breathe;
use crate::{glibc, sys};
use std::sync::atomic::{AtomicU32, Ordering::*};

/// What pins main before it is green.
struct Early {
    /// How many such mutexes the only thread of a program that still runs natively holds.
    mutexes: AtomicU32,
}

static EARLY: Early = Early { mutexes: AtomicU32::new(0) };

/// Counts a mutex that is held before the start, or (`taken` is false) one less. Called by hooks, on the program's only thread.
pub fn note_early(taken: bool) {
    let count = |held: u32| Some(if taken { held + 1 } else { held.saturating_sub(1) });
    EARLY.mutexes.fetch_update(Relaxed, Relaxed, count).ok();
}

/// Pins main by what it held before the start. Called by the start; main's robust list is registered from the process's first moment on.
pub fn begin(main: &Green) {
    main.thread.pinned.set(EARLY.mutexes.load(Relaxed) as u64);
    main.thread.robust_registered.set(main.thread.pins() > 0);
}

/// Notes what the thread of a fork child holds, which runs natively from here on. Called by the fork child's thread. `handlers`: how many
/// handlers run on it, each of which pins it too and is not counted here.
pub fn after_fork(me: &Green, handlers: u32) {
    let Early { mutexes } = &EARLY;
    mutexes.store((me.thread.pins() as u32).saturating_sub(handlers), Relaxed);
}

/// Makes the running thread stay on its kernel thread until as many `unpin`. Called by hooks before the lock, on any thread; does nothing
/// on a foreign one. `robust`: for a robust mutex, so its robust list is registered.
pub fn pin(robust: bool) {
    let Some(me) = current() else { return };
    me.thread.pinned.set(me.thread.pinned.get() + 1);
    if robust && !me.thread.robust_registered.replace(true) {
        sys::set_robust_list(me.robust_list());
    }
}

/// Takes one `pin` back. Called by hooks after the unlock, with no lock held; may yield. Does nothing for a thread that is not pinned: it
/// unlocks what another has locked.
pub fn unpin() {
    let Some(me) = current() else { return };
    if me.thread.pins() == 0 {
        return;
    }
    me.thread.pinned.set(me.thread.pinned.get() - 1);
    // Handlers pin as well, each once: a mutex that one of them held alone is given back here.
    if me.thread.robust_registered.get() && me.thread.pins() <= frames::running(me) as u64 {
        me.thread.robust_registered.set(false);
        sys::set_robust_list(0);
    }
    if me.thread.pins() == 0 {
        breathe();
    }
}

/// Notes the robust list that the program sets: its own, or glibc's again. The list is what get_robust_list tells, is registered while the
/// thread is pinned, and is walked at the thread's end. Called by the hook of set_robust_list, on the thread.
pub fn set_robust_list(me: &Green, head: usize) {
    me.thread.program_list.set(if head == me.vessel.robust_head.get() { 0 } else { head });
    if me.thread.robust_registered.get() {
        sys::set_robust_list(head);
    }
}

/// Does `function`, of libc's, which blocks in calls of its own: a hook that it calls waits in the kernel. Called on any thread, with no
/// lock held; the thread's slot is offered meanwhile.
pub fn in_libc<R>(function: impl FnOnce() -> R) -> R {
    let Some(me) = current() else { return function() };
    block_for(Length::Long, || {
        me.thread.pinned.set(me.thread.pinned.get() + 1);
        let result = function();
        me.thread.pinned.set(me.thread.pinned.get() - 1);
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
        me.vessel.spoilt.set(true);
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

/// Does for the running thread, which ends, what the kernel does when a kernel thread ends: marks the robust locks that it holds. Called on
/// the thread, after its destructors. Words of a list of the program's hold the tid that gettid told; those of glibc's list, the kernel
/// thread's.
pub fn abandon(me: &Green) {
    let own = me.thread.program_list.replace(0);
    if own != 0 {
        abandon_words(own, me.tid() as u32);
    }
    let pins = me.thread.pins();
    me.thread.pinned.set(0);
    if pins != 0 {
        abandon_mutexes(me);
    }
}

/// Walks a robust list of the program's as the kernel does: `FARTHEST` entries at most, and none that cannot be read.
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

/// Marks the lock word at an address that the program gave, if it is aligned and can be read.
fn mark_word(word: usize, tid: u32) {
    if word.is_multiple_of(4) && sys::can_read(word & !7, 8) {
        // SAFETY: a lock word of the program's that is mapped; a read-only one holds no thread's tid.
        unsafe { mark_dead(word, tid) };
    }
}

/// Marks the robust mutexes that the thread, which was pinned, still holds.
fn abandon_mutexes(me: &Green) {
    let tid = me.worker().kernel_tid.load(Relaxed) as u32;
    // SAFETY: the running thread's own list; its entries are mutexes that it holds, which must be alive.
    unsafe {
        if let Some(head) = (me.vessel.robust_head.get() as *mut Head).as_mut() {
            let end = head as *const Head as usize;
            let mut at = std::mem::replace(&mut head.first, end);
            while at & !INHERITING != end {
                let entry = at & !INHERITING;
                at = *(entry as *const usize);
                mark_dead(entry.wrapping_add_signed(head.distance), tid);
            }
        }
    }
    if me.thread.robust_registered.replace(false) {
        sys::set_robust_list(0);
    }
}

/// The bit of an entry's address that says: a mutex with priority inheritance.
const INHERITING: usize = 1;

/// Marks a lock word as its dead owner's, and wakes one waiter, if the word says that there are any: a parked thread, and a sleeper in the
/// kernel of this process and of another. A word that does not hold `tid` is left alone.
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
