//! The proof that programs run green here: this command, run by itself with the library.
//!
//! ```text
//!    greenpatch doctor ── LD_PRELOAD, stats=/proc/self/fd/1 ──► greenpatch doctor --proof: THREADS threads that sleep for a moment
//!          ▲                                                              │ at its end the library writes the statistics
//!          └───────────────── green_threads ≥ THREADS? ◄──────────────────┘
//! ```
//!
//! Everything else that doctor tells is asked of the kernel; this shows that it comes together. The other process ends by itself after
//! SECONDS, should a thread never wake.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::probe::{Probe, State};
use crate::failure::Failure;
use crate::{library, options};

/// Tells where the library is, and whether other users can read it, its folders included. A program that changes its user and executes
/// another has the library opened as that user.
pub fn library(path: &Path) -> Probe {
    let readable = path.ancestors().all(|part| {
        fs::metadata(part).is_ok_and(|facts| {
            let wanted = if facts.is_dir() { 0o001 } else { 0o004 };
            facts.permissions().mode() & wanted != 0
        })
    });
    let state = if readable { State::Fact } else { State::Limit };
    let who =
        if readable { "" } else { ", which other users cannot read: programs that change their user run natively" };
    Probe::new(state, "library", format!("{}{who}", path.display()))
}

/// How many threads make the proof.
const THREADS: u64 = 4;
/// How many seconds the proof may take.
const SECONDS: u32 = 20;

/// Makes threads that wait for a moment: the job of `doctor --proof`, which `run` starts with the library. Returns when they have ended.
pub fn wait_in_threads() {
    // SAFETY: it sets a timer of this process's own.
    unsafe { libc::alarm(SECONDS) };
    let threads = (0..THREADS).map(|_| std::thread::spawn(|| std::thread::sleep(Duration::from_millis(1))));
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap_or(()));
}

/// Runs `wait_in_threads` in another process with the library at `path`, behind what is preloaded anyway, and looks at that process's
/// statistics. `State::Bad` where it cannot be run, ends badly, or its threads stayed native: then with the library's reason, and what it
/// said.
pub fn run(path: &Path) -> Probe {
    let probe = |state, says: String| Probe::new(state, "proof", says);
    let command = env::current_exe().unwrap_or_default();
    let preload = match library::preload(path, env::var_os("LD_PRELOAD")) {
        Ok(preload) => preload,
        Err(Failure(_, sentence)) => return probe(State::Bad, sentence),
    };
    let output = Command::new(command)
        .args(["doctor", "--proof"])
        .env("LD_PRELOAD", preload)
        .env(options::VARIABLE, "stats=/proc/self/fd/1")
        .output();
    let output = match output {
        Ok(output) => output,
        Err(why) => return probe(State::Bad, format!("this command could not be run with the library: {why}")),
    };
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    if !output.status.success() {
        return probe(State::Bad, format!("this command with the library ended with {}. {said}", output.status));
    }
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let figure = |name: &str| figures[name].as_u64().unwrap_or(0);
    // Another preloaded library may make threads of its own.
    if figure("green_threads") >= THREADS {
        let [parks, threads, entries] = ["parks", "kernel_threads_peak", "entries"].map(figure);
        let says = format!(
            "{THREADS} threads ran green here: {parks} parks, {threads} kernel threads, {entries} entries of libc"
        );
        probe(State::On, says)
    } else {
        let why = figures["native"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
        probe(State::Bad, format!("{THREADS} threads stayed native with the library{why}. {said}"))
    }
}
