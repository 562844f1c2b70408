//! The yard: free vessels by the size of their stacks, vessels that are to die, and dead ones.
//!
//! The places of a vessel between two threads, and what moves it on:
//!
//! ```text
//!   from     to       by
//!   (serves) a slot   recycle: the slot keeps one vessel, for the thread that its worker makes next
//!   (serves) a pool   recycle, where the slot has one
//!   (serves) dying    recycle, of one that is spoilt, or on a stack of the program's
//!   pool     (serves) vessel::take
//!   pool     dead     shrink_pool: bury
//!   dying    dead     bury_dying: bury
//!   dead     (born)   vessel::birth: the green thread serves with a new stack
//! ```

use crate::base::kept::Kept;
use crate::base::lock::{Locked, Rank};
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
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// Bytes of a line of the processor's cache.
pub const LINE: usize = 64;

/// Stacks of one size, and the vessels on them. Under the yard's lock.
pub struct Class {
    /// The stacks, on which a vessel serves, waits, or is to be born.
    pub stacks: Stacks,
    /// Vessels that wait to serve, the last one first.
    pub pool: Vec<&'static Green>,
    /// The fewest that waited since the pool was last shrunk.
    pub least: usize,
}

/// The process's vessels that serve no thread.
pub struct Yard {
    lists: Locked<Lists>,
    /// How many wait in all pools; written under the lock, read without.
    pooled: AtomicUsize,
    /// How many are in `dying`, or are being buried out of it.
    dying_count: AtomicUsize,
}

/// The lists, under the yard's lock. `dying`, `guests` and `dead` have room for every green thread beforehand (`make_room`).
pub struct Lists {
    classes: Vec<Class>,
    /// Vessels that no thread will use again, until the caretaker buries them.
    pub dying: Vec<&'static Green>,
    /// Vessels on stacks of the program's, until they are dead: a new thread on the same stack waits for that (`vessel::take_on`).
    pub guests: Vec<&'static Green>,
    /// Green threads whose vessels are dead: they serve for the next ones born.
    pub dead: Vec<&'static Green>,
    /// For how many green threads the lists have room.
    made: usize,
}

/// The process's yard.
pub static YARD: Yard = Yard {
    lists: Locked::new(
        Rank::Pool,
        Lists { classes: Vec::new(), dying: Vec::new(), guests: Vec::new(), dead: Vec::new(), made: 0 },
    ),
    pooled: AtomicUsize::new(0),
    dying_count: AtomicUsize::new(0),
};

/// How many bytes below the end of its stack glibc lays a TCB; 0 until the leader's vessel is born.
pub static TCB_BELOW_END: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));

/// Returns what glibc is told of a stack: its lowest address, and how many bytes. A stack of the library's is longer than asked for, by
/// less than a page: the TCB's first line becomes the last of a page (`vessel`).
pub fn given(stack: &Stack) -> (usize, usize) {
    let more = if stack.foreign { 0 } else { (PAGE - LINE + TCB_BELOW_END.load(Relaxed)) % PAGE };
    (stack.lowest, stack.bytes + more)
}

impl Yard {
    /// Counts a vessel that has left its pool. Called under the lock.
    pub fn fewer_pooled(&self) {
        self.pooled.store(self.pooled.load(Relaxed) - 1, Relaxed);
    }

    /// Does `work` with the lists, under the lock. `work` calls nothing that may take a lock, allocate by the program's allocator or
    /// switch.
    pub fn with_lists<R>(&self, work: impl FnOnce(&mut Lists) -> R) -> R {
        self.lists.with(work)
    }

