//! `greenpatch demo`: ordinary threaded programs, run natively and green, side by side.
//!
//! The programs are those of the folder demo/, carried inside this command: a slow server, a C client that is compiled on the spot, and
//! the same client in Python. Nothing needs to be installed or running but `cc`; without Python its part is left out.
//!
//! ```text
//!    server ◄── one connection a thread ── client: threads that each send a line and block in recv() for two seconds
//!                                                  + a ticker, which prints a dot every 0.1 s and measures its largest gap
//! ```
//!
//! What a program tells of itself: first a line of dots, which is shown as it comes, then its figures, `name=value` a line. A green run
//! is this command's own `run` with one worker, so that all threads share one kernel thread; its statistics add what the program cannot
//! know. The comparison fails where the answers are not all there, and where the green run was none: a demo that shows nothing should say
//! so.
//!
//! ```text
//! answers                    lines that came back
//! ticks, largest_gap_ms      of the ticker: whether anything else ran while the threads waited
//! elapsed_ms, cpu_ms         until the last answer; of user and system together
//! kernel_threads             the most that /proc told
//! private_kib                memory that no other process has a part in, the most of it
//! ```

use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::failure::{Failure, FAILED};
use crate::{elf, library, preloadable};

/// Source of the slow server: it names its port on stdout, and sends every line back after two seconds.
const SERVER: &str = include_str!("../../../demo/server.c");
/// Source of the client in C: `client PORT THREADS`.
const CLIENT: &str = include_str!("../../../demo/client.c");
/// Source of the client in Python, called the same way.
const PYTHON_CLIENT: &str = include_str!("../../../demo/threads.py");

/// How many threads the C client makes.
const C_THREADS: u32 = 200;
/// How many threads the Python client makes.
const PYTHON_THREADS: u32 = 500;

/// The figures that are shown for both runs: their meaning, the name, the unit. The program prints its own; those of the kernel's stacks
/// are computed from its threads, and the last two are the library's statistics, which a native run has not.
const ROWS: [(&str, &str, &str); 10] = [
    ("answers received", "answers", ""),
    ("ticks of the ticker", "ticks", ""),
    ("largest gap between two ticks", "largest_gap_ms", " ms"),
    ("time until the last answer", "elapsed_ms", " ms"),
    ("processor time", "cpu_ms", " ms"),
    ("kernel threads, at most", "kernel_threads", ""),
    ("their stacks in the kernel, 16 KiB each", "kernel_stacks_kib", " KiB"),
    ("memory of its own, at most", "private_kib", " KiB"),
    ("green threads made", "green_threads", ""),
    ("times a green thread waited", "parks", ""),
];
/// The size of a kernel thread's stack in the kernel, in KiB (x86-64: THREAD_SIZE).
const KERNEL_STACK_KIB: u64 = 16;

/// Run a C client and a Python program natively and green, and compare
#[derive(clap::Args)]
pub struct Arguments {
    /// The library [default: as for `greenpatch run`]
    #[arg(long, value_name = "PATH")]
    lib: Option<PathBuf>,
}

/// A run's figures by name.
type Figures = HashMap<String, u64>;

/// Runs both programs natively and green, and prints their figures side by side. Fails with `FAILED` where a program cannot be built or
/// run, and where the green run was not green.
pub fn demo(arguments: Arguments) -> Result<(), Failure> {
    let library = library::find(arguments.lib)?;
    let directory = Directory::new()?;
    // The same server serves all runs, natively.
    let server = Server::start(&directory.compile("server", SERVER)?)?;
    let port = server.port.to_string();
    println!("A slow server listens on 127.0.0.1:{port}: it sends every line back after two seconds.");

    println!("\n1. {C_THREADS} threads in C (demo/client.c, compiled by cc, unmodified)");
    let client = directory.compile("client", CLIENT)?.into_os_string();
    compare(&directory, &library, &[client, port.clone().into()], C_THREADS)?;

    println!("\n2. {PYTHON_THREADS} threads in Python (demo/threads.py, run by an unmodified CPython)");
    // A Python that cannot be preloaded (static, another C library) would show nothing.
    let Some(python) = python(&library) else {
        println!("   Left out: there is no python3 on this machine.");
        return Ok(());
    };
    let program = directory.write("threads.py", PYTHON_CLIENT)?.into_os_string();
    compare(&directory, &library, &[python.into(), program, port.into()], PYTHON_THREADS)
}

