//! `greenpatch ticker`: a program waits for a server that does not answer, and a thread in it ticks meanwhile: natively, then green.
//!
//! ```text
//!    tarpit ◄── connection ── CMD, preloaded: waits ──────────► natively: the recorder of audit tells the call
//!                             └ the library's ticker thread     green: the list of the green threads does
//!                                 └► file of ticks ──► watch: dots as they come, kernel threads
//! ```
//!
//! Both runs have the library's thread in the process, which a program of one thread has not by itself: this is a test, and no clean run.

mod drivers;
mod matrix;
mod protocols;
mod tarpit;
mod watch;

use std::ffi::{c_int, OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use crate::audit::{preloaded, recording_into, startable, Folder, Recording, Waited};
use crate::failure::{Failure, FAILED};
use crate::library::{self, LIB_HELP};
use crate::words::{columns, print, shown, wrap};
use crate::{start, words};
use tarpit::{Kind, Tarpit, BEFORE_RESET};
use watch::{Seen, TickFile};

/// Calls of this many milliseconds are waits.
const THRESHOLD_MS: u64 = 20;
/// The exit status where the program did not wait.
const NOTHING: c_int = 1;

/// Run a program at a server that does not answer, natively and green, while a thread in it ticks
#[derive(clap::Args)]
#[command(override_usage = "greenpatch ticker [OPTIONS] -- CMD [ARG]... {host} {port}")]
pub struct Arguments {
    /// What the server does [default: silent, or what the driver's own kind does]
    #[arg(long, value_enum, value_name = "KIND")]
    tarpit: Option<Kind>,
    /// How many bytes the tarpit `reset` sends
    #[arg(long, value_name = "N", default_value_t = BEFORE_RESET)]
    bytes: usize,
    /// Ticks per second
    #[arg(long, value_name = "HZ", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    ticks_per_second: u32,
    /// How long the program is left waiting
    #[arg(long, value_name = "S", default_value = "2", value_parser = seconds)]
    seconds: f64,
    /// The library
    #[arg(long, value_name = "PATH", help = LIB_HELP)]
    lib: Option<PathBuf>,
    /// Ask this Python driver, as a thread, a greenlet and a task (--list: which there are)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["command", "bytes"])]
    driver: Vec<String>,
    /// Ask all drivers that are installed
    #[arg(long, conflicts_with_all = ["command", "bytes", "driver"])]
    all: bool,
    /// Only say which drivers there are, and what they need
    #[arg(long, conflicts_with_all = ["command", "tarpit", "bytes", "driver", "all"])]
    list: bool,
    /// The ways in which drivers are asked
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = drivers::WAYS, value_name = "WAY,...")]
    under: Vec<drivers::Way>,
    /// Have gevent, eventlet and asyncio lend their wait, as `greenpatch run --bridge` does; Python needs the package greenpatch
    #[arg(long, conflicts_with_all = ["command", "list"])]
    bridge: bool,
    /// The Python that has the drivers
    #[arg(long, value_name = "PYTHON", default_value = "python3")]
    python: PathBuf,
    /// A file with drivers of one's own, written as docs/audit.md shows
    #[arg(long, value_name = "FILE", conflicts_with = "command")]
    table: Option<PathBuf>,
    /// The result of drivers as JSON
    #[arg(long, conflicts_with = "command")]
    json: bool,
    /// The program and its arguments; {host} and {port} in them become the server's
    #[arg(required_unless_present_any = ["driver", "all", "list"], trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Listen on loopback as a tarpit does, and print host and port
#[derive(clap::Args)]
pub struct TarpitArguments {
    /// What the server does
    #[arg(value_enum, default_value = "silent")]
    kind: Kind,
    /// The port; 0: a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// How many bytes the tarpit `reset` sends
    #[arg(long, value_name = "N", default_value_t = BEFORE_RESET)]
    bytes: usize,
}

/// Listens until a signal ends the command, and prints the address at once. Fails where the port cannot be had.
pub fn tarpit(arguments: TarpitArguments) -> Result<(), Failure> {
    let tarpit = Tarpit::new(arguments.kind, arguments.port, arguments.bytes)
        .map_err(|why| failed(format!("port {} cannot be had: {why}.", arguments.port)))?;
    tell(&format!("127.0.0.1 {}", tarpit.port))?;
    tarpit.serve();
    Ok(())
}

