//! `audit --pid`: a process that has the recorder loaded and idle is recorded for a while.
//!
//! Nothing is sent to the process. Its recording is a file that it has mapped, and so is found in /proc/PID/maps; the recorder looks at a
//! word of it (`audit::format::Switch`) before each call, and the command writes that word:
//!
//! ```text
//!   the word   the recorder            written by
//!   0          is idle                 the library, at load (idle=1); the command, when it has recorded
//!   1          records                 the library, at load; the command
//! ```

use std::fs::{self, File};
use std::mem::{offset_of, size_of};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::library::LIBRARY;
use crate::shared::audit_format::{Header, Recording, MAGIC};

/// An interrupt has come.
static ENOUGH: AtomicBool = AtomicBool::new(false);

/// Notes that it is enough. Called as the handler of a signal.
extern "C" fn enough(_: libc::c_int) {
    ENOUGH.store(true, Relaxed);
}

/// Finds the recording that a process has mapped. Fails with a sentence for the user that says what is missing.
pub fn find(pid: i32) -> Result<PathBuf, String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).map_err(|why| match why.raw_os_error() {
        Some(libc::EACCES) => format!("process {pid} may not be looked at by this user."),
        _ => format!("there is no process {pid}."),
    })?;
    let mut gone = false;
    for line in maps.lines().filter(|line| line.split_ascii_whitespace().nth(1) == Some("rw-s")) {
        let Some(path) = line.find('/').map(|at| &line[at..]) else { continue };
        let is_recording = File::open(path).is_ok_and(|file| {
            let mut first = [0u8; 8];
            let is_long = file.metadata().is_ok_and(|known| known.len() == size_of::<Recording>() as u64);
            is_long && file.read_exact_at(&mut first, 0).is_ok() && u64::from_ne_bytes(first) == MAGIC
        });
        if is_recording {
            return Ok(PathBuf::from(path));
        }
        gone |= path.ends_with(" (deleted)");
    }
    let how = "GREENPATCH_OPTIONS=audit=PATH:idle=1";
    Err(match maps.lines().any(|line| line.contains(LIBRARY)) {
        true if gone => format!("the recording of process {pid} has been deleted, or is another version's."),
        true => format!("process {pid} has greenpatch loaded without a recorder: start it with {how}."),
        false => format!("process {pid} has not loaded greenpatch: start it with LD_PRELOAD={LIBRARY} and {how}."),
    })
}

/// Where the switch lies in a recording.
const SWITCH: u64 = (offset_of!(Recording, header) + offset_of!(Header, switch)) as u64;

/// Records for so long, or until an interrupt, or the process's end. Returns whether the recorder was idle before, and is again.
pub fn record(pid: i32, recording: &Path, seconds: Option<u64>) -> Result<bool, String> {
    let cannot = |why: std::io::Error| format!("{}: {why}.", recording.display());
    let file = File::options().read(true).write(true).open(recording).map_err(cannot)?;
    let mut word = [0u8; 4];
    file.read_exact_at(&mut word, SWITCH).map_err(cannot)?;
    let was_idle = word == [0; 4];
    let set = |on: u32| file.write_all_at(&on.to_ne_bytes(), SWITCH).map_err(cannot);
    let handler: extern "C" fn(libc::c_int) = enough;
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: changes this process's disposition only, to a function that stores a word.
        unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    }
    set(1)?;
    let began = Instant::now();
    let is_over = || seconds.is_some_and(|seconds| began.elapsed() >= Duration::from_secs(seconds));
    while !is_over() && !ENOUGH.load(Relaxed) && fs::exists(format!("/proc/{pid}")).unwrap_or(false) {
        const PERIOD: Duration = Duration::from_millis(50);
        thread::sleep(PERIOD);
    }
    if was_idle {
        set(0)?;
    }
    Ok(was_idle)
}
