//! The yard: free vessels by the size of their stacks, and those that are to die.

use crate::base::lock::{Rank, RawLock};
use crate::base::{pages, signal_set};
use crate::runtime::births::stacks::{self, Stacks};
use crate::runtime::kernel::caretaker;
use crate::runtime::kernel::gate::GATE;
use crate::runtime::kernel::reserve::{self, REVIVED};
use crate::runtime::machine::counts;
use crate::runtime::machine::parts::{current, Green};
use crate::runtime::machine::stack::{Stack, PAGE};
use crate::runtime::machine::words::life;
use crate::{arch, glibc, sys};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering::*};

pub const LINE: usize = 64;

/// Stacks of one size, and the vessels on them.
pub struct Class {
    pub stacks: Stacks,
    /// Vessels that wait to serve, the last one first.
    pub pool: Vec<&'static Green>,
    /// The fewest that waited since the pool was last shrunk.
    pub least: usize,
}

pub struct Yard {
    pub lock: RawLock,
    pub classes: UnsafeCell<Vec<Class>>,
    pub dying: UnsafeCell<Vec<&'static Green>>,
    /// Those on stacks of the program's, until they are dead.
    pub guests: UnsafeCell<Vec<&'static Green>>,
    /// Those whose vessels are dead: they serve for the next ones born.
    pub dead: UnsafeCell<Vec<&'static Green>>,
    /// For how many green threads the lists have room.
    pub made: UnsafeCell<usize>,
    /// How many wait in all pools; written under the lock.
    pub pooled: AtomicUsize,
    pub dying_count: AtomicUsize,
}

// SAFETY: the lists are only touched under the lock.
unsafe impl Sync for Yard {}

pub static YARD: Yard = Yard {
    lock: RawLock::new(Rank::Pool),
    classes: UnsafeCell::new(Vec::new()),
    dying: UnsafeCell::new(Vec::new()),
    guests: UnsafeCell::new(Vec::new()),
    dead: UnsafeCell::new(Vec::new()),
    made: UnsafeCell::new(0),
    pooled: AtomicUsize::new(0),
    dying_count: AtomicUsize::new(0),
};

/// How far below the end of its stack glibc lays a TCB.
pub static TCB_BELOW_END: AtomicUsize = AtomicUsize::new(0);

/// What glibc is told of a stack: from where, and how many bytes.
pub fn given(stack: &Stack) -> (usize, usize) {
    let more = if stack.foreign { 0 } else { (PAGE - LINE + TCB_BELOW_END.load(Relaxed)) % PAGE };
    (stack.lowest, stack.bytes + more)
}

impl Yard {
    /// One has left its pool; under the lock.
    pub fn fewer_pooled(&self) {
        self.pooled.store(self.pooled.load(Relaxed) - 1, Relaxed);
    }

    pub fn with_dead<R>(&self, work: impl FnOnce(&mut Vec<&'static Green>) -> R) -> R {
        // SAFETY: under the lock.
        self.lock.with(|| work(unsafe { &mut *self.dead.get() }))
    }

    pub fn with<R>(&self, bytes: usize, guard: usize, work: impl FnOnce(&mut Class) -> R) -> R {
        self.lock.with(|| {
            // SAFETY: under the lock.
            let classes = unsafe { &mut *self.classes.get() };
            let place =
                match classes.iter().position(|class| class.stacks.bytes == bytes && class.stacks.guard == guard) {
                    Some(place) => place,
                    None => {
                        classes.push(Class { stacks: Stacks::new(bytes, guard), pool: Vec::new(), least: 0 });
                        classes.len() - 1
                    }
                };
            work(&mut classes[place])
        })
    }
}

impl Class {
    /// A stack's lowest usable address; there is room in the pool for one vessel more, too.
    pub fn take_stack(&mut self) -> Option<usize> {
        let lowest = self.stacks.take()?;
        if pages::reserve(&mut self.pool, self.stacks.count()) {
            return Some(lowest);
        }
        self.stacks.give_back(lowest);
        None
    }
}

/// The program is about to lock its memory, all that there is or all that comes: what no thread has is given back before.
pub fn before_lock(future: bool) {
    stacks::note_locked(future);
    YARD.lock.with(|| {
        // SAFETY: under the lock.
        for class in unsafe { &mut *YARD.classes.get() } {
            class.stacks.unmap_free(0);
        }
    });
}

/// The vessel that is kept at this slot, if it is like that: whoever joins a thread often makes the next one, and takes no lock.
pub fn take_here(bytes: usize, guard: usize) -> Option<&'static Green> {
    let place = &current()?.worker().slot()?.vessel;
    if place.load(Relaxed).is_null() {
        return None;
    }
    // SAFETY: null or a free vessel's green thread, whose taker owns it.
    let green = unsafe { place.swap(std::ptr::null_mut(), Acquire).as_ref() }?;
    let stack = green.stack.get();
    if (stack.bytes, stack.guard) != (bytes, guard) {
        pool(green);
        return None;
    }
    Some(green)
}