/// Parses a number of seconds, from a tenth to a minute.
fn seconds(text: &str) -> Result<f64, String> {
    let in_range = |seconds: &f64| (0.1..=60.0).contains(seconds);
    text.parse().ok().filter(in_range).ok_or("a number of seconds from 0.1 to 60 is expected".into())
}

fn failed(sentence: impl Into<String>) -> Failure {
    Failure(FAILED, sentence.into())
}

/// A way in which the program is run.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Natively,
    Green,
}

/// Runs the program both ways and tells. Returns 0. Fails as `run` does where the program cannot be run, and with `NOTHING` where it did
/// not wait.
pub fn ticker(arguments: Arguments) -> Result<c_int, Failure> {
    if arguments.list {
        return list(&drivers::Table::new(&arguments.python, arguments.table.as_deref())?, arguments.json);
    }
    let library = library::find(arguments.lib.clone())?;
    if arguments.all || !arguments.driver.is_empty() {
        return ask(&arguments, &library);
    }
    if !arguments.command[1..].iter().any(|word| contains(word, b"{port}")) {
        return Err(failed("no word of the command has {port} in it, which becomes the port of the server."));
    }
    startable(&arguments.command[0], &library)?;
    let (native, waited) = run(&arguments, &library, Way::Natively)?;
    let (green, _) = run(&arguments, &library, Way::Green)?;
    side_by_side([&native, &green], waited.as_ref())?;
    tell(&wrap(&format!("Verdict: {}", verdict(kind(&arguments), &native, waited.as_ref(), &green)), "  ", columns()))?;
    Ok(0)
}

/// Returns the tarpit of a command.
fn kind(arguments: &Arguments) -> Kind {
    arguments.tarpit.unwrap_or(Kind::Silent)
}

/// Says which drivers there are, what they need, and what is not there.
fn list(table: &drivers::Table, as_json: bool) -> Result<c_int, Failure> {
    let rows = table.drivers.iter().map(|driver| matrix::driver(driver, &[])).collect();
    if as_json {
        tell(&format!("{:#}", matrix::json(table, (0.0, 0, false), rows)))?;
        return Ok(0);
    }
    for driver in &table.drivers {
        let state = match &driver.missing {
            Some(_) => format!("not installed: pip install {}", driver.install.join(" ")),
            None => {
                driver.versions.iter().map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>().join(", ")
            }
        };
        tell(format!("{:<28}{:<14}{state}", driver.name, driver.tarpit).trim_end())?;
    }
    Ok(0)
}

/// Asks drivers, each in all ways that are asked for, and tells. Returns 0, or `NOTHING` where none was installed.
fn ask(arguments: &Arguments, library: &Path) -> Result<c_int, Failure> {
    let mut table = drivers::Table::new(&arguments.python, arguments.table.as_deref())?;
    if let Some(kind) = arguments.tarpit {
        table.go_to(kind);
    }
    let terms = drivers::Terms {
        library,
        seconds: arguments.seconds,
        hz: arguments.ticks_per_second,
        shows: !arguments.json && !arguments.all,
        bridged: arguments.bridge,
    };
    let chosen: Vec<&drivers::Driver> = if arguments.all {
        table.drivers.iter().filter(|driver| driver.missing.is_none()).collect()
    } else {
        arguments.driver.iter().map(|name| table.find(name)).collect::<Result<_, _>>()?
    };
    let mut told = Vec::new();
    for driver in &chosen {
        if !arguments.json {
            tell(&format!("{} at a stub ({})", matrix::title(driver), driver.tarpit))?;
        }
        let mut cells = Vec::new();
        for way in &arguments.under {
            if terms.shows {
                words::print(&format!("  {:<10}", way.name())).map_err(|why| failed(format!("{why}.")))?;
            }
            let Some(cell) = table.cell(driver, *way, &terms)? else {
                if terms.shows {
                    tell("is not for it")?;
                }
                continue;
            };
            match (terms.shows, arguments.json) {
                (true, _) => tell(&format!("\n            {}", matrix::line(&cell)))?,
                (false, false) => tell(&format!("  {:<10}{}", way.name(), matrix::line(&cell)))?,
                (false, true) => eprintln!("{}: {}: {}", driver.name, way.name(), matrix::words(&cell)),
            }
            cells.push(cell);
        }
        if terms.shows {
            tell(&wrap(&format!("Verdict: {}", matrix::verdict(driver, &cells)), "  ", columns()))?;
        }
        told.push(matrix::driver(driver, &cells));
    }
    if arguments.all {
        // What is not installed is said as well.
        let rest = table.drivers.iter().filter(|driver| driver.missing.is_some());
        told.extend(rest.map(|driver| matrix::driver(driver, &[])));
    }
    if arguments.json {
        let terms = (arguments.seconds, arguments.ticks_per_second, arguments.bridge);
        tell(&format!("{:#}", matrix::json(&table, terms, told)))?;
    }
    let is_there = chosen.iter().any(|driver| driver.missing.is_none());
    Ok(if is_there { 0 } else { NOTHING })
}

