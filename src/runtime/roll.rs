//! The roll: every green thread, by the tid that it believes in. A chunk of the roll is made when its first tid is given out.

use super::green::{life, Green};
use crate::sys;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering::*};

/// Made-up tids lie where the kernel gives none: from 2^22 on, and below 2^28, so that a CPU clock's number can be made of one.
const FIRST: i32 = 1 << 22;
const CHUNK: usize = 4096;
const CHUNKS: usize = 1024;

type Chunk = [AtomicPtr<Green>; CHUNK];

static ROLL: [AtomicPtr<Chunk>; CHUNKS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS];
static NEXT: AtomicI32 = AtomicI32::new(FIRST);
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

/// A tid that nobody else has.
pub fn new_tid() -> i32 {
    NEXT.fetch_add(1, Relaxed)
}

fn chunk(number: usize) -> Option<&'static Chunk> {
    // SAFETY: null or a chunk; chunks are never freed.
    unsafe { ROLL.get(number)?.load(Acquire).as_ref() }
}

/// Makes a chunk: zeroed pages, which are null pointers.
fn make_chunk(number: usize) -> Option<&'static Chunk> {
    let fresh = sys::map(size_of::<Chunk>(), 0)? as *mut Chunk;
    if ROLL.get(number)?.compare_exchange(std::ptr::null_mut(), fresh, AcqRel, Acquire).is_err() {
        sys::unmap(fresh as usize, size_of::<Chunk>());
    }
    chunk(number)
}

/// Takes a thread into the roll. Beyond some millions nobody is found by his tid.
pub fn enter(green: &'static Green) {
    let number = (green.tid() - FIRST) as usize;
    if let Some(chunk) = chunk(number / CHUNK).or_else(|| make_chunk(number / CHUNK)) {
        chunk[number % CHUNK].store(green as *const Green as *mut Green, Release);
    }
}

/// Neither finished nor waiting for its next life.
fn lives(green: &&'static Green) -> bool {
    green.life.load(Acquire) & (life::FINISHED | life::GONE) == 0
}

/// The living thread with this tid.
pub fn find(tid: i32) -> Option<&'static Green> {
    let number = match tid.checked_sub(FIRST) {
        Some(number) if number >= 0 => number as usize,
        _ => return main().filter(|main| main.tid() == tid),
    };
    // SAFETY: null or a green thread.
    unsafe { chunk(number / CHUNK)?[number % CHUNK].load(Acquire).as_ref() }.filter(lives)
}

/// A living thread of which `is_it` holds; main is asked first.
pub fn search(is_it: impl Fn(&'static Green) -> bool) -> Option<&'static Green> {
    if let Some(main) = main().filter(|main| is_it(main)) {
        return Some(main);
    }
    let all = (0..CHUNKS).map_while(chunk).flatten();
    // SAFETY: as in `find`.
    all.filter_map(|place| unsafe { place.load(Acquire).as_ref() }).find(|green| lives(green) && is_it(green))
}

/// In a fork child: nobody of these is here.
pub fn after_fork() {
    MAIN.store(std::ptr::null_mut(), Relaxed);
    ROLL.iter().for_each(|chunk| chunk.store(std::ptr::null_mut(), Relaxed));
}
