//! `greenpatch dump PID`: the green threads of a running process, what each waits for and where. It is read out of the process's memory
//! (src/dump), while the process goes on.
//!
//! The library's own reader (src/dump, built into the command by `shared`) makes the list; here it is given another process to read,
//! instead of the one that it stands in: `Live` for its memory, maps and descriptors, `Mapped` for the files in which functions' names
//! stand. A thread that runs on meanwhile may be told as it was, or with a frame too many; one that is parked is told as it is.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use serde_json::{json, Value};

use crate::failure::{Failure, FAILED};
use crate::process::{place, Process};
use crate::shared::dump::list::{Failure as NoList, Frame, Lister, Thread};
use crate::shared::dump::process::{File as Readable, Process as Memory};
use crate::shared::dump::table;
use crate::words::print;

/// List the green threads of a running program: what each waits for, and where
#[derive(clap::Args)]
pub struct Arguments {
    /// The process
    #[arg(value_name = "PID")]
    pid: u32,
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

/// Prints the list. Fails with `FAILED` where the process's memory cannot be read, or has no table of this version.
pub fn dump(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { pid, json } = arguments;
    let fail = |why: String| Failure(FAILED, format!("process {pid}: {why}"));
    let text = list(pid, json).map_err(fail)?;
    print(&text).map_err(|why| fail(why.to_string()))
}

/// Makes the list, as text or as JSON: `version`, `pid`, and `threads` as `thread` says. Fails with the rest of a sentence.
fn list(pid: u32, json: bool) -> Result<String, String> {
    read(pid, |lister| {
        if json {
            let threads: Vec<Value> = lister.threads().iter().map(thread).collect();
            format!("{}\n", json!({ "version": lister.version(), "pid": pid, "threads": threads }))
        } else {
            lister.text(pid)
        }
    })
}

/// Reads the green threads of a process; for `ticker`. Fails with the rest of a sentence.
pub fn threads(pid: u32) -> Result<Vec<Thread>, String> {
    read(pid, |lister| lister.threads())
}

/// Lists a process's green threads by `tell`. Fails with the rest of a sentence.
fn read<T>(pid: u32, tell: impl FnOnce(&mut Lister<Live>) -> T) -> Result<T, String> {
    let process = Live { pid, memory: Process::open(pid)? };
    let address = place(pid, table::SYMBOL)? as u64;
    let mut lister = Lister::new(&process, address).map_err(|failure| match failure {
        NoList::Unreadable => "its memory is not to be read.".to_owned(),
        NoList::OtherVersion => "another version of greenpatch is loaded in it: use that one's command.".to_owned(),
    })?;
    let told = tell(&mut lister);
    // The list of a process that has ended meanwhile is none.
    process.memory.word(address as usize).map(|_| told).map_err(|_| "it has ended.".into())
}

/// Sets a thread as a JSON object:
///
/// ```text
/// tid, name, state         as in the text
/// kernel_thread            the tid of the kernel thread that it runs on, or null
/// reason                   { kind, operand, words } or null: what it waits for
/// frames                   as `frame` says, the innermost first
/// ```
fn thread(thread: &Thread) -> Value {
    let reason = thread.reason.as_ref();
    json!({
        "tid": thread.tid,
        "name": thread.name,
        "state": thread.state,
        "kernel_thread": thread.kernel_tid,
        "reason": reason.map(|reason| json!({
            "kind": reason.kind, "operand": reason.operand, "words": reason.words,
        })),
        "frames": thread.frames.iter().map(frame).collect::<Vec<_>>(),
    })
}

/// Sets a frame as a JSON object: `address`, and `function`, `offset` and `module`, which are null where they are not known.
fn frame(frame: &Frame) -> Value {
    let place = frame.place.as_ref();
    json!({
        "address": frame.address,
        "function": place.and_then(|place| place.function.as_ref()),
        "offset": place.map(|place| place.offset),
        "module": place.map(|place| &place.path),
    })
}

/// The process while it lives, as the reader asks of it.
struct Live {
    pid: u32,
    memory: Process,
}

impl Memory for Live {
    type File = Mapped;

    fn read(&self, address: u64, room: &mut [u8]) -> bool {
        self.memory.fill(address as usize, room).is_ok()
    }

    fn maps(&self) -> Option<Vec<u8>> {
        fs::read(format!("/proc/{}/maps", self.pid)).ok()
    }

    fn network(&self, table: &str) -> Option<Vec<u8>> {
        fs::read(format!("/proc/{}/net/{table}", self.pid)).ok()
    }

    /// The file itself, even where another has its name by now; else by name, seen from the process's own root.
    fn open(&self, range: &str, path: &str) -> Option<Mapped> {
        let pid = self.pid;
        let files = [format!("/proc/{pid}/map_files/{range}"), format!("/proc/{pid}/root{path}")];
        files.iter().find_map(|file| File::open(file).ok()).map(Mapped)
    }

    fn descriptor(&self, fd: u64) -> Option<String> {
        let link = fs::read_link(format!("/proc/{}/fd/{fd}", self.pid)).ok()?;
        Some(link.to_string_lossy().into_owned())
    }
}

/// A file that the process has mapped, opened for reading.
struct Mapped(File);

impl Readable for Mapped {
    fn read(&self, from: u64, room: &mut [u8]) -> bool {
        self.0.read_exact_at(room, from).is_ok()
    }
}
