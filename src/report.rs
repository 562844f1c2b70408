//! What the library says: the answer to a wrong or a helpful GREENPATCH_OPTIONS, and the statistics at exit.
//!
//! The statistics belong to one process. Without `%p` in its path a forked child writes nothing, and an executed one neither: the
//! owner's pid stands in the options that children inherit (an exec without fork keeps the pid, and so the right to write).

use crate::config::{self, Options, Wrong};
use crate::environment::Environment;
use crate::{hooks, runtime, sys};
use once_cell::race::OnceBox;
use std::ffi::CString;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

const VARIABLE: &str = "GREENPATCH_OPTIONS";
const OWNER: &str = "stats_owner=";

/// Parses the options; `None` (said in one line on stderr): run natively.
pub fn options(environment: &mut Environment) -> Option<Options<'static>> {
    let Some(value) = environment.get(VARIABLE) else { return Some(Options::DEFAULT) };
    let Ok(text) = value.to_str() else {
        complain("it is not UTF-8");
        return None;
    };
    let own: &'static str = text.split_once(OWNER).map_or(text, |(before, _)| before);
    match config::parse(own) {
        Ok(options) => {
            if options.help {
                help();
            }
            Some(options)
        }
        Err(wrong) => {
            complain(&describe(&wrong));
            None
        }
    }
}

fn describe(wrong: &Wrong) -> String {
    match wrong {
        Wrong::NoValue(part) => format!("'{part}' is not of the form key=value"),
        Wrong::UnknownKey(key) => {
            let known: Vec<&str> = config::HELP.iter().map(|(name, ..)| *name).collect();
            format!("unknown option '{key}' (known: {})", known.join(", "))
        }
        Wrong::Value { key, value, expects } => format!("{key}={value}: expected {expects}"),
        Wrong::Key => String::new(),
    }
}

fn complain(what: &str) {
    sys::write_all(2, format!("greenpatch: {VARIABLE}: {what}; running natively\n").as_bytes());
}

/// The option is set, and the kernel cannot.
pub fn refuse_inline() {
    let what = "inline=1 needs Syscall User Dispatch from a range of addresses (Linux 6.17); running without it";
    sys::write_all(2, format!("greenpatch: {VARIABLE}: {what}\n").as_bytes());
}

fn help() {
    let mut text = format!("greenpatch {}: {VARIABLE}=key=value:key=value\n", env!("CARGO_PKG_VERSION"));
    for (name, placeholder, meaning) in config::HELP {
        text += &format!("  {name}={placeholder}\n      {meaning}\n");
    }
    sys::write_all(2, text.as_bytes());
}

/// Where the statistics go, and whose they are.
struct Destination {
    path: CString,
    /// `None`: every process writes its own.
    owner: Option<i32>,
}

static DESTINATION: OnceBox<Destination> = OnceBox::new();
static WRITTEN_BY: AtomicI32 = AtomicI32::new(0);

/// Takes down where the statistics are to go, from the program's first directory.
pub fn prepare(environment: &mut Environment, options: &Options<'static>) {
    let Some(path) = options.stats else { return };
    let owner = (!path.contains("%p")).then(|| own(environment));
    let full = if path.starts_with('/') { path.to_string() } else { format!("{}/{path}", sys::working_directory()) };
    if let Ok(path) = CString::new(full) {
        DESTINATION.set(Box::new(Destination { path, owner })).ok();
    }
}

/// The process that the statistics belong to: the one that the environment names, or from now on this one.
fn own(environment: &mut Environment) -> i32 {
    let text = environment.get(VARIABLE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if let Some((_, owner)) = text.split_once(OWNER) {
        return owner.parse().unwrap_or(0);
    }
    let me = sys::process_id();
    environment.replace(VARIABLE, &format!("{text}:{OWNER}{me}"));
    me
}

/// Writes the statistics, once in a process.
pub fn write() {
    let Some(destination) = DESTINATION.get() else { return };
    let me = sys::process_id();
    let mine = destination.owner.is_none_or(|owner| owner == me);
    if !mine || WRITTEN_BY.swap(me, Relaxed) == me {
        return;
    }
    let path = destination.path.to_string_lossy().replace("%p", &me.to_string());
    let Ok(path) = CString::new(path) else { return };
    if let Ok(fd) = sys::create(&path) {
        sys::write_all(fd, text(me).as_bytes());
        sys::close(fd);
    }
}

fn text(pid: i32) -> String {
    let sums = runtime::stats::sums(hooks::NAMES.len());
    let called = hooks::NAMES.iter().zip(&sums.calls).filter(|(_, calls)| **calls > 0);
    let calls: serde_json::Map<String, serde_json::Value> =
        called.map(|(name, calls)| (name.to_string(), (*calls).into())).collect();
    let object = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": pid,
        "started": runtime::started(),
        "workers": runtime::start::workers(),
        "entries": hooks::entries::count(),
        "inline": runtime::inline::is_on(),
        "inline_calls": runtime::inline::calls(),
        "green_threads": sums.green_threads,
        "green_threads_peak": sums.green_threads_peak,
        "parks": sums.parks,
        "switches": sums.switches,
        "hand_overs": sums.hand_overs,
        "kernel_threads_peak": sums.kernel_threads_peak,
        "hooks": calls,
    });
    format!("{object}\n")
}
