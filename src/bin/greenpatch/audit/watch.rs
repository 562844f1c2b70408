//! The watch over an audit's programs while they run: what each thread waits in is looked at while it can be seen, for a process that was
//! killed tells nothing any more; and reports of now are written when a signal asks for one, or when nothing has moved for long.
//!
//! A thread of the command's own looks every `PERIOD`. A call that is there at two looks is completed (`live`), once: its stack, descriptor
//! and lock are kept, and join the report where the process ends within the call.
//!
//! ```text
//!   a call is, at a look    known as              becomes
//!   not seen before         -                     young
//!   young, still the same   young                 kept, with what `live` tells; or gone, where its thread is
//!   kept, still the same    kept                  kept
//!   another one             any                   forgotten; the other is young
//! ```

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::live::Live;
use super::recording::{Glance, Open, Recorded};

/// How often the programs are looked at.
const PERIOD: Duration = Duration::from_millis(100);
/// How many processes are looked at at most: a program of thousands is not watched whole.
const PROCESSES: usize = 64;

/// The signal has come that asks for a report of now.
static ASKED: AtomicBool = AtomicBool::new(false);

/// Notes that a report of now is asked for. Called as the handler of a signal.
extern "C" fn asked(_: libc::c_int) {
    ASKED.store(true, Relaxed);
}

/// Takes a signal for reports of now. Called once the program has been started: it must not inherit a signal that is ignored.
pub fn take(signal: i32) {
    let handler: extern "C" fn(libc::c_int) = asked;
    // SAFETY: changes this process's disposition only, to a function that stores a word.
    unsafe { libc::signal(signal, handler as libc::sighandler_t) };
}

/// A call as it was at the last look.
struct Known {
    ticks: u64,
    open: Option<Open>,
    /// Was its thread found to be gone?
    gone: bool,
}

/// A process that is watched.
struct Process {
    live: Option<Live>,
    calls: HashMap<usize, Known>,
    /// When it was seen alive last, CLOCK_MONOTONIC in nanoseconds.
    alive_ns: u64,
}

/// What the watch has seen: by the recording's file.
#[derive(Default)]
pub struct Seen(HashMap<PathBuf, Process>);

/// The watch, which goes on until `end`.
pub struct Watch {
    stop: Sender<()>,
    thread: JoinHandle<Seen>,
}

impl Watch {
    /// Begins to watch the recordings of a folder. `dump` writes a report of now: it is called on the watch's thread, for each signal and
    /// each time that no call has begun or ended for `hang`.
    pub fn begin(folder: PathBuf, hang: Option<Duration>, mut dump: impl FnMut() + Send + 'static) -> Watch {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut seen = Seen::default();
            let mut glance = Glance::new();
            let mut still = (0, Instant::now(), false);
            while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                let moves = seen.look(&folder, &mut glance);
                if moves != still.0 {
                    still = (moves, Instant::now(), false);
                }
                let hangs = hang.is_some_and(|hang| !still.2 && moves != 0 && still.1.elapsed() >= hang);
                if ASKED.swap(false, Relaxed) || hangs {
                    still.2 |= hangs;
                    dump();
                }
            }
            seen
        });
        Watch { stop, thread }
    }

    /// Ends the watch, and returns what it has seen.
    pub fn end(self) -> Seen {
        drop(self.stop);
        self.thread.join().unwrap_or_default()
    }
}

impl Seen {
    /// Looks at every process once. Returns a mix of the calls that go on: the same number twice means that nothing has moved; 0: there is
    /// none.
    fn look(&mut self, folder: &Path, glance: &mut Glance) -> u64 {
        let mut moves = 0u64;
        let Ok(entries) = fs::read_dir(folder) else { return 0 };
        for file in entries.flatten().map(|entry| entry.path()) {
            if !self.0.contains_key(&file) && self.0.len() >= PROCESSES {
                continue;
            }
            let Some(recorded) = glance.look(&file) else { continue };
            // What is seen of a process that has ended, or executes another program, stays as it is.
            if recorded.ended {
                continue;
            }
            let process = self.0.entry(file).or_insert(Process { live: None, calls: HashMap::new(), alive_ns: 0 });
            if fs::exists(format!("/proc/{}", recorded.process)).unwrap_or(false) {
                process.alive_ns = recorded.clock.last[1];
                process.look(&recorded);
                for open in &recorded.open {
                    moves = (moves ^ open.ticks).wrapping_mul(0x100_0000_01b3).wrapping_add(open.at as u64 + 1);
                }
            }
        }
        moves
    }

    /// Adds to a recording, whose process has ended, what was seen of the calls that it ended in. `over_ns`: when the command was told of
    /// its end, where it was.
    pub fn complete(&self, recorded: &mut Recorded, over_ns: Option<u64>) {
        let Some(process) = self.0.get(&recorded.file).filter(|_| !recorded.lives) else { return };
        recorded.open.retain_mut(|open| {
            let known = process.calls.get(&open.at).filter(|known| known.ticks == open.ticks);
            if let Some(seen) = known.and_then(|known| known.open.as_ref()) {
                *open = seen.clone();
            }
            known.is_none_or(|known| !known.gone)
        });
        process.live.iter().for_each(|live| live.tell_modules(recorded));
        if !recorded.ended {
            recorded.over_ns = over_ns.unwrap_or(process.alive_ns).max(recorded.over_ns);
        }
    }
}

impl Process {
    /// Looks at a process's calls.
    fn look(&mut self, recorded: &Recorded) {
        self.calls.retain(|at, known| recorded.open.iter().any(|open| open.at == *at && open.ticks == known.ticks));
        let mut is_fresh = false;
        for open in &recorded.open {
            match self.calls.get_mut(&open.at) {
                None => _ = self.calls.insert(open.at, Known { ticks: open.ticks, open: None, gone: false }),
                Some(known) if known.open.is_none() && !known.gone => {
                    // What is mapped may be more by now.
                    if !is_fresh {
                        is_fresh = true;
                        match &mut self.live {
                            Some(live) => live.refresh(),
                            None => self.live = Live::open(recorded).unwrap_or(None),
                        }
                    }
                    let Some(live) = &mut self.live else { return };
                    let mut open = open.clone();
                    if live.complete(&mut open) {
                        known.open = Some(open);
                    } else {
                        known.gone = !live.has(open.long.thread);
                    }
                }
                Some(_) => {}
            }
        }
    }
}
