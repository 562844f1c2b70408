//! The roll: every green thread that lives, by the tid that it believes in. A chunk of it is made when its first tid is given out; one that
//! all have left serves elsewhere. (Who looks into it just then finds others there, whose tids he does not look for.)
//!
//! As with the kernel's tids each thread gets the next one, and one that was in use comes again only after all the others: who
//! notes the tids of threads, or locks by them, takes two threads of one tid for one.

use crate::runtime::machine::parts::Green;
use crate::runtime::machine::words::life;
use crate::sys;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering::*};

/// Made-up tids lie where the kernel gives none: from 2^22 on, and below 2^28, so that a CPU clock's number can be made of one.
pub const NOBODY: i32 = 1 << 22;
const CHUNK: usize = 4096;
const CHUNKS: usize = 256;
/// So many different processes can begin at different places, and so do their threads: locks that they share know who holds them by tids.
const BANDS: usize = 251;

type Chunk = [AtomicPtr<Green>; CHUNK];

static ROLL: [AtomicPtr<Chunk>; CHUNKS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS];
/// Chunks that all have left.
static SPARE: [AtomicPtr<Chunk>; 4] = [const { AtomicPtr::new(std::ptr::null_mut()) }; 4];
/// Who counts in `PRESENT` while a chunk is taken away.
const CLOSED: usize = usize::MAX;
/// How many are in each chunk, or on their way there.
static PRESENT: [AtomicUsize; CHUNKS] = [const { AtomicUsize::new(0) }; CHUNKS];
static NEXT: AtomicUsize = AtomicUsize::new(0);
/// This process's first tid; 0: nobody has asked.
static FIRST: AtomicI32 = AtomicI32::new(0);
static MAIN: AtomicPtr<Green> = AtomicPtr::new(std::ptr::null_mut());

/// main, once it is green and until it ends.
#[inline]
pub fn main() -> Option<&'static Green> {
    // SAFETY: null or a green thread; those are never freed.
    unsafe { MAIN.load(Acquire).as_ref() }.filter(lives)
}

/// main, whether it has ended or not.
pub fn main_or_its_end() -> Option<&'static Green> {
    // SAFETY: as above.
    unsafe { MAIN.load(Acquire).as_ref() }
}

pub fn set_main(main: &'static Green) {
    MAIN.store(main as *const Green as *mut Green, Release);
}

fn chunk(number: usize) -> Option<&'static Chunk> {
    // SAFETY: null or a chunk; chunks are never freed.
    unsafe { ROLL.get(number)?.load(Acquire).as_ref() }
}

/// Makes a chunk, of a spare one or of zeroed pages, which are null pointers.
fn make_chunk(number: usize) -> Option<&'static Chunk> {
    let mut spare = SPARE.iter().map(|spare| spare.swap(std::ptr::null_mut(), AcqRel)).filter(|spare| !spare.is_null());
    let used = spare.next();
    let fresh = used.or_else(|| sys::map(size_of::<Chunk>(), 0).map(|pages| pages as *mut Chunk))?;
    let lost = ROLL.get(number)?.compare_exchange(std::ptr::null_mut(), fresh, AcqRel, Acquire).is_err();
    // (One that has been in the roll may be looked into still: it stays mapped, even if nobody has room for it.)
    if lost && !keep(fresh) && used.is_none() {
        sys::unmap(fresh as usize, size_of::<Chunk>());
    }
    chunk(number)
}

/// Keeps an empty chunk for later; false: there are enough of them.
fn keep(chunk: *mut Chunk) -> bool {
    let empty = |spare: &AtomicPtr<Chunk>| spare.compare_exchange(std::ptr::null_mut(), chunk, AcqRel, Relaxed).is_ok();
    SPARE.iter().any(empty)
}

/// A chunk that all have left, and where no tid is given out soon: it is kept for another's place, if that is wanted.
fn take_away(number: usize) {
    let given_out_now = NEXT.load(Relaxed) % (CHUNKS * CHUNK) / CHUNK;
    if number == given_out_now || PRESENT[number].compare_exchange(0, CLOSED, Acquire, Relaxed).is_err() {
        return;
    }
    let chunk = ROLL[number].swap(std::ptr::null_mut(), AcqRel);
    if !chunk.is_null() && !keep(chunk) {
        ROLL[number].store(chunk, Release);
    }
    PRESENT[number].store(0, Release);
}

