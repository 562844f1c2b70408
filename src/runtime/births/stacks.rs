//! Stacks of one size: cut from regions, kept when they are free, and given back.
//!
//! ```text
//!   │ guard │ stack … the TCB's page │ guard │ stack … │ …      one mapping, until a stack in the middle is given back
//!   └──────────── step ─────────────┘
//! ```
//!
//! Address space is the program's too (`ulimit -v`, `mlockall`): a region has as many stacks as there are already, and free ones beyond
//! what glibc would keep in its own cache are unmapped after a while. What is mapped is neither reserved nor touched.
//!
//! ```text
//!   a stack    from        to          by
//!              (no region) fresh       grow
//!              fresh       in use      take, which puts up its guard
//!              in use      free        give_back
//!              free        in use      take
//!              free        (unmapped)  unmap_free
//!              fresh       (unmapped)  unmap_fresh
//! ```

use crate::base::kept::Kept;
use crate::base::pages;
use crate::runtime::machine::stack::PAGE;
use crate::sys;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

const MADV_GUARD_INSTALL: i32 = 102;
/// A region has as many stacks as there are already, up to so many.
const STACKS_PER_REGION: usize = 64;
/// Bytes that must be left for the library's own memory when stacks have been mapped.
const SPARE_MEMORY: usize = 1 << 20;

/// Does this kernel have no MADV_GUARD_INSTALL (Linux 6.13)? Learnt from the first try.
static GUARD_PAGES_REFUSED: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));
/// What the process's new mappings are like.
struct Mappings {
    /// Is every new mapping locked in memory (MCL_FUTURE)?
    are_locked: AtomicBool,
}

static MAPPINGS: Mappings = Mappings { are_locked: AtomicBool::new(false) };

/// Notes that from now on every new mapping is, or is not, locked in memory. Called by the hooks of mlockall.
pub fn note_locked(locked: bool) {
    MAPPINGS.are_locked.store(locked, Relaxed);
}

/// The stacks of one size. All methods are called under the yard's lock.
pub struct Stacks {
    /// Bytes of each, without the TCB's page.
    pub bytes: usize,
    /// Bytes of the guard below each.
    pub guard: usize,
    /// The beginning of the last region's rest: stacks that were never used, with their guards below.
    fresh: usize,
    /// The end of the last region.
    end: usize,
    /// Lowest usable addresses.
    free: Vec<usize>,
    /// How many there are, in use, free or never used.
    count: usize,
}

impl Stacks {
    /// An empty list, for stacks of so many bytes and bytes of guard (whole pages).
    pub fn new(bytes: usize, guard: usize) -> Stacks {
        Stacks { bytes, guard, fresh: 0, end: 0, free: Vec::new(), count: 0 }
    }

    /// How many there are: in use, free or never used.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes from one stack to the next: the stack, the TCB's page, and the guard.
    fn step(&self) -> usize {
        self.bytes + PAGE + self.guard
    }

    /// Takes a stack: its lowest usable address. `None`: there is no memory.
    pub fn take(&mut self) -> Option<usize> {
        if let Some(lowest) = self.free.pop() {
            return Some(lowest);
        }
        let step = self.step();
        if self.fresh + step > self.end {
            self.grow(step)?;
        }
        // The guard is made only now: it needs a page table, and a fork copies those.
        if !install_guard(self.fresh, self.guard) {
            return None;
        }
        let lowest = self.fresh + self.guard;
        self.fresh += step;
        Some(lowest)
    }

    /// Takes back a stack that nothing uses any more. There is room: `grow` has reserved it.
    pub fn give_back(&mut self, lowest: usize) {
        self.free.push(lowest);
    }

    /// Maps a new region; one stack at a time of the large ones, and where every mapping is locked in memory. `None`: there is no memory,
    /// also not for one stack, or it would leave less than `SPARE_MEMORY`.
    fn grow(&mut self, step: usize) -> Option<()> {
        const LARGE: usize = 1 << 30;
        let single = step >= LARGE || MAPPINGS.are_locked.load(Relaxed);
        let mut count = if single { 1 } else { self.count.clamp(1, STACKS_PER_REGION) };
        let room = pages::reserve(&mut self.free, self.count + count);
        if !room || step >= LARGE && !sys::has_memory(step) {
            return None;
        }
        let region = loop {
            match sys::map(step * count, libc::MAP_STACK).map(|region| region as usize) {
                Some(region) if sys::has_memory(SPARE_MEMORY) => break region,
                Some(region) => sys::unmap(region, step * count),
                None => {}
            }
            if count == 1 {
                return None;
            }
            count /= 2; // A program that limits its address space gets what there is.
        };
        if self.count == 0 && sys::is_resident(region) {
            MAPPINGS.are_locked.store(true, Relaxed);
        }
        sys::advise(region, step * count, libc::MADV_NOHUGEPAGE);
        (self.fresh, self.end) = (region, region + step * count);
        self.count += count;
        Some(())
    }

    /// Unmaps the stacks that were never used.
    pub fn unmap_fresh(&mut self) {
        let bytes = self.end - self.fresh;
        if bytes > 0 {
            sys::unmap(self.fresh, bytes);
            self.count -= bytes / self.step();
            (self.fresh, self.end) = (0, 0);
        }
    }

    /// Unmaps free stacks beyond so many, and the stacks that were never used if there are so many. Each that is cut out of a region makes
    /// one mapping more: where there are very many stacks, only those go that lie side by side.
    pub fn unmap_free(&mut self, kept: usize) {
        const VERY_MANY: usize = 10_000;
        const SIDE_BY_SIDE: usize = 8;
        if self.free.len() >= kept {
            self.unmap_fresh();
        }
        if self.free.len() <= kept {
            return;
        }
        let (step, least) = (self.step(), if self.count < VERY_MANY { 1 } else { SIDE_BY_SIDE });
        self.free.sort_unstable();
        let (mut end, mut left) = (self.free.len(), 0);
        while end > kept {
            let mut first = end - 1;
            while first > kept && self.free[first - 1] + step == self.free[first] {
                first -= 1;
            }
            if end - first >= least {
                sys::unmap(self.free[first] - self.guard, (end - first) * step);
                self.free.drain(first..end);
                self.count -= end - first;
            } else {
                left += end - first;
            }
            end = first;
        }
        debug_assert!(self.free.len() <= kept + left);
    }

    /// How many free ones are kept: as much address space as glibc's own cache.
    pub fn kept(&self) -> usize {
        const MOST: usize = 64;
        const BYTES: usize = 40 << 20;
        (BYTES / self.step()).clamp(1, MOST)
    }
}

/// Puts up the guard at `address`: by MADV_GUARD_INSTALL, or by mprotect where the kernel has none. False: there is no memory for it.
fn install_guard(address: usize, bytes: usize) -> bool {
    if bytes == 0 {
        return true;
    }
    if !GUARD_PAGES_REFUSED.load(Relaxed) {
        if sys::advise(address, bytes, MADV_GUARD_INSTALL) == 0 {
            return true;
        }
        // Locked memory takes no such guards: a refusal there says nothing about the kernel.
        GUARD_PAGES_REFUSED.store(!MAPPINGS.are_locked.load(Relaxed), Relaxed);
    }
    sys::forbid(address, bytes)
}

/// In a fork child: it does not inherit that mappings are locked in memory (mlockall(2)).
pub fn after_fork() {
    let Mappings { are_locked } = &MAPPINGS;
    are_locked.store(false, Relaxed);
}
