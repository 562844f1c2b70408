//! Verdicts on single calls, whose library a call is said of, and a finding's identity.

use std::collections::BTreeMap;

use super::recording::{Long, Loop, Recorded};
use super::symbols::{package, Library, Place};
use crate::calls;
use crate::shared::audit_format::{keeps, FRAMES, UNHOOKED};

/// The verdict on a library whose calls park.
pub const COOPERATIVE: &str = "COOPERATIVE";

/// Did this call of a green program keep a worker?
pub fn keeps_worker(long: &Long) -> bool {
    [keeps::WORKER, keeps::UNHOOKED, keeps::COMPUTED].contains(&long.keeps)
}

/// Returns a call's name; a system call that no hook saw has the kernel's.
pub fn called(long: &Long) -> String {
    let number = u64::from(long.call & (UNHOOKED - 1));
    let name = if long.keeps == keeps::UNHOOKED { calls::waiting(number) } else { None };
    name.map_or_else(|| long.name.clone(), str::to_owned)
}

/// All verdicts, the gravest first; the last one is that of whatever has no other.
pub const VERDICTS: [&str; 7] =
    ["HOLDS_GIL", "BLOCKS_LOOP", "BUSY_POLLS", "HIDDEN", "OWN_THREADS", COOPERATIVE, "WAITS"];

/// The order in which verdicts are shown: the worst first.
pub fn rank(verdict: &str) -> usize {
    VERDICTS.iter().position(|known| *known == verdict).unwrap_or(VERDICTS.len())
}

/// Returns the place of the stack that the wait is said of: the first beyond libc, the loader, and C++'s own library, which waits for its
/// caller (std::condition_variable).
pub fn library_of(stack: &[Option<Place>]) -> Option<&Place> {
    stack.iter().flatten().find(|place| !is_libcs(place))
}

/// Is this place in libc, the loader or the recorder?
pub fn is_libcs(place: &Place) -> bool {
    ["libc.so", "libc-2", "libpthread", "ld-linux", "libgreenpatch", "libstdc++"]
        .iter()
        .any(|own| place.soname.starts_with(own))
}

/// Tells the library of a stack, with its package.
pub fn library(stack: &[Option<Place>], packages: &mut BTreeMap<String, Option<String>>) -> Library {
    library_of(stack).map_or_else(Library::default, |place| {
        let known = packages.entry(place.path.clone()).or_insert_with(|| package(&place.path));
        Library {
            soname: place.soname.clone(),
            path: place.path.clone(),
            build_id: place.build_id.clone(),
            package: known.clone(),
        }
    })
}

/// Is this wait the loop's own, noted before its place was known for a loop's?
pub fn is_loops_own(loops: &[&Loop], long: &Long) -> bool {
    loops.iter().any(|entry| {
        let is_on_its_descriptor = entry.epoll < 0 || entry.epoll == long.fd;
        entry.thread == long.thread
            && entry.call == long.call
            && is_on_its_descriptor
            && long.frames.first() == Some(&entry.caller)
    })
}

pub fn verdict(recorded: &Recorded, loops: &[&Loop], long: &Long, held: u32, stack: &[Option<Place>]) -> &'static str {
    // A loop of poll or select may as well have been a wait for several pipes that was over by then, unless it went on behind the call.
    let in_loop = loops.iter().any(|entry| {
        let goes_on = entry.epoll >= 0 || entry.last_ns >= long.ended_ns;
        entry.thread == long.thread && long.ended_ns >= entry.first_ns && goes_on
    });
    if held > 0 {
        "HOLDS_GIL"
    } else if [keeps::UNHOOKED, keeps::COMPUTED].contains(&long.keeps) {
        "HIDDEN"
    } else if recorded.green {
        "WAITS"
    } else if is_own_thread(recorded, long, stack) {
        "OWN_THREADS"
    } else if in_loop {
        "BLOCKS_LOOP"
    } else {
        "WAITS"
    }
}

/// Was a call made by a thread of a library's own, which has nothing else to do than that library's work? In a Python process that is one
/// that is none of Python's; elsewhere one that begins in the library that waits.
pub fn is_own_thread(recorded: &Recorded, long: &Long, stack: &[Option<Place>]) -> bool {
    if long.thread == recorded.process {
        return false;
    }
    if recorded.python {
        return long.gil == "none";
    }
    let is_whole = stack.len() < FRAMES;
    let outermost = stack.iter().rev().flatten().find(|place| !is_libcs(place));
    let waiting = library_of(stack);
    let same = |one: &Place, other: &Place| one.path == other.path && one.path != recorded.program;
    is_whole && outermost.zip(waiting).is_some_and(|(outermost, waiting)| same(outermost, waiting))
}

/// Returns the upper end of the class in which the quantile lies, in seconds.
pub fn quantile(classes: &[u32], part: f64) -> f64 {
    let all: u64 = classes.iter().map(|count| u64::from(*count)).sum();
    let wanted = (all as f64 * part).ceil().max(1.0) as u64;
    let mut seen = 0;
    for (class, count) in classes.iter().enumerate() {
        seen += u64::from(*count);
        if seen >= wanted {
            return 2f64.powi(class as i32 + 1) / 1e6;
        }
    }
    0.0
}

/// Returns a long call's identity.
pub fn identity_of(verdict: &str, stack: &[Option<Place>], long: &Long) -> String {
    let place = library_of(stack);
    let line = long.python.first();
    identity(&[
        verdict,
        place.map_or("", |place| place.soname.as_str()),
        &called(long),
        place.map_or("", |place| place.function.as_str()),
        line.map_or("", |(file, ..)| file.as_str()),
        &line.map_or(String::new(), |(_, line, _)| line.to_string()),
    ])
}

/// Mixes words to sixteen hexadecimal digits (FNV-1a).
pub fn identity(words: &[&str]) -> String {
    let bytes = words.iter().flat_map(|word| word.bytes().chain([0]));
    let mixed =
        bytes.fold(0xcbf2_9ce4_8422_2325u64, |mixed, byte| (mixed ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{mixed:016x}")
}
