//! What a running process's threads wait in: calls that are not over, completed by what the process's memory and /proc tell.
//!
//! The process goes on meanwhile, and nothing of it is stopped, sent or changed. A recording's entry says which call a thread is in, and
//! with which registers the audited function called the real one (`audit::format::Now`). The frames above lie still while that call goes
//! on, so they are unwound here, by the unwinding tables of the mapped files. Afterwards the entry is read once more:
//!
//! ```text
//!   the entry      the call is told
//!   is the same    with its stack, descriptor and lock: it went on all the while
//!   has changed    not at all: it is over
//! ```

use std::collections::HashMap;
use std::fs::{self, File};
use std::mem::{offset_of, size_of};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::AtomicU64;

use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64};
use framehop::{ExplicitModuleSectionInfo, FrameAddress, MayAllocateDuringUnwind, Unwinder};
use object::{Object, ObjectSection};

use super::interpreter::Interpreter;
use super::recording::{Module, Open, Recorded, WaitsFor};
use super::subject;
use crate::elf::{self, Elf};
use crate::process::Process;
use crate::shared::audit_format::{Now, Recording};
use crate::shared::ROWS;

/// How many frames are told at most.
const FRAMES: usize = 64;
/// The size of a page.
const PAGE: u64 = 4096;

/// A process that is looked at.
pub struct Live {
    pid: i32,
    memory: Process,
    recording: File,
    objects: Vec<Mapped>,
    unwinder: UnwinderX86_64<Vec<u8>, MayAllocateDuringUnwind>,
    cache: CacheX86_64<MayAllocateDuringUnwind>,
    tid_offset: u64,
    /// The interpreter of Python, once a file was found that has one.
    interpreter: Option<Interpreter>,
}

/// A file that is mapped.
struct Mapped {
    module: Module,
    inode: u64,
    /// Were its unwinding tables added?
    known: bool,
    /// Was an interpreter looked for in it?
    asked: bool,
}

/// Completes what a recording tells of calls that are not over, where its process lives: calls that are over by now are taken out. Returns
/// a clause for the user where the process may not be looked at.
pub fn complete(recorded: &mut Recorded) -> Option<String> {
    let mut live = match Live::open(recorded) {
        Ok(None) => return None,
        Ok(Some(live)) => live,
        Err(why) => return Some(why),
    };
    recorded.clock.look();
    recorded.over_ns = recorded.clock.last[1];
    recorded.lives = true;
    recorded.open.retain_mut(|open| live.complete(open));
    live.tell_modules(recorded);
    None
}

impl Live {
    /// Opens the process of a recording. Fails with a clause for the user where it may not be looked at; `None`: it is not there any more,
    /// or is another one, which has not mapped this recording.
    pub fn open(recorded: &Recorded) -> Result<Option<Live>, String> {
        let pid = recorded.process;
        let Ok(recording) = File::open(&recorded.file) else { return Ok(None) };
        let inode = recording.metadata().map_or(0, |known| known.ino());
        let maps = match fs::read_to_string(format!("/proc/{pid}/maps")) {
            Ok(maps) => maps,
            Err(why) if why.raw_os_error() == Some(libc::EACCES) => {
                return Err(format!("what process {pid} waits in now: it may not be looked at by this user"))
            }
            Err(_) => return Ok(None),
        };
        let objects = objects(&maps);
        if !maps.lines().any(|line| field(line, 4).parse() == Ok(inode)) {
            return Ok(None);
        }
        let memory = Process::open(pid as u32)
            .map_err(|why| format!("where process {pid} waits now: {}", why.trim_end_matches('.')))?;
        let mut word = [0u8; 4];
        let at = offset_of!(Recording, header) + offset_of!(crate::shared::audit_format::Header, tid_offset);
        let _ = recording.read_exact_at(&mut word, at as u64);
        Ok(Some(Live {
            pid,
            memory,
            recording,
            objects,
            unwinder: UnwinderX86_64::new(),
            cache: CacheX86_64::new(),
            tid_offset: u64::from(u32::from_ne_bytes(word)),
            interpreter: None,
        }))
    }

    /// Looks again at what is mapped: objects may have been loaded, or unloaded.
    pub fn refresh(&mut self) {
        let Ok(maps) = fs::read_to_string(format!("/proc/{}/maps", self.pid)) else { return };
        let mut now = objects(&maps);
        for object in self.objects.drain(..) {
            let is_it = |other: &&mut Mapped| other.inode == object.inode && other.module.start == object.module.start;
            match now.iter_mut().find(is_it) {
                Some(same) => *same = object,
                None if object.known => self.unwinder.remove_module(object.module.start),
                None => {}
            }
        }
        self.objects = now;
    }

