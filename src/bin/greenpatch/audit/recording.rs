//! Recordings, read: what the library wrote (`audit::format`), as values of Rust.
//!
//! The process may still write, or may have been killed in the midst of it. So the file is copied first, an entry that was being written is
//! left out, and nothing in it is trusted to be text or to lie within bounds.

use std::fs;
use std::mem::size_of;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU8, Ordering::Relaxed};

use crate::shared::audit_format::{self as format, gil, kind, Recording};
use crate::words::shown;

/// What one process recorded.
pub struct Recorded {
    pub file: PathBuf,
    pub process: i32,
    pub program: String,
    pub command: String,
    /// Times of the monotonic clock.
    pub began_ns: u64,
    pub last_ns: u64,
    pub threshold_ns: u64,
    pub ended: bool,
    pub python: bool,
    pub calls: u64,
    pub lost: u64,
    pub modules: Vec<Module>,
    pub loops: Vec<Loop>,
    pub sites: Vec<Site>,
    pub findings: Vec<Finding>,
    /// The latest long calls.
    pub ring: Vec<Long>,
}

/// A mapped object.
pub struct Module {
    pub start: u64,
    pub end: u64,
    pub base: u64,
    pub build_id: String,
    pub path: String,
}

/// An event loop.
pub struct Loop {
    pub thread: i32,
    pub name: String,
    pub call: u32,
    pub caller: u64,
    pub first_ns: u64,
    pub turns: u64,
    pub longest_ns: u64,
    pub classes: Vec<u32>,
    pub blocked_ns: u64,
    pub computing_ns: u64,
    pub no_cpu_ns: u64,
}

/// The sums of a site.
pub struct Site {
    pub name: String,
    pub caller: u64,
    pub threads: u32,
    pub count: u64,
    pub total_ns: u64,
    pub worst_ns: u64,
    pub classes: Vec<u32>,
}

/// The sums of a finding, and its worst call.
pub struct Finding {
    pub count: u64,
    pub total_ns: u64,
    pub threads: u32,
    pub held: u32,
    pub released: u32,
    pub reacquire_worst_ns: u64,
    pub classes: Vec<u32>,
    pub worst: Long,
}

/// One long call.
pub struct Long {
    pub call: u32,
    pub name: String,
    pub thread: i32,
    pub thread_name: String,
    pub ended_ns: u64,
    pub duration_ns: u64,
    /// In nanoseconds; negative numbers are `format`'s.
    pub timeout_ns: i64,
    pub result: i64,
    pub errno: i32,
    pub fd: i32,
    pub fd_kind: &'static str,
    pub gil: &'static str,
    pub local: String,
    pub peer: String,
    pub path: String,
    pub frames: Vec<u64>,
    /// The innermost first: file, line, function.
    pub python: Vec<(String, u32, String)>,
}

impl Long {
    /// What is known of a site's longest call, which was too short to be kept.
    pub fn of_site(site: &Site) -> Long {
        Long {
            call: 0,
            name: site.name.clone(),
            thread: 0,
            thread_name: String::new(),
            ended_ns: 0,
            duration_ns: site.worst_ns,
            timeout_ns: format::UNKNOWN_TIMEOUT,
            result: 0,
            errno: 0,
            fd: -1,
            fd_kind: "unknown",
            gil: "none",
            local: String::new(),
            peer: String::new(),
            path: String::new(),
            frames: vec![site.caller],
            python: Vec::new(),
        }
    }
}