fn tell(line: &str) -> Result<(), Failure> {
    print(&format!("{line}\n")).map_err(|why| failed(format!("the report cannot be written: {why}.")))
}

fn contains(word: &OsStr, part: &[u8]) -> bool {
    word.as_bytes().windows(part.len()).any(|bytes| bytes == part)
}

/// Puts the server's address in place of {host} and {port}.
fn replaced(word: &OsStr, port: u16) -> OsString {
    let mut bytes = word.as_bytes().to_vec();
    for (part, value) in [("{host}", "127.0.0.1".to_owned()), ("{port}", port.to_string())] {
        while let Some(at) = bytes.windows(part.len()).position(|some| some == part.as_bytes()) {
            bytes.splice(at..at + part.len(), value.bytes());
        }
    }
    OsString::from_vec(bytes)
}

/// Runs the program one way, and tells what was seen. Returns it, and natively the longest call.
fn run(arguments: &Arguments, library: &Path, way: Way) -> Result<(Seen, Option<Waited>), Failure> {
    let folder = Folder::new(None)?;
    let cannot = |why: io::Error| failed(format!("{}: {why}.", shown(&folder.path)));
    let recorded = folder.path.join("recorded");
    std::fs::create_dir(&recorded).map_err(cannot)?;
    let path = folder.path.join("ticks");
    let file = TickFile::new(&path).map_err(cannot)?;
    let tarpit = Tarpit::new(kind(arguments), 0, arguments.bytes)
        .map_err(|why| failed(format!("there is no server to be had: {why}.")))?;
    let port = tarpit.port;
    let ticks =
        format!("ticker={}:ticks={}", path.display().to_string().replace(':', "%3A"), arguments.ticks_per_second);
    let words: Vec<OsString> = arguments.command.iter().map(|word| replaced(word, port)).collect();
    let (title, options) = match way {
        Way::Natively => ("natively", format!("{}:{ticks}", recording_into(&recorded, THRESHOLD_MS))),
        Way::Green => ("green, one worker", format!("workers=1:{ticks}")),
    };
    tell(&format!("{title}: {} at 127.0.0.1:{port}, a stub ({})", name(&words), kind(arguments)))?;
    let program = startable(&words[0], library)?;
    let mut command = preloaded(&words, library, &options)?;
    let recording = Recording::begin(&recorded);
    let seen = watch::run(&mut command, tarpit, kind(arguments), &file, arguments.seconds)
        .map_err(|why| start::refused(&program, &why))?;
    if !seen.has_waited {
        let how = if seen.was_ended { "within 10 s".to_owned() } else { format!("and ended with {}", ending(&seen)) };
        return Err(Failure(
            NOTHING,
            format!("{} did not connect to the server, {how}: nothing to tell.", name(&words)),
        ));
    }
    let waited = match way {
        Way::Natively => recording.end(seen.ended_ns)?.longest(&format!("127.0.0.1:{port}")),
        Way::Green => None,
    };
    report(&seen, waited.as_ref(), way)?;
    if way == Way::Natively && waited.is_none() && !seen.was_ended {
        let sentence = format!(
            "{} connected, and no call of its waited {THRESHOLD_MS} ms: nothing to tell. It ended with {}.",
            name(&words),
            ending(&seen)
        );
        return Err(Failure(NOTHING, sentence));
    }
    Ok((seen, waited))
}

/// Names the program.
fn name(words: &[OsString]) -> String {
    words::short(&shown(Path::new(&words[0]))).to_owned()
}

/// Says how a program ended.
fn ending(seen: &Seen) -> String {
    match (seen.status.code(), seen.status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, signal) => format!("signal {}", signal.unwrap_or(0)),
    }
}

