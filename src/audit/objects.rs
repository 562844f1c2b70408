//! The list of files of which instructions are mapped: among them are those that make system calls by instructions of their own, whose
//! waits nobody sees here. `greenpatch audit` names them at its end.
//!
//! Read from /proc/self/maps: at load, at the process's end, and behind long calls, after a second, two, four and so on. So what a process
//! that was killed had loaded is known as it was at one of its long calls. Reading takes no lock of the loader's.

use crate::audit::format::{Object, Recording};
use crate::audit::{blocks, text};
use crate::sys;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The state of this file.
struct State {
    /// How long the process may have been recorded until it is read again behind a long call, in nanoseconds.
    next_ns: AtomicU64,
}

static STATE: State = State { next_ns: AtomicU64::new(FIRST_NS) };

/// When it is read first behind a long call.
const FIRST_NS: u64 = 1_000_000_000;

/// Reads the list anew, where it is time. Called behind a long call.
pub fn read_now_and_then(recording: &Recording, now_ns: u64) {
    let State { next_ns } = &STATE;
    let next = next_ns.load(Relaxed);
    let since = now_ns.saturating_sub(recording.header.began_ns.load(Relaxed));
    if since >= next && next_ns.compare_exchange(next, since * 2, Relaxed, Relaxed).is_ok() {
        read(recording);
    }
}

/// Reads what is mapped, and adds what is new. Two threads that do so at one moment may add a file twice.
pub fn read(recording: &Recording) {
    let Ok(fd) = sys::open(c"/proc/self/maps", libc::O_RDONLY) else { return };
    let mut room = [0u8; 4096];
    let (mut filled, mut at) = (0, 0);
    while let Ok(more @ 1..) = sys::file::read_at(fd, &mut room[filled..], at) {
        (filled, at) = (filled + more, at + more as u64);
        let end = room[..filled].iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        room[..end].split(|byte| *byte == b'\n').filter_map(file_of).for_each(|path| add(recording, path));
        // A line that fills the room is cut: no path is so long.
        let rest = if end == 0 && filled == room.len() { filled } else { end };
        room.copy_within(rest..filled, 0);
        filled -= rest;
    }
    sys::close(fd);
}

/// Returns the file of a line of /proc/self/maps, if instructions of it are mapped: `START-END r-xp OFFSET DEVICE INODE   PATH`.
fn file_of(line: &[u8]) -> Option<&[u8]> {
    let rights = line.split(|byte| *byte == b' ').nth(1)?;
    let path = line.iter().position(|byte| *byte == b'/').map(|at| &line[at..])?;
    (rights.get(2) == Some(&b'x')).then_some(path)
}

/// Adds a file, unless it is there.
fn add(recording: &Recording, path: &[u8]) {
    let count = &recording.header.objects;
    let known = (count.load(Relaxed) as usize).min(recording.objects.len());
    let cut = &path[..path.len().min(255)];
    let is = |object: &Object| {
        let same = object.path.iter().zip(cut).all(|(byte, wanted)| byte.load(Relaxed) == *wanted);
        same && object.path[cut.len()].load(Relaxed) == 0
    };
    if recording.objects[..known].iter().any(is) {
        return;
    }
    match recording.objects.get(count.fetch_add(1, Relaxed) as usize) {
        Some(object) if blocks::is_ready(object) => text::write(&object.path, cut),
        _ => _ = recording.header.lost.fetch_add(1, Relaxed),
    }
}

/// Begins anew in a fork child.
pub fn after_fork() {
    let State { next_ns } = &STATE;
    next_ns.store(FIRST_NS, Relaxed);
}
