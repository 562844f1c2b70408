//! The roll: every green thread that lives, by the tid that it and glibc believe in.
//!
//! As with the kernel's tids each thread gets the next one, and a tid that was in use comes again only after all the others: a program that
//! notes tids, or a lock that stores its owner's, would take two threads of one tid for one.
//!
//! A chunk is made when its first tid is given out. When its last thread has left, the chunk is kept for another place of the roll, and
//! stays mapped: a thread that looks into it just then finds other threads, whose tids differ from the one it looks for. The states of a
//! chunk's count in `ROLL.present`:
//!
//! ```text
//!   from      to        by           then
//!   n         n + 1     enter        the thread's place is taken in this chunk, which is made if it is not there
//!   n         n - 1     leave        the last to leave tries to take the chunk away
//!   0         CLOSED    take_away    one compare-exchange wins; `enter` passes a CLOSED chunk over
//!   CLOSED    0         take_away    the chunk is spare, or was put back
//! ```

use crate::runtime::machine::parts::Green;
use crate::runtime::machine::words::life;
use crate::sys;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering::*};

/// The tid in the descriptor of a vessel or worker that no thread has. Green threads' tids are greater: they lie where the kernel gives
/// none, from 2^22 on, and below 2^28, so that a CPU clock's number can be made of one.
pub const NO_THREAD: i32 = 1 << 22;
const CHUNK: usize = 4096;
const CHUNKS: usize = 256;
/// The number of places at which processes begin their tids, for locks that processes share tell their owners by tid.
const BANDS: usize = 251;

type Chunk = [AtomicPtr<Green>; CHUNK];

/// The roll of the process.
struct Roll {
    /// The chunks, by the number of their first tid / CHUNK; null: none.
    chunks: [AtomicPtr<Chunk>; CHUNKS],
    /// Chunks without threads, for other places of the roll.
    spare: [AtomicPtr<Chunk>; 4],
    /// How many threads are in each chunk, or about to be.
    present: [AtomicUsize; CHUNKS],
    /// The number of the next tid, counted from `first`.
    next: AtomicUsize,
    /// This process's first tid; 0: not chosen yet.
    first: AtomicI32,
    /// main, once it is green.
    main: AtomicPtr<Green>,
}

static ROLL: Roll = Roll {
    chunks: [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS],
    spare: [const { AtomicPtr::new(std::ptr::null_mut()) }; 4],
    present: [const { AtomicUsize::new(0) }; CHUNKS],
    next: AtomicUsize::new(0),
    first: AtomicI32::new(0),
    main: AtomicPtr::new(std::ptr::null_mut()),
};
/// Chunks without threads, for other places of the roll.
/// The count in `ROLL.present` while a chunk is taken away.
const CLOSED: usize = usize::MAX;

/// main, from when it is green until it ends. Called on any thread.
#[inline]
pub fn main() -> Option<&'static Green> {
    // SAFETY: null or a green thread; those are never freed.
    unsafe { ROLL.main.load(Acquire).as_ref() }.filter(lives)
}

/// main, whether it has ended or not.
pub fn main_or_its_end() -> Option<&'static Green> {
    // SAFETY: null or a green thread; those are never freed.
    unsafe { ROLL.main.load(Acquire).as_ref() }
}

/// Says that `main` is main. Called by the start, before there is another green thread.
pub fn set_main(main: &'static Green) {
    ROLL.main.store(main as *const Green as *mut Green, Release);
}

fn chunk(number: usize) -> Option<&'static Chunk> {
    // SAFETY: null or a chunk; chunks are never freed.
    unsafe { ROLL.chunks.get(number)?.load(Acquire).as_ref() }
}

/// Makes a chunk, of a spare one or of zeroed pages, which are null pointers.
fn make_chunk(number: usize) -> Option<&'static Chunk> {
    let mut spare =
        ROLL.spare.iter().map(|spare| spare.swap(std::ptr::null_mut(), AcqRel)).filter(|spare| !spare.is_null());
    let used = spare.next();
    let fresh = used.or_else(|| sys::map(size_of::<Chunk>(), 0).map(|pages| pages as *mut Chunk))?;
    let lost = ROLL.chunks.get(number)?.compare_exchange(std::ptr::null_mut(), fresh, AcqRel, Acquire).is_err();
    // A chunk that has been in the roll may still be looked into: it stays mapped, even if there is no room to keep it.
    if lost && !keep(fresh) && used.is_none() {
        sys::unmap(fresh as usize, size_of::<Chunk>());
    }
    chunk(number)
}

/// Keeps an empty chunk for later; false: there are enough of them.
fn keep(chunk: *mut Chunk) -> bool {
    let empty = |spare: &AtomicPtr<Chunk>| spare.compare_exchange(std::ptr::null_mut(), chunk, AcqRel, Relaxed).is_ok();
    ROLL.spare.iter().any(empty)
}

