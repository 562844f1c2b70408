//! The green threads of a process: their states, reasons and frames, and the text that tells of them.
//!
//! All addresses are of the process that is looked at, and are read by `Process::read` alone: here nothing is dereferenced. So the same
//! code lists this process and another one. A list may be wrong in a thread that runs while it is read; it is right for a thread that
//! stands still.

use super::super::figures::Name;
use super::super::why::{self, Reason};
use super::modules::{Modules, Place};
use super::process::{bytes, word, Process};
use super::sockets::Sockets;
use super::table::{Table, MARK};
use super::unwind;
use std::fmt::Write;
use std::mem::{size_of, MaybeUninit};

/// What a green thread does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The thread runs on a kernel thread.
    Running,
    /// The thread could run, and waits for a slot.
    Ready,
    /// The thread waits, without a kernel thread.
    Parked,
    /// The thread is in a call that may block in the kernel, on its worker's kernel thread.
    InCall,
    /// The thread has ended, and was not joined.
    Ended,
}

/// The states' names, in the order of `State`. The table leads to them, so that readers of another version show the process's own.
pub static STATES: [Name; 5] =
    [Name::new("running"), Name::new("ready"), Name::new("parked"), Name::new("in a call"), Name::new("ended")];

/// How many times a thread is read that goes on while its stack is read.
const MOST_READINGS: usize = 8;
/// How many frames the text shows, from the call that waits on.
const SHOWN: usize = 8;

/// A green thread as the list tells of it.
pub struct Thread {
    /// Its tid, as gettid answers it in the process.
    pub tid: i32,
    /// Its name (pthread_setname_np), bytes that are no text replaced.
    pub name: String,
    /// Its state, by the name that the process itself has for it.
    pub state: String,
    /// The kernel thread of a thread that runs or is in a call.
    pub kernel_tid: Option<i32>,
    /// What a thread waits for that is parked or in a call.
    pub reason: Option<Waiting>,
    /// The frames of a suspended thread, the innermost first: from the call that waits on. Empty where they could not be read.
    pub frames: Vec<Frame>,
}

/// A reason for a wait.
pub struct Waiting {
    /// The reason's name (src/why.rs).
    pub kind: String,
    /// What it is about: a descriptor, an address, a tid, a count.
    pub operand: u64,
    /// The reason in words, the operand among them.
    pub words: String,
}

/// A frame of a suspended stack: the address at which its function goes on, and what is there.
pub struct Frame {
    /// Where the function goes on: behind the call that it has made.
    pub address: u64,
    /// `None`: no file is mapped there.
    pub place: Option<Place>,
}

/// Why there is no list.
pub enum Failure {
    /// The process's memory may not be read, or is gone.
    Unreadable,
    /// The table is of a version with another `MARK`.
    OtherVersion,
}

/// A process whose table has been found. It may be asked for the threads again and again: modules are read once, at `new`, and what is
/// mapped later has no names.
pub struct Lister<'a, P> {
    process: &'a P,
    table: Table,
    /// The library's version, and the names of states and reasons, as the process has them: another build's may differ.
    version: String,
    states: Vec<String>,
    reasons: Vec<(String, String)>,
    modules: Modules,
    /// The sockets' addresses, once a thread waits for one.
    sockets: Sockets,
    /// Where this library lies.
    library: String,
}

/// Reads a structure of table.rs, figures.rs or why.rs: words and arrays of words, for which all bytes are values. The caller answers for
/// the type. Pointers in it are addresses in the process. `None`: it cannot be read.
fn structure<T>(process: &impl Process, address: u64) -> Option<T> {
    let data = bytes(process, address, size_of::<T>())?;
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: as many bytes as the structure has, of a type that takes any.
    unsafe {
        std::ptr::copy_nonoverlapping(data.as_ptr(), value.as_mut_ptr().cast(), data.len());
        Some(value.assume_init())
    }
}

