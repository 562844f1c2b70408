//! The recording's file: made at load, mapped, and made anew in a fork child.

use crate::audit::children::{self, Named};
use crate::audit::format::{Header, Recording, FILTERED, MAGIC};
use crate::audit::{away, blocks, clock, holder, lacks, objects, stack, text};
use crate::base::kept::Kept;
use crate::config;
use crate::glibc;
use crate::rows::Row;
use crate::sys;
use once_cell::race::OnceBox;
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, Ordering::*};

/// What was asked for. Set at load.
struct Asked {
    /// The path, as it is written in the options.
    path: &'static str,
    /// The process at whose load that was.
    first: i32,
    threshold_ns: u64,
    /// The program is to run green.
    green: bool,
    /// Does each process's recorder wait to be switched on?
    idle: bool,
}

static ASKED: Kept<OnceBox<Asked>> = Kept::new(OnceBox::new());

/// The recording of this process.
struct State {
    /// The mapping; null: there is none, and nothing is recorded.
    mapping: AtomicPtr<Recording>,
    /// A page that the kernel clears in a fork child (MADV_WIPEONFORK): 1 in the process that has made the mapping. Null: the kernel
    /// cannot, and the process's number is asked for.
    mark: AtomicPtr<AtomicU32>,
    /// Another word of that page: 1 while calls may be recorded the quick way (`is_ready`). Never null: without the page it is `NEVER`.
    ready: AtomicPtr<AtomicU32>,
    /// The process whose recording a thread of it has made, or is making.
    maker: AtomicI32,
    /// The recording's switch. Never null: before there is a recording it is `ON`.
    switch: AtomicPtr<AtomicU32>,
}

/// The word of a process in which no call is recorded the quick way.
static NEVER: Kept<AtomicU32> = Kept::new(AtomicU32::new(0));

/// The switch of a process without a recording.
static ON: Kept<AtomicU32> = Kept::new(AtomicU32::new(1));

#[link_section = ".data.gp_audit"]
static STATE: State = State {
    mapping: AtomicPtr::new(std::ptr::null_mut()),
    mark: AtomicPtr::new(std::ptr::null_mut()),
    ready: AtomicPtr::new(&raw const NEVER as *mut AtomicU32),
    maker: AtomicI32::new(0),
    switch: AtomicPtr::new(&raw const ON as *mut AtomicU32),
};

/// The longest path, as the kernel has it (PATH_MAX).
const LONGEST: usize = 4096;

/// Begins to record. Called once, at load. Fails by an error number: the file cannot be made.
pub fn begin(path: &'static str, threshold_ns: u64, [green, idle]: [bool; 2]) -> Result<(), i32> {
    ASKED.set(Box::new(Asked { path, first: sys::process_id(), threshold_ns, green, idle })).ok();
    if let Some(page) = sys::map_wiped_in_child() {
        let mark = page as *mut AtomicU32;
        STATE.mark.store(mark, Relaxed);
        if !green && !idle && clock::counts() {
            STATE.ready.store(mark.wrapping_add(1), Relaxed);
        }
    }
    STATE.maker.store(sys::process_id(), Relaxed);
    make()
}

/// Returns the recording; `None`: nothing is recorded, or a fork child's is being made, or cannot be. In a fork child, makes that child's
/// first. Called by the recorder before each note: two loads where the page that the kernel clears is to be had, else a system call.
///
/// A child may have many threads before one of them records. So its recording is made by one of them, in this order:
///
/// 1. The maker claims it (`maker`), takes down what was the parent's, and makes the file.
/// 2. It stores the mapping, then the mark (`publish`).
/// 3. Who looks at the mark first and finds it set finds the child's mapping. Who finds it clear, and the claim taken, records nothing.
pub fn of_process() -> Option<&'static Recording> {
    // SAFETY: null, or a page that is never taken away.
    let mark = unsafe { STATE.mark.load(Relaxed).as_ref() };
    let is_marked = mark.is_none_or(|mark| mark.load(Acquire) != 0);
    // SAFETY: null, or a mapping that is never taken away.
    let mapped = || unsafe { STATE.mapping.load(Acquire).as_ref() };
    let is_own = |recording: &&Recording| mark.is_some() || recording.header.process.load(Relaxed) == sys::process_id();
    if let Some(recording) = mapped().filter(|_| is_marked).filter(is_own) {
        return Some(recording);
    }
    let process = sys::process_id();
    if STATE.maker.swap(process, AcqRel) == process {
        return None;
    }
    in_child();
    mapped()
}