/// Says a time in nanoseconds as people do.
fn time(ns: u64) -> String {
    match ns {
        0..1_000_000_000 => format!("{} ms", ns / 1_000_000),
        _ => format!("{:.2} s", ns as f64 / 1e9),
    }
}

/// How many frames of a stack are shown.
const FRAMES: usize = 6;

/// Tells what one run showed.
fn report(seen: &Seen, waited: Option<&Waited>, way: Way) -> Result<(), Failure> {
    let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let own = if seen.is_green { "" } else { ", the ticker's among them" };
    tell(&format!(
        "  {} in {}, the longest gap {}; {}{own}",
        plural(seen.ticks, "tick"),
        time(seen.wait_ns),
        time(seen.gap_ns),
        plural(seen.kernel_threads, "kernel thread")
    ))?;
    let (line, stack) = match (way, waited, &seen.parked) {
        (Way::Natively, Some(Waited { call, seconds, about, stack, is_over, .. }), _) => {
            let waited = format!("{call} waited {}{}", time((seconds * 1e9) as u64), in_brackets(about));
            (if *is_over { waited } else { format!("{waited}, and was not over at the end") }, &stack[..])
        }
        (Way::Green, _, Some(parked)) => {
            (format!("{} {}: {}", parked.call, parked.state, parked.reason), &parked.stack[..])
        }
        _ => ("the call that waited is not known".to_owned(), &[][..]),
    };
    tell(&format!("  {}", line.trim_start()))?;
    stack.iter().take(FRAMES).try_for_each(|place| tell(&format!("      {place}")))?;
    if seen.was_ended {
        tell(&format!("  the program went on when the server had ended, and was ended by {}", ending(seen)))?;
    }
    Ok(())
}

/// Sets both runs beside each other, natively left, green right.
fn side_by_side(runs: [&Seen; 2], waited: Option<&Waited>) -> Result<(), Failure> {
    let both = |of: fn(&Seen) -> String| runs.map(of);
    let native = waited.map(|waited| format!("{} waited {}", waited.call, time((waited.seconds * 1e9) as u64)));
    let green = runs[1].parked.as_ref().map(|parked| format!("{} {}", parked.call, parked.state));
    let calls = [native, green].map(|call| call.unwrap_or("not known".to_owned()).trim_start().to_owned());
    for (what, [left, right]) in [
        ("", ["natively".to_owned(), "green".to_owned()]),
        ("ticks", both(|seen| format!("{} in {}", seen.ticks, time(seen.wait_ns)))),
        ("longest gap", both(|seen| time(seen.gap_ns))),
        ("kernel threads", both(|seen| seen.kernel_threads.to_string())),
        ("the call", calls),
    ] {
        tell(&format!("  {what:<16}{left:<26}{right}"))?;
    }
    Ok(())
}

/// Puts what a call was about behind it; nothing, where it is not known.
fn in_brackets(about: &str) -> String {
    if about.is_empty() {
        String::new()
    } else {
        format!(" ({about})")
    }
}

/// Says in one sentence what both runs showed.
fn verdict(kind: Kind, native: &Seen, waited: Option<&Waited>, green: &Seen) -> String {
    let natively = match waited {
        Some(Waited { call, seconds, about, .. }) => {
            format!("natively {call} kept its kernel thread for {}{}", time((seconds * 1e9) as u64), in_brackets(about))
        }
        None => "natively the call that waited did not end".to_owned(),
    };
    let call = green.parked.as_ref().map_or("the call", |parked| match parked.call.as_str() {
        "" => "the call",
        call => call,
    });
    let greenly = match &green.parked {
        _ if !green.is_green => "and it did not become green: `greenpatch check` may tell why".to_owned(),
        Some(parked) if parked.state == "parked" => format!(
            "green {call} parked, and its kernel thread went on with the ticker ({} ticks; natively {}, on a kernel \
             thread of the ticker's own)",
            green.ticks, native.ticks
        ),
        // A short wait may have had no tick in it at all.
        _ if green.ticks < 2 && native.ticks > 4 => {
            format!("green nothing else ran for {} meanwhile: {call} blocked the one worker", time(green.gap_ns))
        }
        Some(_) => format!(
            "green {call} kept a kernel thread, too, and another went on with the ticker ({} ticks, natively {})",
            green.ticks, native.ticks
        ),
        None => format!("green the ticker went on ({} ticks, natively {})", green.ticks, native.ticks),
    };
    format!("at a stub of a server ({kind}), {natively}; {greenly}.")
}
