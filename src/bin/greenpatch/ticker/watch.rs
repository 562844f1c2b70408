//! One run of a program at a tarpit, watched from outside: its ticks as they come, its kernel threads, and what it waits for.
//!
//! ```text
//!   start ──► connected ── the wait: `seconds` ──► the tarpit ends ──► the program ends, or is ended after GRACE
//!        ≤ PATIENCE        dots, threads            by itself
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::mem::{offset_of, size_of};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::tarpit::{now_ns, Kind, Tarpit};
use crate::shared::dump::list::Thread;
use crate::shared::ticks::{Ticks, MARK, MOST};
use crate::threads;

/// The name of the library's thread.
const NAME: &str = "gp-ticker";
/// How long a program may take until it has connected.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a program may go on once the tarpit has ended: longer than a connection is tried again for (1, 3 and 7 seconds).
const GRACE: Duration = Duration::from_secs(8);
/// How long a program may take that was asked to end.
const LAST: Duration = Duration::from_secs(1);
/// How long a wait must be to be seen in the list of green threads, in nanoseconds.
const SOON_NS: u64 = 40_000_000;
/// How often a program is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A green thread that waits.
pub struct Parked {
    /// The call, as the library exports it; empty where the frames do not tell.
    pub call: String,
    /// `parked`, or `in a call`.
    pub state: String,
    /// The reason in words.
    pub reason: String,
    /// Where the call was made, the innermost first.
    pub stack: Vec<String>,
}

/// What one run showed.
pub struct Seen {
    pub status: ExitStatus,
    /// The program connected, or, where no connection is accepted, was loaded.
    pub has_waited: bool,
    /// The program had to be ended.
    pub was_ended: bool,
    /// The ticks during the wait, and the longest time without one, in nanoseconds.
    pub ticks: usize,
    pub gap_ns: u64,
    /// How long the wait was, and when it was over.
    pub wait_ns: u64,
    pub ended_ns: u64,
    /// The most kernel threads until then.
    pub kernel_threads: usize,
    /// The ticker ticked as a green thread.
    pub is_green: bool,
    /// Green: what the program's thread waited for.
    pub parked: Option<Parked>,
}

/// The file of ticks.
pub struct TickFile(File);

impl TickFile {
    /// Makes the file.
    pub fn new(path: &Path) -> io::Result<TickFile> {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        file.set_len(size_of::<Ticks>() as u64)?;
        file.write_all_at(&MARK.to_le_bytes(), offset_of!(Ticks, mark) as u64)?;
        Ok(TickFile(file))
    }

    fn word(&self, at: usize) -> u64 {
        let mut word = [0; 8];
        self.0.read_exact_at(&mut word, at as u64).map_or(0, |()| u64::from_le_bytes(word))
    }

    /// Returns the times of all ticks.
    pub fn times(&self) -> Vec<u64> {
        let count = (self.word(offset_of!(Ticks, count)) as usize).min(MOST);
        (0..count).map(|at| self.word(offset_of!(Ticks, times) + at * 8)).collect()
    }

    /// Has the ticker end with its next tick.
    fn end(&self) {
        let _ = self.0.write_all_at(&1u32.to_le_bytes(), offset_of!(Ticks, ends) as u64);
    }
}