/// Reads a name of the process's, 256 bytes of it at most.
fn text(process: &impl Process, name: &Name) -> Option<String> {
    const LONGEST: usize = 256;
    let text = bytes(process, name.text as u64, name.bytes.min(LONGEST))?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

impl<'a, P: Process> Lister<'a, P> {
    /// Reads the table at `address`, the process's maps, and the names that the table leads to. Fails where they cannot be read, or the
    /// table is of another version. Stops and changes nothing in the process.
    pub fn new(process: &'a P, address: u64) -> Result<Lister<'a, P>, Failure> {
        let mark = bytes(process, address, MARK.len()).ok_or(Failure::Unreadable)?;
        if mark != MARK {
            return Err(Failure::OtherVersion);
        }
        Self::read(process, address).ok_or(Failure::Unreadable)
    }

    /// Does what `new` says, once the mark is right. `None`: something that the table leads to cannot be read.
    fn read(process: &'a P, address: u64) -> Option<Lister<'a, P>> {
        let table: Table = structure(process, address)?;
        let states = (0..table.state_count).map(|at| {
            let name: Name = structure(process, (table.states as usize + at * size_of::<Name>()) as u64)?;
            text(process, &name)
        });
        let reasons = (0..table.reason_count).map(|at| {
            let reason: Reason = structure(process, (table.reasons as usize + at * size_of::<Reason>()) as u64)?;
            Some((text(process, &reason.name)?, text(process, &reason.words)?))
        });
        let (states, reasons): (Option<Vec<_>>, Option<Vec<_>>) = (states.collect(), reasons.collect());
        let mut modules = Modules::read(process);
        let library = modules.place(process, address).map(|place| place.path).unwrap_or_default();
        let version = text(process, &table.version)?;
        Some(Lister {
            process,
            version,
            states: states?,
            reasons: reasons?,
            modules,
            sockets: Sockets::default(),
            library,
            table,
        })
    }

    /// The version of the library that the process has loaded.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Reads a word of 32 bits.
    fn half(&self, address: u64) -> Option<u32> {
        let mut room = [0; 4];
        self.process.read(address, &mut room).then(|| u32::from_le_bytes(room))
    }

    /// Shows every green thread that lives or waits to be joined, main first, the others by their tids. The list of green threads only
    /// grows, and at its head: what is read of it is whole, but for threads made meanwhile.
    pub fn threads(&mut self) -> Vec<Thread> {
        let (mut threads, mut green) = (Vec::new(), word(self.process, self.table.newest as u64).unwrap_or(0));
        while green != 0 {
            threads.extend(self.thread(green));
            green = word(self.process, green + u64::from(self.table.green.older)).unwrap_or(0);
        }
        threads.sort_by_key(|thread| thread.tid);
        threads
    }

    /// Returns the list as text: a line with the version and the process, then each thread's lines.
    pub fn text(&mut self, pid: u32) -> String {
        let threads = self.threads();
        let mut text = format!("greenpatch {}: process {pid}, {} green threads\n", self.version, threads.len());
        threads.iter().for_each(|thread| thread.tell(&mut text));
        text
    }

    /// Reads the green thread at an address. `None`: it serves no thread, or cannot be read. A thread that went on while its stack was read
    /// is read again: a wait that tries its lock from time to time is the next one by then. A thread that goes on at each reading is shown
    /// without frames.
    fn thread(&mut self, green: u64) -> Option<Thread> {
        let (mut thread, mut went_on) = self.reading(green)?;
        for _ in 1..MOST_READINGS {
            if !went_on {
                break;
            }
            (thread, went_on) = self.reading(green)?;
        }
        Some(thread)
    }

    /// Reads a green thread once, and says whether it went on while its stack was read (`frames`). Its words are read one after the other,
    /// so they may be of different moments.
    fn reading(&mut self, green: u64) -> Option<(Thread, bool)> {
        let (offsets, bits) = (&self.table.green, &self.table.bits);
        let at = |offset: u32| green + u64::from(offset);
        let life = self.half(at(offsets.life))?;
        if life & bits.gone != 0 {
            return None;
        }
        let waiter = word(self.process, at(offsets.waiter))?;
        let why = word(self.process, at(offsets.why))?;
        let worker = word(self.process, at(offsets.worker))?;
        let charged = || word(self.process, worker + u64::from(self.table.worker.charged));
        let on_worker = worker != 0 && charged() == Some(green);
        let state = self.state(life, waiter as u32 & bits.state, on_worker, why);
        let name = bytes(self.process, at(offsets.name), 16)?;
        let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
        let (tid, name) = (self.half(at(offsets.tid))? as i32, String::from_utf8_lossy(name).into_owned());
        let on_kernel_thread = matches!(state, State::Running | State::InCall);
        let kernel_tid = || self.half(worker + u64::from(self.table.worker.kernel_tid));
        let kernel_tid = if on_kernel_thread { kernel_tid().map(|tid| tid as i32) } else { None };
        let waits = matches!(state, State::Parked | State::InCall);
        let is_suspended = state == State::Parked || state == State::Ready && !on_worker && worker != 0;
        let (sp, waiter_at) = (at(offsets.sp), at(offsets.waiter));
        let state_name = self.states.get(state as usize).cloned().unwrap_or_default();
        let reason = if waits { self.reason(why) } else { None };
        let frames = if is_suspended { self.frames(sp, waiter_at, waiter) } else { Some(Vec::new()) };
        let went_on = frames.is_none();
        Some((Thread { tid, name, state: state_name, kernel_tid, reason, frames: frames.unwrap_or_default() }, went_on))
    }

    /// Returns what a thread does, by the words that any thread may read. `on_worker`: its worker has resumed no other thread since. The
    /// first row that fits:
    ///
    /// ```text
    ///   life       waiter           on_worker   in_kernel   state
    ///   finished   any              any         any         Ended
    ///   living     parked           any         any         Parked
    ///   living     any              no          any         Ready
    ///   living     news             yes         any         Ready (or it runs the few instructions before it sees the news)
    ///   living     idle or armed    yes         yes         InCall
    ///   living     idle or armed    yes         no          Running
    /// ```
    fn state(&self, life: u32, waiter: u32, on_worker: bool, why: u64) -> State {
        let bits = &self.table.bits;
        if life & bits.finished != 0 {
            State::Ended
        } else if waiter == bits.parked {
            State::Parked
        } else if !on_worker || waiter != bits.idle && waiter != bits.armed {
            State::Ready
        } else if why & u64::from(bits.in_kernel) != 0 {
            State::InCall
        } else {
            State::Running
        }
    }

    /// What the word of a reason says (`why`): a row of the process's table of reasons, and an operand. `None`: no such row.
    fn reason(&mut self, word: u64) -> Option<Waiting> {
        let (row, operand) = why::parts(word);
        let (kind, template) = self.reasons.get(row)?.clone();
        Some(Waiting { kind, operand, words: self.words(&template, operand) })
    }

    /// A reason's words, with the operand in the place of the braces: `{fd}` becomes the descriptor and its file, `{address}` a hexadecimal
    /// number, any other a decimal one.
    fn words(&mut self, template: &str, operand: u64) -> String {
        let Some((before, rest)) = template.split_once('{') else { return template.into() };
        let (what, after) = rest.split_once('}').unwrap_or((rest, ""));
        let shown = match what {
            "address" => format!("{operand:#x}"),
            "fd" => match self.process.descriptor(operand) {
                Some(file) => format!("fd {operand} ({})", self.sockets.words(self.process, file)),
                None => format!("fd {operand}"),
            },
            _ => operand.to_string(),
        };
        format!("{before}{shown}{after}")
    }

    /// Returns the frames of a suspended thread. The waiter's word is read again after the stack: with another word the thread went on
    /// meanwhile, `None`. A word that is the same means the same wait, for it holds the wait's number.
    fn frames(&mut self, sp: u64, waiter_at: u64, waiter: u64) -> Option<Vec<Frame>> {
        let Some(sp) = word(self.process, sp) else { return Some(Vec::new()) };
        let addresses = unwind::walk(self.process, &mut self.modules, sp, &self.table.saved);
        if word(self.process, waiter_at) != Some(waiter) {
            return None;
        }
        let mut frames: Vec<Frame> = Vec::new();
        for address in addresses {
            frames.push(Frame { address, place: self.modules.place(self.process, address - 1) });
        }
        frames.drain(..self.own(&frames));
        frames.truncate(self.programs(&frames));
        Some(frames)
    }

    /// Is the frame's function this library's?
    fn is_own(&self, frame: &Frame) -> bool {
        frame.place.as_ref().is_some_and(|place| place.path == self.library)
    }

    /// How many frames there are before the ones that called the thread's function. The stack of a parked thread, the innermost first, and
    /// what of it is shown:
    ///
    /// ```text
    ///   waiting::…, hooks::…   this library's inside                     not shown (`own`)
    ///   recv                   the hook that the program has called      shown, with all that follow
    ///   …                      the program's functions and libraries'
    ///   …                      this library's, which call the thread's   not shown, up to the outermost
    ///   gp_guarded             the beginning of every green thread
    /// ```
    fn programs(&self, frames: &[Frame]) -> usize {
        const CALLER: &str = "gp_guarded";
        let is_caller = |frame: &Frame| self.is_own(frame) && frame.function() == Some(CALLER);
        let Some(caller) = frames.iter().position(is_caller) else { return frames.len() };
        let inner = frames[..caller].iter().rev();
        caller - inner.take_while(|frame| self.is_own(frame) && !frame.is_of_hook()).count()
    }

    /// How many frames at the top are this library's own: all but that of the function which the program has called.
    fn own(&self, frames: &[Frame]) -> usize {
        let own = frames.iter().take_while(|frame| self.is_own(frame)).count();
        if own == frames.len() {
            0
        } else if own > 0 && frames[own - 1].is_of_hook() {
            own - 1
        } else {
            own
        }
    }
}

/// A name for a line of text: control characters are no part of it.
fn plain(name: &str) -> String {
    name.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

impl Thread {
    /// Adds the lines that tell of this thread.
    fn tell(&self, text: &mut String) {
        let Thread { tid, name, state, .. } = self;
        let _ = write!(text, "thread {tid} \"{}\": {state}", plain(name));
        if let Some(kernel_tid) = self.kernel_tid {
            let _ = write!(text, " on kernel thread {kernel_tid}");
        }
        if let Some(reason) = &self.reason {
            let _ = write!(text, ": {}", plain(&reason.words));
        }
        text.push('\n');
        for frame in self.frames.iter().take(SHOWN) {
            let _ = writeln!(text, "    {}", frame.words());
        }
        if self.frames.len() > SHOWN {
            let _ = writeln!(text, "    … and {} more", self.frames.len() - SHOWN);
        }
    }
}

impl Frame {
    fn function(&self) -> Option<&str> {
        self.place.as_ref()?.function.as_deref()
    }

    /// Of a frame of this library's: has its function C's name of a hook, not one of the library's inside?
    fn is_of_hook(&self) -> bool {
        let inside = ["_ZN", "_R", "gp_"];
        self.function().is_some_and(|name| !inside.iter().any(|prefix| name.starts_with(prefix)))
    }

    /// The frame's line in the text.
    pub fn words(&self) -> String {
        match &self.place {
            Some(Place { function: Some(function), offset, module, .. }) => {
                format!("{function}+{offset:#x} ({module})")
            }
            Some(Place { module, offset, .. }) => format!("{module}+{offset:#x}"),
            None => format!("{:#x}", self.address),
        }
    }
}