/// Runs `program THREADS` natively and green on one worker, and prints both runs' figures as a table. Fails where a run fails, or `judge`
/// does.
fn compare(directory: &Directory, library: &Path, program: &[OsString], threads: u32) -> Result<(), Failure> {
    println!("   Each sends a request and blocks in recv() until its answer comes. One more thread prints a dot every 0.1 s.\n");
    let program = [program, &[threads.to_string().into()]].concat();
    let native = measure("natively", &program, library)?;

    let stats = directory.0.join("stats.json");
    let command = env::current_exe().map_err(|error| failure("finding this command", &error))?;
    // The green run is the same command behind `greenpatch run`: on one worker, and with its statistics in a file of ours.
    let run = [
        command.into(),
        "run".into(),
        "--workers".into(),
        "1".into(),
        "--stats".into(),
        stats.clone().into(),
        "--".into(),
    ];
    let mut green = measure("green", &[&run[..], &program].concat(), library)?;
    let stats = fs::read_to_string(stats).map_err(|error| failure("the green run's stats", &error))?;
    // The program cannot know these two: the library counts them.
    for name in ["green_threads", "parks"] {
        green.extend(number_after(&stats, &format!("\"{name}\":")).map(|number| (name.into(), number)));
    }

    println!("\n   {:<40} {:>12} {:>12}", "", "native", "green");
    for (meaning, name, unit) in ROWS {
        let show = |figures: &Figures| figures.get(name).map_or("-".into(), |number| format!("{number}{unit}"));
        println!("   {meaning:<40} {:>12} {:>12}", show(&native), show(&green));
    }
    judge(&native, &green, threads.into())
}

/// Says what there is to see. Fails where the figures do not show it: an answer is missing, threads were not green, or the green run took
/// more than a tenth of the kernel threads.
fn judge(native: &Figures, green: &Figures, threads: u64) -> Result<(), Failure> {
    let of = |figures: &Figures, name: &str| figures.get(name).copied().unwrap_or_default();
    if of(native, "answers") != threads || of(green, "answers") != threads {
        return Err(Failure(FAILED, format!("demo: not all of the {threads} answers came.")));
    }
    if of(green, "green_threads") < threads || of(green, "parks") < threads {
        return Err(Failure(FAILED, "demo: the second run was not green.".into()));
    }
    let (native, green) = (of(native, "kernel_threads"), of(green, "kernel_threads"));
    // A handful: one worker, the monitor, and what they need.
    if green > native / 10 {
        return Err(Failure(
            FAILED,
            format!("demo: the green run took {green} kernel threads; a handful was to be expected."),
        ));
    }
    println!("\n   Look at the kernel threads: {native} natively, {green} green, for the same program, the same answers, the same dots.");
    Ok(())
}

/// Runs a command, shows its dots as they come, and reads the figures after them. `title` names the run in what is printed; `library` is
/// given to it by GREENPATCH_LIB, which only this command's own `run` heeds. Fails where the command cannot be started, or ends with
/// another status than 0.
fn measure(title: &str, command: &[OsString], library: &Path) -> Result<Figures, Failure> {
    let words: Vec<_> =
        command.iter().map(|word| Path::new(word).file_name().unwrap_or(word).to_string_lossy()).collect();
    println!("   {title:<9} $ {}", words.join(" "));
    let mut child = plain(&command[0])
        .args(&command[1..])
        .env("GREENPATCH_LIB", library)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failure("starting it", &error))?;
    print!("             ");
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    // The dots first, as they come: they show that the ticker goes on while the others wait.
    let read = show_first_line(&mut output).and_then(|()| io::read_to_string(output));
    let figures = read.map_err(|error| failure("reading its output", &error))?;
    let status = child.wait().map_err(|error| failure("waiting for it", &error))?;
    if !status.success() {
        return Err(Failure(FAILED, format!("demo: {} ended with {status}.", words.join(" "))));
    }
    let mut figures: Figures = figures.lines().filter_map(|line| line.split_once('=')).filter_map(figure).collect();
    if let Some(threads) = figures.get("kernel_threads") {
        figures.insert("kernel_stacks_kib".into(), threads * KERNEL_STACK_KIB);
    }
    Ok(figures)
}