/// Runs a command at a tarpit until it has ended. Its output goes to stderr, for stdout has the dots. Fails as the start of it fails.
pub fn run(command: &mut Command, tarpit: Tarpit, kind: Kind, ticks: &TickFile, seconds: f64) -> io::Result<Seen> {
    let to_stderr = || io::stderr().as_fd().try_clone_to_owned().map(Stdio::from);
    command.stdin(Stdio::null()).stdout(to_stderr()?).stderr(to_stderr()?);
    let mut child = command.spawn()?;
    let pid = child.id();
    let (started, mut kernel_threads, mut shown) = (Instant::now(), 0, 0);
    let (mut began_ns, mut parked) = (0, None);
    let wait_ns = (seconds * 1e9) as u64;
    // When the green threads are listed: soon, for a program may not wait for long, in the midst, and at the end.
    let looks = [SOON_NS.min(wait_ns), wait_ns / 2, wait_ns];
    let mut looked = 0;
    while child.try_wait()?.is_none() {
        if began_ns == 0 {
            began_ns = match kind {
                Kind::NeverAccept => ticks.word(offset_of!(Ticks, began_ns)),
                _ => tarpit.connected_ns().unwrap_or(0),
            };
        }
        kernel_threads = kernel_threads.max(kernel_threads_of(pid));
        if began_ns != 0 {
            shown = dots(ticks, began_ns, shown);
            let waited_ns = now_ns().saturating_sub(began_ns);
            // A list costs some milliseconds.
            if looks.get(looked).is_some_and(|at| waited_ns >= *at) {
                looked += 1;
                // A thread that is just being woken has no frames to tell its call by: an earlier look has them.
                let now = waiting(pid, tarpit.port).filter(|now| parked.is_none() || !now.call.is_empty());
                parked = now.or(parked);
            }
            if waited_ns >= wait_ns {
                break;
            }
        } else if started.elapsed() >= PATIENCE {
            break;
        }
        sleep(LOOK);
    }
    if began_ns == 0 {
        began_ns = tarpit.connected_ns().unwrap_or(0);
    }
    let ended_ns = now_ns();
    dots(ticks, began_ns, shown);
    println!();
    // The ticks are read before the program goes on.
    let times = ticks.times();
    let green = ticks.word(offset_of!(Ticks, green)) as u32 == 1;
    ticks.end();
    tarpit.end();
    let (status, was_ended) = end(&mut child, if began_ns == 0 { Duration::ZERO } else { GRACE })?;
    let inside: Vec<u64> = times.into_iter().filter(|ns| began_ns != 0 && (began_ns..ended_ns).contains(ns)).collect();
    let bounds = [&[began_ns], &inside[..], &[ended_ns]].concat();
    Ok(Seen {
        status,
        has_waited: began_ns != 0,
        was_ended,
        ticks: inside.len(),
        gap_ns: bounds.windows(2).map(|two| two[1].saturating_sub(two[0])).max().unwrap_or(0),
        wait_ns: ended_ns.saturating_sub(began_ns),
        ended_ns,
        kernel_threads,
        is_green: green,
        parked,
    })
}

/// Shows a dot for each tick since `began_ns` that has none yet. Returns how many there are.
fn dots(ticks: &TickFile, began_ns: u64, shown: usize) -> usize {
    let count = ticks.times().iter().filter(|ns| began_ns != 0 && **ns >= began_ns).count();
    let mut stdout = io::stdout();
    // A reader that has gone away is no reason to fail.
    let _ = stdout.write_all(".".repeat(count.saturating_sub(shown)).as_bytes()).and_then(|()| stdout.flush());
    count.max(shown)
}

/// Waits for a program's end, which comes by itself, or else by SIGTERM after some time, and by SIGKILL at last.
fn end(child: &mut Child, grace: Duration) -> io::Result<(ExitStatus, bool)> {
    for (signal, time) in [(None, grace), (Some(libc::SIGTERM), LAST)] {
        if let Some(signal) = signal {
            // SAFETY: sends a signal to a child that was not waited for yet.
            unsafe { libc::kill(child.id() as i32, signal) };
        }
        let from = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok((status, signal.is_some()));
            }
            if from.elapsed() >= time {
                break;
            }
            sleep(LOOK);
        }
    }
    child.kill()?;
    child.wait().map(|status| (status, true))
}

/// Counts a process's kernel threads; 0: it has ended.
fn kernel_threads_of(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// Finds the green thread that waits for the tarpit: one whose reason names the port, else one that waits for descriptors, else any
/// other but the ticker and who joins. `None`: there is none, or the process is not green.
fn waiting(pid: u32, port: u16) -> Option<Parked> {
    let peer = format!("127.0.0.1:{port})");
    let rank = |thread: &Thread| {
        let reason = thread.reason.as_ref().filter(|_| thread.name != NAME)?;
        Some(match reason.kind.as_str() {
            "join" | "nothing" => return None,
            _ if reason.words.contains(&peer) => 3,
            "readable" | "writable" | "poll" => 2,
            _ => 1,
        })
    };
    let all = threads::threads(pid).ok()?;
    let thread = all.iter().filter(|thread| rank(thread).is_some()).max_by_key(|thread| rank(thread))?;
    let mut call = String::new();
    let mut stack = Vec::new();
    for place in thread.frames.iter().filter_map(|frame| frame.place.as_ref()) {
        let Some(function) = &place.function else { continue };
        if crate::words::short(&place.path).starts_with(crate::library::LIBRARY) {
            call.clone_from(function);
        } else {
            stack.push(format!("{}:{function}+{:#x}", crate::words::short(&place.path), place.offset));
        }
    }
    let reason = thread.reason.as_ref()?.words.clone();
    Some(Parked { call, state: thread.state.clone(), reason, stack })
}