/// Takes a chunk without threads out of the roll and keeps it for another place; puts it back where enough are kept. Not the chunk whose
/// tids are given out now.
fn take_away(number: usize) {
    let given_out_now = ROLL.next.load(Relaxed) % (CHUNKS * CHUNK) / CHUNK;
    if number == given_out_now || ROLL.present[number].compare_exchange(0, CLOSED, Acquire, Relaxed).is_err() {
        return;
    }
    let chunk = ROLL.chunks[number].swap(std::ptr::null_mut(), AcqRel);
    if !chunk.is_null() && !keep(chunk) {
        ROLL.chunks[number].store(chunk, Release);
    }
    ROLL.present[number].store(0, Release);
}

/// This process's first tid. Chosen by the first call, while there is one thread.
fn first() -> i32 {
    if ROLL.first.load(Relaxed) == 0 {
        let mixed = (sys::process_id() as u32).wrapping_mul(0x9e37_79b9) as usize;
        ROLL.next.store(mixed % (CHUNKS * CHUNK), Relaxed);
        ROLL.first.store(NO_THREAD + 1 + ((mixed >> 16) % BANDS * CHUNKS * CHUNK) as i32, Relaxed);
    }
    ROLL.first.load(Relaxed)
}

/// Takes a thread into the roll and gives it a tid that no other has. Called by its creator, before it is ready. `None`: no tid is left, or
/// no memory.
pub fn enter(green: &'static Green) -> Option<()> {
    let first = first();
    for _ in 0..CHUNKS * CHUNK {
        let number = ROLL.next.fetch_add(1, Relaxed) % (CHUNKS * CHUNK);
        let present = &ROLL.present[number / CHUNK];
        if present.fetch_update(AcqRel, Relaxed, |count| (count != CLOSED).then_some(count + 1)).is_err() {
            continue;
        }
        let Some(chunk) = chunk(number / CHUNK).or_else(|| make_chunk(number / CHUNK)) else {
            present.fetch_sub(1, Release);
            return None;
        };
        let green_pointer = green as *const Green as *mut Green;
        green.thread.tid.set(first + number as i32);
        if chunk[number % CHUNK].compare_exchange(std::ptr::null_mut(), green_pointer, Release, Relaxed).is_ok() {
            return Some(());
        }
        present.fetch_sub(1, Release);
    }
    None
}

/// Strikes off a thread that has ended and is joined or detached: another one may have its tid.
pub fn leave(green: &Green) {
    let number = (green.tid() - first()) as usize;
    if let Some(chunk) = chunk(number / CHUNK) {
        chunk[number % CHUNK].store(std::ptr::null_mut(), Release);
        if ROLL.present[number / CHUNK].fetch_sub(1, AcqRel) == 1 {
            take_away(number / CHUNK);
        }
    }
}

/// Is it neither finished nor in the pool?
fn lives(green: &&'static Green) -> bool {
    green.life.load(Acquire) & (life::FINISHED | life::GONE) == 0
}

/// The living thread with this tid. Called on any thread, without a lock: it may end at any time.
pub fn find(tid: i32) -> Option<&'static Green> {
    if tid <= NO_THREAD {
        return main().filter(|main| main.tid() == tid);
    }
    let number = (tid - first()) as usize;
    // SAFETY: null or a green thread; those are never freed.
    unsafe { chunk(number / CHUNK)?[number % CHUNK].load(Acquire).as_ref() }
        .filter(lives)
        .filter(|green| green.tid() == tid)
}

/// A living thread of which `is_it` holds; main is asked first. Called on any thread, without a lock: threads that come or go meanwhile may
/// be missed.
pub fn search(is_it: impl Fn(&'static Green) -> bool) -> Option<&'static Green> {
    if let Some(main) = main().filter(|main| is_it(main)) {
        return Some(main);
    }
    let peopled = (0..CHUNKS).filter(|&number| ROLL.present[number].load(Acquire) > 0);
    let all = peopled.filter_map(chunk).flatten();
    // SAFETY: null or a green thread; those are never freed.
    all.filter_map(|place| unsafe { place.load(Acquire).as_ref() }).find(|green| lives(green) && is_it(green))
}

/// Calls `visit` for every thread in the roll, main first; also for those that have ended and are not joined. As `search`, without a lock.
pub fn each(visit: impl FnMut(&'static Green)) {
    let peopled = (0..CHUNKS).filter(|&number| ROLL.present[number].load(Acquire) > 0);
    // SAFETY: null or a green thread; those are never freed.
    let all = peopled.filter_map(chunk).flatten().filter_map(|place| unsafe { place.load(Acquire).as_ref() });
    main_or_its_end().into_iter().chain(all).for_each(visit);
}

/// The process's id, as it was when main became green; -1: main is not green.
pub fn process_id() -> i32 {
    main_or_its_end().map_or(-1, Green::tid)
}

/// Empties the roll in a fork child: the parent's threads are not here, and the child begins its tids at a place of its own.
pub fn after_fork() {
    // `next` is chosen together with `first`.
    let Roll { chunks, spare, present, next: _, first, main } = &ROLL;
    main.store(std::ptr::null_mut(), Relaxed);
    first.store(0, Relaxed);
    chunks.iter().chain(spare).for_each(|chunk| chunk.store(std::ptr::null_mut(), Relaxed));
    present.iter().for_each(|count| count.store(0, Relaxed));
}