/// Is the recorder idle (`format::Switch`)? Two loads, before each call.
#[inline(always)]
pub fn is_idle() -> bool {
    // SAFETY: a static, or a word of a mapping that is never taken away.
    unsafe { (*STATE.switch.load(Relaxed)).load(Relaxed) == 0 }
}

/// Is the mapping this process's, and no parent's? Two loads. False where the kernel clears no page in a fork child.
#[inline(always)]
pub fn is_marked() -> bool {
    // SAFETY: null, or a page that is never taken away.
    unsafe { STATE.mark.load(Relaxed).as_ref() }.is_some_and(|mark| mark.load(Acquire) != 0)
}

/// May a call be recorded the quick way: by the processor's counter, natively, with no switch to look at, and in the process that has made
/// the mapping? Two loads, before each call.
#[inline(always)]
pub fn is_ready() -> bool {
    // SAFETY: a static, or a word of a page that is never taken away.
    unsafe { (*STATE.ready.load(Relaxed)).load(Acquire) != 0 }
}

/// Lets calls be recorded the quick way where this process can, or no more.
fn be_ready(ready: bool) {
    let word = STATE.ready.load(Relaxed);
    if !std::ptr::eq(word, &raw const NEVER as *const AtomicU32) {
        // SAFETY: a word of a page that is never taken away.
        unsafe { (*word).store(u32::from(ready), Release) };
    }
}

/// Makes the recording of a fork child. No hook of fork sees the child, for in an audited process the hooks are closed: so it is found out
/// when the child records first. Called by the thread that has claimed it, while no other thread of the child records.
#[cold]
fn in_child() {
    STATE.after_fork();
    blocks::after_fork();
    stack::after_fork();
    away::after_fork();
    objects::after_fork();
    holder::after_fork();
    lacks::after_fork();
    make().ok();
}

impl State {
    /// Leaves the parent's recording to the parent.
    fn after_fork(&self) {
        let State { mapping, mark: _, ready: _, maker: _, switch } = self;
        switch.store(&raw const ON as *mut AtomicU32, Relaxed);
        mapping.store(std::ptr::null_mut(), Relaxed);
    }
}

/// Makes the file and maps it. A file that is there already, of a program that this process was before, is left, and a number is added to
/// the name. A fork child adds its process id where the path has none.
fn make() -> Result<(), i32> {
    let Some(asked) = ASKED.get() else { return Ok(()) };
    let pid = sys::process_id();
    for number in 0..1000u32 {
        let mut path = [0u8; LONGEST];
        let mut at = 0;
        let mut put = |byte: u8| {
            if at < LONGEST - 1 {
                path[at] = byte;
                at += 1;
            }
        };
        config::unescape(asked.path, pid as u32, &mut put);
        let mut add = |number: u32| {
            put(b'.');
            text::decimal(number.into(), &mut put);
        };
        if pid != asked.first && !asked.path.contains("%p") {
            add(pid as u32);
        }
        if number > 0 {
            add(number);
        }
        let path = CStr::from_bytes_until_nul(&path).unwrap_or(c"");
        match sys::open(path, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW) {
            Ok(fd) => {
                let mapped = map(fd);
                sys::close(fd);
                if mapped.is_err() {
                    sys::unlink(path);
                }
                return mapped.map(|recording| publish(recording, pid, asked));
            }
            Err(libc::EEXIST) => {}
            Err(why) => return Err(why),
        }
    }
    Err(libc::EEXIST)
}

/// Gives the file its size, and maps it. Blocks come with what is recorded (`blocks::is_ready`), or, where the kernel cannot do that, all
/// at once: a disk that is full must not end the program (SIGBUS).
fn map(fd: i32) -> Result<&'static Recording, i32> {
    let bytes = std::mem::size_of::<Recording>();
    sys::set_size(fd, bytes)?;
    let place = sys::map_shared(fd, bytes)?;
    let begin = std::mem::offset_of!(Recording, modules);
    match sys::populate(place, begin) {
        Ok(()) => blocks::begin(place, begin),
        Err(libc::EINVAL) => {
            sys::allocate(fd, bytes)?;
            blocks::begin(place, bytes);
        }
        Err(why) => return Err(why),
    }
    // SAFETY: a new mapping of this size, all zero, shared with no other writer; every field may be zero.
    Ok(unsafe { &*(place as *const Recording) })
}