/// Reads a field of text.
fn text(field: &[AtomicU8]) -> String {
    let bytes: Vec<u8> = field.iter().map(|byte| byte.load(Relaxed)).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn classes(from: &[AtomicU32]) -> Vec<u32> {
    from.iter().map(|class| class.load(Relaxed)).collect()
}

/// Reads a recording. Fails with a sentence for the user that begins with the file's name.
pub fn read(file: &Path) -> Result<Recorded, String> {
    let name = shown(file);
    let bytes = fs::read(file).map_err(|error| format!("{name}: {error}."))?;
    let foreign = || format!("{name} is no recording of greenpatch's: record one by `greenpatch audit -- CMD`.");
    let first = bytes.first_chunk::<8>().map(|eight| u64::from_ne_bytes(*eight)).ok_or_else(foreign)?;
    const VERSION: u32 = 56;
    if first != format::MAGIC {
        let newer = first << 8 == format::MAGIC << 8;
        let which = first >> VERSION;
        return Err(if newer {
            format!("{name} is a recording of another version ({which}): read it with the greenpatch that made it.")
        } else {
            foreign()
        });
    }
    if bytes.len() != size_of::<Recording>() {
        return Err(format!(
            "{name} is cut off, or of another build: it has {} bytes, and {} make a recording.",
            bytes.len(),
            size_of::<Recording>()
        ));
    }
    // A vector of bytes need not lie as the structure must.
    let mut room = vec![0u128; bytes.len().div_ceil(64) * 4 + 4];
    let place = room.as_mut_ptr() as *mut u8;
    let place = place.wrapping_add(place.align_offset(64));
    // SAFETY: the room has as many bytes behind the aligned place; both are apart.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
    // SAFETY: aligned, of this size, and every field may have any bits.
    Ok(of(file, unsafe { &*(place as *const Recording) }))
}

fn of(file: &Path, recording: &Recording) -> Recorded {
    let header = &recording.header;
    let present = |key: u64| key != 0;
    Recorded {
        file: file.to_owned(),
        process: header.process.load(Relaxed),
        program: text(&header.program),
        command: text(&header.command),
        began_ns: header.began_ns.load(Relaxed),
        last_ns: header.last_ns.load(Relaxed),
        threshold_ns: header.threshold_ns.load(Relaxed),
        ended: header.ended.load(Relaxed) != 0,
        python: header.python.load(Relaxed) != 0,
        calls: header.calls.load(Relaxed),
        lost: header.lost.load(Relaxed),
        modules: recording.modules.iter().filter(|module| present(module.start.load(Relaxed))).map(module).collect(),
        loops: recording.loops.iter().filter(|entry| entry.turns.load(Relaxed) != 0).map(loop_of).collect(),
        sites: recording.sites.iter().filter(|site| present(site.count.load(Relaxed))).map(site).collect(),
        findings: recording.findings.iter().filter(|entry| present(entry.count.load(Relaxed))).map(finding).collect(),
        ring: recording.ring.iter().filter(|entry| is_whole(entry.turn.load(Relaxed))).map(long).collect(),
    }
}

/// Is an entry of the ring there, and not being written?
fn is_whole(turn: u32) -> bool {
    turn != 0 && turn.is_multiple_of(2)
}

fn module(module: &format::Module) -> Module {
    let id = &module.id[..(module.id_bytes.load(Relaxed) as usize).min(module.id.len())];
    Module {
        start: module.start.load(Relaxed),
        end: module.end.load(Relaxed),
        base: module.base.load(Relaxed),
        build_id: id.iter().map(|byte| format!("{:02x}", byte.load(Relaxed))).collect(),
        path: text(&module.path),
    }
}

fn loop_of(entry: &format::Loop) -> Loop {
    Loop {
        thread: entry.thread.load(Relaxed),
        name: text(&entry.name),
        call: entry.call.load(Relaxed),
        caller: entry.caller.load(Relaxed),
        first_ns: entry.first_ns.load(Relaxed),
        turns: entry.turns.load(Relaxed),
        longest_ns: entry.longest_ns.load(Relaxed),
        classes: classes(&entry.classes),
        blocked_ns: entry.blocked_ns.load(Relaxed),
        computing_ns: entry.computing_ns.load(Relaxed),
        no_cpu_ns: entry.no_cpu_ns.load(Relaxed),
    }
}

fn site(site: &format::Site) -> Site {
    Site {
        name: text(&site.name),
        caller: site.caller.load(Relaxed),
        threads: site.threads.load(Relaxed).count_ones(),
        count: site.count.load(Relaxed),
        total_ns: site.total_ns.load(Relaxed),
        worst_ns: site.worst_ns.load(Relaxed),
        classes: classes(&site.classes),
    }
}

fn finding(entry: &format::Finding) -> Finding {
    Finding {
        count: entry.count.load(Relaxed),
        total_ns: entry.total_ns.load(Relaxed),
        threads: entry.threads.load(Relaxed).count_ones(),
        held: entry.held.load(Relaxed),
        released: entry.released.load(Relaxed),
        reacquire_worst_ns: entry.reacquire_worst_ns.load(Relaxed),
        classes: classes(&entry.classes),
        worst: long(&entry.worst),
    }
}

fn long(long: &format::Long) -> Long {
    let depth = (long.depth.load(Relaxed) as usize).min(format::FRAMES);
    let frame = |line: &str| {
        let mut parts = line.splitn(3, '\t');
        Some((parts.next()?.to_owned(), parts.next()?.parse().ok()?, parts.next()?.to_owned()))
    };
    Long {
        call: long.call.load(Relaxed),
        name: text(&long.name),
        thread: long.thread.load(Relaxed),
        thread_name: text(&long.thread_name),
        ended_ns: long.ended_ns.load(Relaxed),
        duration_ns: long.duration_ns.load(Relaxed),
        timeout_ns: long.timeout_ns.load(Relaxed),
        result: long.result.load(Relaxed),
        errno: long.errno.load(Relaxed),
        fd: long.fd.load(Relaxed),
        fd_kind: kind::NAMES.get(long.fd_kind.load(Relaxed) as usize).copied().unwrap_or("unknown"),
        gil: match long.gil.load(Relaxed) {
            gil::RELEASED => "released",
            gil::HELD => "held",
            _ => "none",
        },
        local: text(&long.local),
        peer: text(&long.peer),
        path: text(&long.path),
        frames: long.frames[..depth].iter().map(|frame| frame.load(Relaxed)).collect(),
        python: text(&long.python).lines().filter_map(frame).collect(),
    }
}