/// This process's first tid. (Its first asker is alone.)
fn first() -> i32 {
    if FIRST.load(Relaxed) == 0 {
        let mixed = (sys::process_id() as u32).wrapping_mul(0x9e37_79b9) as usize;
        NEXT.store(mixed % (CHUNKS * CHUNK), Relaxed);
        FIRST.store(NOBODY + 1 + ((mixed >> 16) % BANDS * CHUNKS * CHUNK) as i32, Relaxed);
    }
    FIRST.load(Relaxed)
}

/// Takes a thread into the roll, by a tid that nobody else has; `None`: there is none left.
pub fn enter(green: &'static Green) -> Option<()> {
    let first = first();
    for _ in 0..CHUNKS * CHUNK {
        let number = NEXT.fetch_add(1, Relaxed) % (CHUNKS * CHUNK);
        let present = &PRESENT[number / CHUNK];
        if present.fetch_update(AcqRel, Relaxed, |count| (count != CLOSED).then_some(count + 1)).is_err() {
            continue;
        }
        let Some(chunk) = chunk(number / CHUNK).or_else(|| make_chunk(number / CHUNK)) else {
            present.fetch_sub(1, Release);
            return None;
        };
        let green_pointer = green as *const Green as *mut Green;
        green.tid.set(first + number as i32);
        if chunk[number % CHUNK].compare_exchange(std::ptr::null_mut(), green_pointer, Release, Relaxed).is_ok() {
            return Some(());
        }
        present.fetch_sub(1, Release);
    }
    None
}

/// Strikes a thread off that has ended: another one may have its tid.
pub fn leave(green: &Green) {
    let number = (green.tid() - first()) as usize;
    if let Some(chunk) = chunk(number / CHUNK) {
        chunk[number % CHUNK].store(std::ptr::null_mut(), Release);
        if PRESENT[number / CHUNK].fetch_sub(1, AcqRel) == 1 {
            take_away(number / CHUNK);
        }
    }
}

/// Neither finished nor waiting for its next life.
fn lives(green: &&'static Green) -> bool {
    green.life.load(Acquire) & (life::FINISHED | life::GONE) == 0
}

/// The living thread with this tid.
pub fn find(tid: i32) -> Option<&'static Green> {
    if tid <= NOBODY {
        return main().filter(|main| main.tid() == tid);
    }
    let number = (tid - first()) as usize;
    // SAFETY: null or a green thread.
    unsafe { chunk(number / CHUNK)?[number % CHUNK].load(Acquire).as_ref() }
        .filter(lives)
        .filter(|green| green.tid() == tid)
}

/// A living thread of which `is_it` holds; main is asked first.
pub fn search(is_it: impl Fn(&'static Green) -> bool) -> Option<&'static Green> {
    if let Some(main) = main().filter(|main| is_it(main)) {
        return Some(main);
    }
    let peopled = (0..CHUNKS).filter(|&number| PRESENT[number].load(Acquire) > 0);
    let all = peopled.filter_map(chunk).flatten();
    // SAFETY: as in `find`.
    all.filter_map(|place| unsafe { place.load(Acquire).as_ref() }).find(|green| lives(green) && is_it(green))
}

/// Shows every thread in the roll, also those that have ended and that nobody has joined.
pub fn each(visit: impl FnMut(&'static Green)) {
    let peopled = (0..CHUNKS).filter(|&number| PRESENT[number].load(Acquire) > 0);
    // SAFETY: as in `find`.
    let all = peopled.filter_map(chunk).flatten().filter_map(|place| unsafe { place.load(Acquire).as_ref() });
    main_or_its_end().into_iter().chain(all).for_each(visit);
}

/// The process's id, as it was when main became green; -1: it is not.
pub fn process_id() -> i32 {
    main_or_its_end().map_or(-1, Green::tid)
}

/// In a fork child: nobody of these is here.
pub fn after_fork() {
    MAIN.store(std::ptr::null_mut(), Relaxed);
    FIRST.store(0, Relaxed);
    ROLL.iter().for_each(|chunk| chunk.store(std::ptr::null_mut(), Relaxed));
    SPARE.iter().for_each(|chunk| chunk.store(std::ptr::null_mut(), Relaxed));
    PRESENT.iter().for_each(|count| count.store(0, Relaxed));
}