/// Fills the header, and lets the recorder have the mapping. The magic number is stored last of the header: a reader that finds none knows
/// that the process did not come so far. The mark comes after the mapping (`of_process`).
fn publish(recording: &'static Recording, pid: i32, asked: &Asked) {
    let header: &Header = &recording.header;
    header.bytes.store(std::mem::size_of::<Recording>() as u64, Relaxed);
    header.process.store(pid, Relaxed);
    header.parent.store(sys::parent_id(), Relaxed);
    header.began_real_ns.store(sys::clock_ns(libc::CLOCK_REALTIME).unwrap_or(0), Relaxed);
    header.began_ns.store(sys::now_ns(), Relaxed);
    header.last_ns.store(sys::now_ns(), Relaxed);
    header.threshold_ns.store(asked.threshold_ns, Relaxed);
    header.green.store(u32::from(asked.green), Relaxed);
    text::write(&header.version, env!("CARGO_PKG_VERSION").as_bytes());
    let mut room = [0u8; 512];
    if let Ok(count) = sys::read_link(c"/proc/self/exe", &mut room) {
        text::write(&header.program, &room[..count]);
    }
    if let Ok(fd) = sys::open(c"/proc/self/cmdline", libc::O_RDONLY) {
        let count = sys::read_first(fd, &mut room);
        sys::close(fd);
        let words = room[..count].strip_suffix(&[0]).unwrap_or(&room[..count]).iter();
        let mut writer = text::Writer::new(&header.command);
        words.for_each(|&byte| writer.put(&[if byte == 0 { b' ' } else { byte }]));
        writer.end();
    }
    let (first, ticks_per_us) = clock::first();
    [&header.first, &header.last].iter().for_each(|pair| (0..2).for_each(|at| pair[at].store(first[at], Relaxed)));
    header.ticks_per_us.store(ticks_per_us, Relaxed);
    header.rows.store(Row::End as u32, Relaxed);
    header.tid_offset.store(glibc::thread::tid_field(0) as usize as u32, Relaxed);
    header.switch.on.store(u32::from(!asked.idle), Relaxed);
    header.magic.store(MAGIC, Release);
    objects::read(recording);
    STATE.switch.store(&raw const header.switch.on as *mut AtomicU32, Relaxed);
    STATE.mapping.store(recording as *const Recording as *mut Recording, Release);
    // SAFETY: null, or a page that is never taken away.
    unsafe { STATE.mark.load(Relaxed).as_ref() }.inspect(|mark| mark.store(1, Release));
    be_ready(!is_stopped());
}

/// Has the recording stopped? Asked before each call. A fork child's has, too, for a filter goes on in it.
#[inline(always)]
pub fn is_stopped() -> bool {
    STOPPED.load(Relaxed)
}

#[link_section = ".data.gp_audit"]
static STOPPED: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));

/// Stops recording, or goes on. Called right before the program sets a seccomp filter, and where that has failed: a filter knows the system
/// calls that this program makes natively, and may kill for the recorder's. What calls go on meanwhile are not recorded.
#[cold]
pub fn stop(stops: bool) {
    STOPPED.store(false, Relaxed);
    if let Some(recording) = of_process() {
        recording.header.ended.store(if stops { FILTERED } else { 0 }, Relaxed);
    }
    STOPPED.store(stops, Relaxed);
    be_ready(!stops);
}

/// Notes that the process ends in order, or executes this program in its place. Called by the thread that ends it, right before. A child on
/// its parent's memory (vfork) is another process: only its program is noted, in its parent's recording.
pub fn end(named: Option<Named>) {
    // A fork child that has recorded nothing ends without a file.
    let has_none = !STATE.mark.load(Relaxed).is_null() && !is_marked();
    if is_stopped() || named.is_none() && has_none {
        return;
    }
    if let Some(recording) = of_process() {
        named.inspect(|named| children::note(recording, *named));
        if recording.header.process.load(Relaxed) == sys::process_id() {
            recording.header.last_ns.store(sys::now_ns(), Relaxed);
            recording.header.ended.store(1, Relaxed);
            objects::read(recording);
        }
    }
}

/// Notes that the process does not end after all, for the call that was to end it has come back. Called right behind it.
pub fn go_on() {
    if is_stopped() {
        return;
    }
    if let Some(recording) = of_process() {
        children::take_back(recording);
        if recording.header.process.load(Relaxed) == sys::process_id() {
            recording.header.ended.store(0, Relaxed);
        }
    }
}