/// Reads a figure from the two sides of a line `name=value`. None: the value is no number.
fn figure((name, value): (&str, &str)) -> Option<(String, u64)> {
    Some((name.to_owned(), value.parse().ok()?))
}

/// Copies the output up to the end of its first line, each part as soon as it comes.
fn show_first_line(output: &mut BufReader<impl Read>) -> io::Result<()> {
    loop {
        let bytes = output.fill_buf()?;
        // Bytes are shown as soon as they come; the line's end is passed on, and ends it.
        let end = bytes.iter().position(|&byte| byte == b'\n').map(|newline| newline + 1);
        let count = end.unwrap_or(bytes.len());
        io::stdout().write_all(&bytes[..count])?;
        io::stdout().flush()?;
        output.consume(count);
        if end.is_some() || count == 0 {
            return Ok(());
        }
    }
}

/// Finds the whole number that follows `key` in a JSON text of ours, which has every key once. None: no number follows.
fn number_after(text: &str, key: &str) -> Option<u64> {
    let value = text.split_once(key)?.1.trim_start();
    let end = value.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(value.len());
    value[..end].parse().ok()
}

/// Finds the first Python that is a program and can be preloaded: /usr/bin's, then PATH's. Version managers put scripts in front of
/// theirs. None: there is none, and its part of the demo is left out.
fn python(library: &Path) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places =
        [PathBuf::from("/usr/bin")].into_iter().chain(env::split_paths(&path)).map(|place| place.join("python3"));
    places.find(|python| elf::machine(python).is_some() && preloadable::objection(python, library).is_none())
}

/// Makes a command whose environment says nothing of greenpatch yet, so that the native run is native even within a green one.
fn plain(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_remove("LD_PRELOAD").env_remove("GREENPATCH_OPTIONS");
    command
}

/// Makes the failure of a step, named by what was being done.
fn failure(doing: &str, error: &io::Error) -> Failure {
    Failure(FAILED, format!("demo: {doing}: {error}."))
}

/// A directory of this command's own under TMPDIR, removed when it is dropped. A demo that is killed leaves it behind.
struct Directory(PathBuf);

impl Directory {
    /// Makes the directory. Fails where one of that name is left, or TMPDIR may not be written.
    fn new() -> Result<Self, Failure> {
        let path = env::temp_dir().join(format!("greenpatch-demo-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| failure(&path.display().to_string(), &error))?;
        Ok(Self(path))
    }

    /// Writes a file into the directory. Returns where it is.
    fn write(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let path = self.0.join(name);
        fs::write(&path, text).map_err(|error| failure(name, &error))?;
        Ok(path)
    }

    /// Compiles a C program by `cc`, into the directory. Returns where it is. Fails where there is no `cc`, or it does.
    fn compile(&self, name: &str, source: &str) -> Result<PathBuf, Failure> {
        let source = self.write(&format!("{name}.c"), source)?;
        let program = self.0.join(name);
        let status = plain("cc").args(["-O2", "-pthread", "-o"]).args([&program, &source]).status();
        match status {
            Ok(status) if status.success() => Ok(program),
            Ok(status) => Err(Failure(FAILED, format!("demo: cc ended with {status}."))),
            Err(_) => {
                Err(Failure(FAILED, "demo: cc was not found: install a C compiler, such as gcc and libc6-dev.".into()))
            }
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The slow server, running. It ends when its standard input does, so also when this command is killed; dropping it waits for that.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// Starts the server, and waits until it has named its port.
    fn start(program: &Path) -> Result<Self, Failure> {
        let mut process = plain(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failure("starting the slow server", &error))?;
        let mut line = String::new();
        let read = BufReader::new(process.stdout.as_mut().expect("it is piped")).read_line(&mut line);
        match line.trim().parse() {
            Ok(port) => Ok(Self { process, port }),
            Err(_) => Err(Failure(FAILED, format!("demo: the slow server named no port ({read:?})."))),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input is what the server ends at; it is then waited for, so that none is left.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