    /// Is there such a thread?
    pub fn has(&self, thread: i32) -> bool {
        fs::exists(format!("/proc/{}/task/{thread}", self.pid)).unwrap_or(false)
    }

    /// Adds what is mapped to what a recording knows, for the addresses of frames.
    pub fn tell_modules(&self, recorded: &mut Recorded) {
        for module in self.objects.iter().filter(|object| object.known).map(|object| &object.module) {
            if !recorded.modules.iter().any(|known| known.start < module.end && module.start < known.end) {
                recorded.modules.push(module.clone());
            }
        }
    }

    /// Completes a call that is not over. False: it is over, or its thread is gone.
    pub fn complete(&mut self, open: &mut Open) -> bool {
        let task = format!("/proc/{}/task/{}", self.pid, open.long.thread);
        let Ok(name) = fs::read_to_string(format!("{task}/comm")) else { return false };
        open.long.thread_name = name.trim_end().to_owned();
        let stands = stack_pointer(&task);
        let frames = self.unwind(open.registers);
        let mut values = [0u64; 8];
        values.iter_mut().enumerate().for_each(|(at, value)| {
            *value = self.memory.word((open.place + 8 * at as u64) as usize).unwrap_or(0);
        });
        let arguments = ROWS.get(open.long.call as usize).map_or(&[][..], |row| row.1);
        let value = |name: &str| arguments.iter().position(|known| *known == name).map(|at| values[(at + 1).min(7)]);
        subject::tell(&mut open.long, self.pid, &self.memory, &value);
        open.waits_for = self.waits_for(&open.long.name, &value);
        self.seek_interpreter();
        let python = self.interpreter.as_ref();
        let found = python.and_then(|python| python.lines(&self.memory, open.long.thread, self.tid_offset));
        if let Some((lines, gil)) = found {
            (open.long.python, open.long.gil) = (lines, gil);
        }
        // A call that was left by a jump goes on by its entry only: the thread stands further up by now.
        if !self.is_same(open) || stands.is_some_and(|sp| sp > open.registers[1]) {
            return false;
        }
        if !frames.is_empty() {
            open.long.frames = frames;
        }
        open.seen = true;
        true
    }

    /// Looks for the interpreter of Python, in each mapped file once.
    fn seek_interpreter(&mut self) {
        if self.interpreter.is_some() {
            return;
        }
        for object in self.objects.iter_mut().filter(|object| !object.asked) {
            object.asked = true;
            let path = Path::new(&object.module.path);
            let is_same = fs::metadata(path).is_ok_and(|known| known.ino() == object.inode);
            self.interpreter = Interpreter::find(path, object.module.start, &self.memory).filter(|_| is_same);
            if self.interpreter.is_some() {
                return;
            }
        }
    }

    /// Does the entry still tell this call?
    fn is_same(&self, open: &Open) -> bool {
        let at = offset_of!(Recording, threads) + open.at * size_of::<Now>() + offset_of!(Now, began);
        let mut word = [0u8; size_of::<AtomicU64>()];
        self.recording.read_exact_at(&mut word, at as u64).is_ok() && u64::from_ne_bytes(word) == open.ticks
    }

    /// Returns the return addresses above an audited function that called with these registers: instruction, stack, base.
    fn unwind(&mut self, [ip, sp, bp]: [u64; 3]) -> Vec<u64> {
        let mut pages: HashMap<u64, Option<Vec<u8>>> = HashMap::new();
        let own = self.objects.iter().find(|object| (object.module.start..object.module.end).contains(&ip));
        let own = own.map_or(0..0, |object| object.module.start..object.module.end);
        let mut registers = UnwindRegsX86_64::new(ip, sp, bp);
        let mut at = FrameAddress::InstructionPointer(ip);
        let mut frames = Vec::new();
        while frames.len() < FRAMES {
            self.know(at.address_for_lookup());
            let memory = &self.memory;
            let mut read = |address: u64| {
                if address & 7 != 0 || address < sp {
                    return Err(());
                }
                let page = pages
                    .entry(address / PAGE)
                    .or_insert_with(|| memory.bytes((address / PAGE * PAGE) as usize, PAGE as usize).ok());
                let from = (address % PAGE) as usize;
                let word = page.as_ref().ok_or(())?[from..].first_chunk::<8>().ok_or(())?;
                Ok(u64::from_ne_bytes(*word))
            };
            let next = self.unwinder.unwind_frame(at, &mut registers, &mut self.cache, &mut read);
            let Ok(Some(next)) = next else { break };
            let Some(address) = FrameAddress::from_return_address(next) else { break };
            if !frames.is_empty() || !own.contains(&next) {
                frames.push(next);
            }
            at = address;
        }
        frames
    }

