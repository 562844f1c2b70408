//! What differs between versions of glibc in a thread's descriptor and in its calls: a row for each version, and the probes.
//!
//! A probe says what the running glibc does; a row says it where there is nothing to probe (an older kernel, a filter). A version
//! without a row, newer than this library, is taken for what the probes say of it; where they say too little, no runtime starts.

use crate::arch;
use crate::base::kept::Kept;
use crate::sys::{process, thread};
use libc::{c_char, c_int, c_void, pthread_t, timespec};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::*};

/// The word that the kernel clears when a thread has ended, and on which a join waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The tid.
    Tid,
    /// A word of its own, so many bytes into the descriptor: 0 exited, 1 exiting, 2 joinable, 3 detached.
    State(usize),
}

/// How a cancellation point inside libc is known from outside while it is in the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Point {
    /// The thread's note says `asynchronously` meanwhile.
    Noted,
    /// By the instruction that it is at (glibc bug 12683): all such calls are made by one function.
    Place,
}

struct Version {
    /// The 41 of 2.41.
    minor: u32,
    end: End,
    point: Point,
}

const fn version(minor: u32, end: End, point: Point) -> Version {
    Version { minor, end, point }
}

/// From the first one that has libpthread inside libc.so.6 (the built library does not load below it).
const VERSIONS: [Version; 10] = [
    version(34, End::Tid, Point::Noted),
    version(35, End::Tid, Point::Noted),
    version(36, End::Tid, Point::Noted), // measured
    version(37, End::Tid, Point::Noted),
    version(38, End::Tid, Point::Noted),
    version(39, End::Tid, Point::Noted),
    version(40, End::Tid, Point::Noted),
    version(41, End::Tid, Point::Place), // measured
    version(42, End::Tid, Point::Place),
    version(43, End::State(1576), Point::Place), // measured
];

/// Where the end word lies in a descriptor; 0: not known yet.
static END_OFFSET: Kept<AtomicUsize> = Kept::new(AtomicUsize::new(0));
/// The end word is not the tid.
static HAS_STATE: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));
static POINTS_HAVE_A_PLACE: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));
/// A join looks at its time before it looks at the thread.
static JOIN_CHECKS_TIME: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));

/// The minor version, from text such as `2.41`; 0 where it does not begin with 2.
fn minor(text: &[u8]) -> u32 {
    let Some(rest) = text.strip_prefix(b"2.") else { return 0 };
    rest.iter().take_while(|byte| byte.is_ascii_digit()).fold(0, |number, byte| 10 * number + u32::from(byte - b'0'))
}

/// Learns what the running glibc does. `tid_offset` is where the tid lies in a descriptor, `join` the real pthread_clockjoin_np.
pub fn learn(running: *const c_char, tid_offset: usize, join: usize) {
    // SAFETY: glibc's own string.
    let running = minor(unsafe { std::ffi::CStr::from_ptr(running) }.to_bytes());
    let row = VERSIONS.iter().find(|version| version.minor == running);
    let newest = &VERSIONS[VERSIONS.len() - 1];
    let told = row.map(|version| match version.end {
        End::Tid => tid_offset,
        End::State(offset) => offset,
    });
    let end = probe_end(tid_offset).or(told).unwrap_or(0);
    END_OFFSET.store(end, Relaxed);
    HAS_STATE.store(end != 0 && end != tid_offset, Relaxed);
    POINTS_HAVE_A_PLACE.store(row.unwrap_or(newest).point == Point::Place, Relaxed);
    JOIN_CHECKS_TIME.store(probe_join(join), Relaxed);
}

/// Asks the kernel for the running thread's end word (prctl(2): PR_GET_TID_ADDRESS, where the kernel is built with it); `None`: it does not
/// say.
fn probe_end(tid_offset: usize) -> Option<usize> {
    /// A descriptor is smaller.
    const FAR: usize = 4096;
    const JOINABLE: i32 = 2;
    let offset = thread::tid_address()?.wrapping_sub(arch::tcb());
    if offset >= FAR || !offset.is_multiple_of(size_of::<i32>()) {
        return None; // The word is in no descriptor: the thread was not made by glibc.
    }
    // SAFETY: an aligned word inside the running thread's descriptor.
    let value = unsafe { AtomicI32::from_ptr((arch::tcb() + offset) as *mut i32) }.load(Relaxed);
    // The running thread is mostly the first one; and gettid is a call that a filter of the program's may kill for.
    let is_own = || value == process::process_id() || value == process::kernel_thread_id();
    let fits = if offset == tid_offset { is_own() } else { value == JOINABLE };
    fits.then_some(offset)
}

/// Finds the order of a join's checks by a join that fails either way: of the running thread by itself, until a time that is none.
fn probe_join(join: usize) -> bool {
    // SAFETY: the real function of this type; it neither waits nor joins.
    unsafe {
        let join: unsafe extern "C" fn(pthread_t, *mut *mut c_void, c_int, *const timespec) -> c_int =
            std::mem::transmute(join);
        let none = timespec { tv_sec: 1, tv_nsec: -1 };
        join(arch::tcb() as pthread_t, std::ptr::null_mut(), libc::CLOCK_REALTIME, &none) == libc::EINVAL
    }
}

