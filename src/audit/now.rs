//! What each thread waits in now: an entry of the recording for each thread, written at the begin of each call and cleared at its end.
//!
//! The entry lies in the mapped file, so it is there to be read while the call goes on, and after whatever end of the process. A thread
//! claims its entry at its first call, and keeps it; the entries of threads that are gone are claimed again, so hundreds of thousands of
//! short threads share a few. The words of an entry, and what a reader may make of them: `format::Now`.
//!
//! ```text
//!   Thread::now   the thread                                                      becomes
//!   0             has made no call in this process                                an address, NOWHERE    (`claim`)
//!   an address    has an entry; valid while the mapping is the process's own      0 in a fork child      (`Thread::belong_to`)
//!   NOWHERE       found no free entry, or may have none: its calls are not told   0 in a fork child
//! ```

use crate::audit::format::{Now, Recording, THREADS};
use crate::audit::looping::tid;
use crate::audit::stack::Registers;
use crate::audit::thread::Thread;
use crate::audit::{blocks, recording, text};
use crate::glibc;
use crate::sys;
use std::sync::atomic::{AtomicI32, Ordering::*};

/// The thread has no entry, and asks for none any more.
pub const NOWHERE: usize = 1;

/// Returns the thread's entry, which is claimed at its first call; `None`: it has none. `place` is where the call's frame is. Called before
/// each call, on the thread.
#[inline(always)]
pub fn of(here: &Thread, place: usize) -> Option<&'static Now> {
    match here.now.get() {
        NOWHERE => None,
        // SAFETY: an entry in the mapping of this process, which is never taken away.
        at if at != 0 && recording::is_marked() => Some(unsafe { &*(at as *const Now) }),
        _ => claim(here, place),
    }
}

/// Writes that a call of a row has begun. `values` as for `recorder::begin`; `distance`: how far above them the program's return address
/// lies, 0: not known; `from`: the audited function's registers.
#[inline(always)]
pub fn enter(entry: &Now, row: u32, values: &[u64], distance: usize, ticks: u64, from: Registers) {
    let place = values.as_ptr() as usize;
    let Registers { ip, sp, bp } = from;
    let caller = match distance {
        0 => 0,
        // SAFETY: the distance was found for this row's frames: the hook's return address lies there.
        _ => unsafe { *((place + distance) as *const u64) },
    };
    entry.row.store(row, Relaxed);
    entry.place.store(place as u64, Relaxed);
    entry.ip.store(ip, Relaxed);
    entry.sp.store(sp, Relaxed);
    entry.bp.store(bp, Relaxed);
    entry.caller.store(caller, Relaxed);
    entry.argument.store(values.get(1).copied().unwrap_or(0), Relaxed);
    entry.began.store(ticks, Release);
}

/// Writes that the thread's call is over. In a fork child, which a handler of a signal may have made within the call, the entry is the
/// parent's, and stays.
#[inline(always)]
pub fn leave(here: &Thread) {
    let at = here.now.get();
    if at > NOWHERE && recording::is_marked() {
        // SAFETY: as in `of`.
        unsafe { (*(at as *const Now)).began.store(0, Release) };
    }
}

/// Claims an entry for the thread, and makes the recording of a fork child first. `None`: there is none. Keeps errno.
#[cold]
#[inline(never)]
fn claim(here: &Thread, place: usize) -> Option<&'static Now> {
    let errno = glibc::errno();
    let outer = here.outer.replace(place);
    let entry = recording::of_process().filter(|_| recording::is_marked()).and_then(|recording| {
        here.belong_to(recording.header.process.load(Relaxed));
        free(recording, tid(here))
    });
    match entry {
        Some(entry) => here.now.set(entry as *const Now as usize),
        // Another thread makes a fork child's recording just now: the next call asks again.
        None if recording::of_process().is_none() => {}
        None => here.now.set(NOWHERE),
    }
    here.outer.set(outer);
    glibc::set_errno(errno);
    entry
}

/// How many entries of other threads are looked at for one whose thread is gone.
const LOOKS: u32 = 64;

/// Finds an entry for a thread and makes it its own: one that was never used, else one whose thread is gone. `None`: there is none among
/// those that are looked at, or no memory.
fn free(recording: &'static Recording, thread: i32) -> Option<&'static Now> {
    let header = &recording.header;
    let claim = header.claims.fetch_add(1, Relaxed);
    let mine = |entry: &'static Now, before: i32| {
        let is_mine = entry.thread.compare_exchange(before, thread, AcqRel, Relaxed).is_ok();
        is_mine.then(|| {
            entry.began.store(0, Relaxed);
            entry.claim.store(claim, Relaxed);
            text::write(&entry.name, text::until_zero(&sys::thread_name()));
            entry
        })
    };
    // The entries of threads that are gone are looked at first, a few of them, for the file is to stay small.
    const FIRST: u32 = 4;
    let used = header.threads.load(Relaxed).min(THREADS as u32);
    let looks = if used < THREADS as u32 { FIRST } else { LOOKS };
    for look in 0..looks.min(used) {
        let entry = &recording.threads[(claim.wrapping_mul(FIRST).wrapping_add(look) % used) as usize];
        let before: i32 = AtomicI32::load(&entry.thread, Relaxed);
        if before != thread && sys::signal_thread(before, 0) != Err(libc::ESRCH) {
            continue;
        }
        if let Some(entry) = mine(entry, before) {
            return Some(entry);
        }
    }
    if used >= THREADS as u32 {
        return None;
    }
    let entry = recording.threads.get(header.threads.fetch_add(1, Relaxed) as usize)?;
    blocks::is_ready(entry).then(|| mine(entry, 0)).flatten()
}