    /// Does `work` with the class of stacks of this size, under the lock: `bytes` and `guard` are whole pages. A class is made when it is
    /// first asked for, and stays.
    pub fn with<R>(&self, bytes: usize, guard: usize, work: impl FnOnce(&mut Class) -> R) -> R {
        self.lists.with(|Lists { classes, .. }| {
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

    /// Forgets all vessels in a fork child, as glibc has, but for the running one. The free stacks, and the room in the lists, are the
    /// child's.
    fn after_fork(&self) {
        let Yard { lists, pooled, dying_count } = self;
        lists.after_fork(|Lists { classes, dying, guests, dead, made: _ }| {
            classes.iter_mut().for_each(|class| class.pool.clear());
            [dying, guests, dead].into_iter().for_each(Vec::clear);
        });
        [pooled, dying_count].into_iter().for_each(|count| count.store(0, Relaxed));
    }
}

impl Lists {
    /// Makes room in the lists for one green thread more. False: there is no memory for it.
    pub fn make_room(&mut self) -> bool {
        self.made += 1;
        let Lists { classes: _, dying, guests, dead, made } = self;
        [dying, guests, dead].into_iter().all(|list| pages::reserve(list, *made))
    }
}

/// Forgets the parent's vessels in a fork child. Called while there is one thread. Their stacks are left as they are: the child's thread
/// may hold pointers into them, as natively.
pub fn after_fork() {
    YARD.after_fork();
}

impl Class {
    /// Takes a stack, and makes room in the pool for the vessel on it. Returns the stack's lowest usable address; `None`: there is no
    /// memory.
    pub fn take_stack(&mut self) -> Option<usize> {
        let lowest = self.stacks.take()?;
        if pages::reserve(&mut self.pool, self.stacks.count()) {
            return Some(lowest);
        }
        self.stacks.give_back(lowest);
        None
    }
}

/// Unmaps the stacks that no thread has. Called by the hook of mlockall before the program locks its memory: all that there is, or
/// (`future`) all that comes, too.
pub fn before_lock(future: bool) {
    stacks::note_locked(future);
    YARD.with_lists(|lists| lists.classes.iter_mut().for_each(|class| class.stacks.unmap_free(0)));
}

/// Takes the vessel that is kept at the running thread's slot, if its stack has this size. Called by a thread that makes a thread. Takes no
/// lock, which is what the slot's place is for: a thread that joins another often makes the next one. A vessel of another size goes to its
/// pool.
pub fn take_here(bytes: usize, guard: usize) -> Option<&'static Green> {
    let place = &current()?.worker().slot()?.vessel;
    if place.load(Relaxed).is_null() {
        return None;
    }
    // SAFETY: null or a free vessel's green thread, which is never freed: the exchange makes this its only taker.
    let green = unsafe { place.swap(std::ptr::null_mut(), Acquire).as_ref() }?;
    let stack = green.vessel.stack.get();
    if (stack.bytes, stack.guard) != (bytes, guard) {
        pool(green);
        return None;
    }
    Some(green)
}

/// Keeps a free vessel at the running thread's slot. False: there is one, or no slot. Called by `recycle`; `take_here` on another worker
/// may race for the place, so both exchange it.
pub fn keep_here(green: &'static Green) -> bool {
    current().and_then(|me| me.worker().slot()).is_some_and(|slot| {
        let green = green as *const Green as *mut Green;
        slot.vessel.load(Relaxed).is_null()
            && slot.vessel.compare_exchange(std::ptr::null_mut(), green, Release, Relaxed).is_ok()
    })
}

/// Ends the life of a vessel's thread. Whether it was detached stays known: a join that comes too late asks for that.
fn set_gone(green: &Green) {
    green.life.store(life::GONE | green.life.load(Relaxed) & life::DETACHED, Release);
}

/// Takes in a vessel whose thread is finished and joined or detached: for the next thread, or for its death. Called by the one thread or
/// worker that made `life` complete (`thread`).
pub fn recycle(green: &'static Green) {
    set_gone(green);
    if green.vessel.stack.get().foreign || green.vessel.spoilt.get() {
        YARD.with_lists(|lists| {
            lists.dying.push(green);
            YARD.dying_count.fetch_add(1, Relaxed);
        });
        crate::base::summon::call();
        return;
    }
    if !keep_here(green) {
        pool(green);
    }
}

/// Puts a free vessel into the pool of vessels with stacks of its size, which has room for it (`take_stack`). Takes the yard's lock.
pub fn pool(green: &'static Green) {
    YARD.with(green.vessel.stack.get().bytes, green.vessel.stack.get().guard, |class| {
        class.pool.push(green);
        YARD.pooled.store(YARD.pooled.load(Relaxed) + 1, Relaxed);
    });
}

/// Lets a vessel die glibc's own death, and waits for it in the kernel. Called by the caretaker, and by `join`, with no lock held; the
/// vessel's context is saved, and it is in no list.
///
/// 1. Behind the gate a kernel thread is made on the vessel's TCB, which resumes the saved context (`arch::revive`).
/// 2. `vessel_main` finds `dying` and returns; glibc's epilogue frees the TLS, and the kernel clears the tid, which ends glibc's join.
/// 3. The stack goes back to its class, its pages given up; a stack of the program's is no guest's any more.
///
/// False: there is no kernel thread to be had, and the vessel is as it was. On a stack of the program's it counts as buried all the same,
/// and its green thread is lost.
pub fn bury(green: &'static Green) -> bool {
    set_gone(green);
    green.vessel.dying.set(true);
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
    if born <= 0 && !green.vessel.stack.get().foreign {
        green.vessel.dying.set(false);
        reserve::refuse();
        return false;
    }
    if green.vessel.stack.get().foreign {
        YARD.with_lists(|lists| lists.guests.retain(|guest| !std::ptr::eq(*guest, green)));
    } else {
        let Stack { lowest, bytes, guard, .. } = green.vessel.stack.get();
        sys::advise(lowest, bytes + PAGE, libc::MADV_DONTNEED);
        YARD.with(bytes, guard, |class| class.stacks.give_back(lowest));
    }
    if born > 0 {
        YARD.with_lists(|lists| lists.dead.push(green));
    }
    true
}

/// Are there vessels to bury? Asked without the lock.
pub fn are_dying() -> bool {
    YARD.dying_count.load(Relaxed) > 0
}

/// Buries vessels of detached threads on the program's stacks, and spoilt ones. Called by the caretaker, and by a thread that needs such a
/// stack (`vessel::take_on`), with no lock held. Ends early where no kernel thread is to be had.
pub fn bury_dying() {
    while are_dying() {
        let Some(green) = YARD.with_lists(|lists| lists.dying.pop()) else { return };
        if !bury(green) {
            return YARD.with_lists(|lists| lists.dying.push(green));
        }
        YARD.dying_count.fetch_sub(1, Release);
    }
}

/// Does some pool have more vessels than are kept (`Stacks::kept`)? Asked by the monitor; takes the yard's lock.
pub fn pool_is_large() -> bool {
    YARD.with_lists(|lists| lists.classes.iter().any(|class| class.pool.len() > class.stacks.kept()))
}

/// Buries half of the vessels that were not needed since the last time, `AT_ONCE` at most, and unmaps free stacks beyond what is kept.
/// Called by the caretaker, with no lock held. Ends early where no kernel thread is to be had.
pub fn shrink_pool() {
    const AT_ONCE: usize = 256;
    for _ in 0..AT_ONCE {
        let victim = YARD.with_lists(|Lists { classes, .. }| {
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
    YARD.with_lists(|lists| {
        for class in &mut lists.classes {
            class.least = class.pool.len().div_ceil(2);
            class.stacks.unmap_free(class.stacks.kept().saturating_sub(class.pool.len()));
        }
    });
}