/// Keeps a free vessel at this slot; false: there is one, or no slot.
pub fn keep_here(green: &'static Green) -> bool {
    current().and_then(|me| me.worker().slot()).is_some_and(|slot| {
        let green = green as *const Green as *mut Green;
        slot.vessel.load(Relaxed).is_null()
            && slot.vessel.compare_exchange(std::ptr::null_mut(), green, Release, Relaxed).is_ok()
    })
}

/// A vessel whose thread is finished and joined or detached: to the pool, or to its death.
pub fn recycle(green: &'static Green) {
    green.life.store(life::GONE, Release);
    if green.stack.get().foreign || green.spoilt.get() {
        YARD.lock.with(|| {
            // SAFETY: under the lock.
            unsafe { (*YARD.dying.get()).push(green) };
            YARD.dying_count.fetch_add(1, Relaxed);
        });
        crate::base::summon::call();
        return;
    }
    if !keep_here(green) {
        pool(green);
    }
}

/// A free vessel to the others like it.
pub fn pool(green: &'static Green) {
    YARD.with(green.stack.get().bytes, green.stack.get().guard, |class| {
        class.pool.push(green);
        YARD.pooled.store(YARD.pooled.load(Relaxed) + 1, Relaxed);
    });
}

/// Lets a vessel die glibc's own death, and waits for it. Its context must be saved, and nobody else may resume it. False: there is no
/// kernel thread to be had, and the vessel is as it was.
pub fn bury(green: &'static Green) -> bool {
    green.life.store(life::GONE, Release);
    green.dying.set(true);
    let fs = green.fs.get();
    let (tid, end) = (glibc::tid_field(fs), glibc::version::end_word(fs));
    GATE.enter();
    counts::kernel_thread_born();
    let old_mask = sys::set_signal_mask(signal_set::CLOSED);
    // SAFETY: the vessel's context is saved, and this is its last resume; every signal is blocked.
    let born = unsafe { arch::revive(REVIVED as usize, *green.sp.get(), tid, end, fs) };
    sys::set_signal_mask(old_mask);
    if born > 0 {
        glibc::join_thread_by(fs as libc::pthread_t, caretaker::while_it_waits);
    }
    counts::kernel_thread_gone();
    GATE.leave();
    if born <= 0 && !green.stack.get().foreign {
        green.dying.set(false);
        reserve::refuse();
        return false;
    }
    if green.stack.get().foreign {
        // SAFETY: under the lock.
        YARD.lock.with(|| unsafe { (*YARD.guests.get()).retain(|guest| !std::ptr::eq(*guest, green)) });
    } else {
        let Stack { lowest, bytes, guard, .. } = green.stack.get();
        sys::advise(lowest, bytes + PAGE, libc::MADV_DONTNEED);
        YARD.with(bytes, guard, |class| class.stacks.give_back(lowest));
    }
    if born > 0 {
        YARD.with_dead(|dead| dead.push(green));
    }
    true
}

pub fn are_dying() -> bool {
    YARD.dying_count.load(Relaxed) > 0
}

/// The caretaker's duty: vessels of detached threads on the program's stacks die, and spoilt ones.
pub fn bury_dying() {
    while are_dying() {
        // SAFETY: under the lock.
        let Some(green) = YARD.lock.with(|| unsafe { (*YARD.dying.get()).pop() }) else { return };
        if !bury(green) {
            // SAFETY: under the lock.
            return YARD.lock.with(|| unsafe { (*YARD.dying.get()).push(green) });
        }
        YARD.dying_count.fetch_sub(1, Release);
    }
}

/// Are there more free vessels than are kept, or more free stacks?
pub fn pool_is_large() -> bool {
    YARD.lock.with(|| {
        // SAFETY: under the lock.
        let classes = unsafe { &*YARD.classes.get() };
        classes.iter().any(|class| class.pool.len() > class.stacks.kept())
    })
}

/// The caretaker's duty: half of the vessels that nobody needed since the last time die, and free stacks beyond what is kept are unmapped.
pub fn shrink_pool() {
    const AT_ONCE: usize = 256;
    for _ in 0..AT_ONCE {
        let victim = YARD.lock.with(|| {
            // SAFETY: under the lock.
            let classes = unsafe { &mut *YARD.classes.get() };
            let class = classes.iter_mut().find(|class| class.pool.len() > class.stacks.kept() && class.least > 0)?;
            class.least -= 1;
            YARD.fewer_pooled();
            Some(class.pool.remove(0))
        });
        match victim {
            Some(green) if bury(green) => {}
            Some(green) => {
                pool(green);
                break;
            }
            None => break,
        }
    }
    YARD.lock.with(|| {
        // SAFETY: under the lock.
        for class in unsafe { &mut *YARD.classes.get() } {
            class.least = class.pool.len().div_ceil(2);
            class.stacks.unmap_free(class.stacks.kept().saturating_sub(class.pool.len()));
        }
    });
}