/// Notes where the kernel would have cleared a word, by the arguments of a caught clone: that counts more than row and probe.
pub fn learn_end(offset: usize) {
    if END_OFFSET.load(Relaxed) != offset {
        END_OFFSET.store(offset, Relaxed);
    }
}

/// Is it known where the kernel clears a word?
pub fn knows_end() -> bool {
    END_OFFSET.load(Relaxed) != 0
}

/// The word of the thread at `tcb` that the kernel clears when it has ended.
pub fn end_word(tcb: usize) -> *mut i32 {
    (tcb + END_OFFSET.load(Relaxed)) as *mut i32
}

/// Does a join with a moment that is none fail though the thread has ended?
pub fn join_checks_time() -> bool {
    JOIN_CHECKS_TIME.load(Relaxed)
}

/// Does a detached thread's join of itself fail by EDEADLK? It does in the versions whose descriptors have a state; in the others it fails
/// by EINVAL.
pub fn join_knows_itself_first() -> bool {
    HAS_STATE.load(Relaxed)
}

/// Are cancellation points inside libc known by their place alone?
pub fn points_have_a_place() -> bool {
    POINTS_HAVE_A_PLACE.load(Relaxed)
}

/// The function through which all cancellation points inside libc go into the kernel: up to its jump to where a thread is cancelled, and
/// behind the jump's distance up to its return.
const BEGINS: [u8; 7] = [0x8b, 0x07, 0xf6, 0x07, 0x08, 0x0f, 0x85];
const ENDS: [u8; 36] = [
    0x49, 0x89, 0xfb, 0x48, 0x89, 0xf0, 0x48, 0x89, 0xd7, 0x48, 0x89, 0xce, 0x4c, 0x89, 0xc2, 0x4d, 0x89, 0xca, 0x4c,
    0x8b, 0x44, 0x24, 0x08, 0x4c, 0x8b, 0x4c, 0x24, 0x10, 0x4c, 0x89, 0x5c, 0x24, 0x08, 0x0f, 0x05, 0xc3,
];
const DISTANCE: usize = 4;

/// Is a thread that was interrupted at `instruction` in that function, and has its call had no effect? It has none before the
/// instruction that makes the call, at which the kernel leaves a call that it begins again, and behind it where the call says so.
///
/// # Safety
/// The memory for 64 bytes around `instruction` can be read.
pub unsafe fn is_at_point(instruction: usize, result: isize) -> bool {
    const LINE: usize = 16;
    const BYTES: usize = BEGINS.len() + DISTANCE + ENDS.len();
    let line = instruction & !(LINE - 1);
    let begin = [0, 1, 2].iter().map(|lines| line - lines * LINE).find(|&begin| {
        // SAFETY: `begin` is at most 47 bytes before `instruction`, and its `BYTES` end less than 64 behind it: libc's text, which is not
        // changed.
        let text = unsafe { std::slice::from_raw_parts(begin as *const u8, BYTES) };
        text.starts_with(&BEGINS) && text.ends_with(&ENDS)
    });
    let Some(begin) = begin else { return false };
    let back = begin + BYTES - 1;
    instruction < back || instruction == back && result == -libc::EINTR as isize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        for (text, number) in [("2.36", 36), ("2.41.9000", 41), ("2.4", 4), ("3.0", 0), ("", 0)] {
            assert_eq!(minor(text.as_bytes()), number, "{text}");
        }
        assert!(VERSIONS.windows(2).all(|pair| pair[0].minor + 1 == pair[1].minor), "no version is left out");
    }

    #[test]
    fn a_point_is_known_by_its_place() {
        #[repr(align(64))]
        struct Text([u8; 192]);
        let mut text = Text([0x90; 192]);
        let begin = 64;
        text.0[begin..begin + BEGINS.len()].copy_from_slice(&BEGINS);
        let rest = begin + BEGINS.len() + DISTANCE;
        text.0[rest..rest + ENDS.len()].copy_from_slice(&ENDS);
        let (back, place) = (rest + ENDS.len() - 1, text.0.as_ptr() as usize);
        let is_point = |at: usize, result: isize| {
            // SAFETY: the addresses lie far enough inside the array.
            unsafe { is_at_point(place + at, result) }
        };
        assert!((begin..back).all(|at| is_point(at, 0)));
        assert!(is_point(back, -libc::EINTR as isize) && !is_point(back, 5));
        assert!(!is_point(begin - 1, 0) && !is_point(back + 1, 0));
        text.0[begin] ^= 1;
        std::hint::black_box(&text);
        // SAFETY: as above.
        assert!(!unsafe { is_at_point(place + back - 2, 0) });
    }
}