    /// Adds the unwinding tables of the object of an address. One without tables is followed by frame pointers.
    fn know(&mut self, address: u64) {
        let holds = |object: &&mut Mapped| (object.module.start..object.module.end).contains(&address);
        let Some(object) = self.objects.iter_mut().find(holds).filter(|object| !object.known) else { return };
        object.known = true;
        let module = &mut object.module;
        let path = Path::new(&module.path);
        // Another file may have the name by now.
        let is_same = fs::metadata(path).is_ok_and(|known| known.ino() == object.inode);
        let Some(data) = fs::read(path).ok().filter(|_| is_same) else { return };
        let Ok(elf) = Elf::parse(&*data) else { return };
        module.base = module.start.wrapping_sub(elf::first_address(&elf));
        let id = elf.build_id().ok().flatten().unwrap_or_default();
        module.build_id = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let section = |name: &str| {
            let section = elf.section_by_name(name)?;
            let range = section.address()..section.address() + section.size();
            Some((range, section.data().ok()?.to_vec()))
        };
        let (eh_frame_svma, eh_frame) = section(".eh_frame").unzip();
        let (eh_frame_hdr_svma, eh_frame_hdr) = section(".eh_frame_hdr").unzip();
        let sections = ExplicitModuleSectionInfo {
            eh_frame_svma,
            eh_frame,
            eh_frame_hdr_svma,
            eh_frame_hdr,
            ..ExplicitModuleSectionInfo::default()
        };
        let range = module.start..module.end;
        self.unwinder.add_module(framehop::Module::new(String::new(), range, module.base, sections));
    }

    /// Tells what a call waits for that another thread must do: a lock's holder, a thread's end.
    fn waits_for(&self, call: &str, value: &dyn Fn(&str) -> Option<u64>) -> Option<WaitsFor> {
        let number = |address: u64| self.memory.read::<i32>(address as usize).unwrap_or(0);
        let found = |kind, address, thread| Some(WaitsFor { kind, address, thread });
        if call.contains("mutex") || call.starts_with("mtx_") {
            // glibc's mutex (bits/struct_mutex.h): the lock, the count, the owner.
            const OWNER: u64 = 8;
            let lock = value("lock")?;
            return found("mutex", lock, number(lock + OWNER));
        }
        if call.contains("rwlock") {
            // glibc's rwlock (bits/struct_rwlock.h): six words, then the thread that writes. Those that read are not told.
            const WRITER: u64 = 24;
            let lock = value("lock")?;
            return found("rwlock", lock, number(lock + WRITER));
        }
        if call.contains("join") {
            let thread = value("thread")?;
            return found("thread", thread, number(thread + self.tid_offset));
        }
        None
    }
}

/// Returns the field of a line of /proc/PID/maps: the addresses, rights, offset, device, inode, path.
fn field(line: &str, at: usize) -> &str {
    line.split_ascii_whitespace().nth(at).unwrap_or("")
}

/// Lists the files that are mapped with their first byte, each with all its mappings that follow.
fn objects(maps: &str) -> Vec<Mapped> {
    let mut objects: Vec<Mapped> = Vec::new();
    for line in maps.lines() {
        let Some(path) = line.find('/').map(|at| &line[at..]) else { continue };
        let mut ends = field(line, 0).split('-').map(|end| u64::from_str_radix(end, 16).unwrap_or(0));
        let (start, end) = (ends.next().unwrap_or(0), ends.next().unwrap_or(0));
        let inode = field(line, 4).parse().unwrap_or(0);
        let is_first = u64::from_str_radix(field(line, 2), 16) == Ok(0);
        match objects.last_mut().filter(|last| last.inode == inode && last.module.path == path && !is_first) {
            Some(last) => last.module.end = end,
            None if is_first => objects.push(Mapped {
                module: Module { start, end, base: start, build_id: String::new(), path: path.to_owned() },
                inode,
                known: false,
                asked: false,
            }),
            None => {}
        }
    }
    objects
}

/// Returns where a thread's stack is while it is in a system call (/proc/PID/task/TID/syscall: the stack pointer is the last field but
/// one). `None`: it runs, or the kernel does not say.
fn stack_pointer(task: &str) -> Option<u64> {
    let line = fs::read_to_string(format!("{task}/syscall")).ok()?;
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let at = fields.len().checked_sub(2)?;
    u64::from_str_radix(fields[at].strip_prefix("0x")?, 16).ok()
}
