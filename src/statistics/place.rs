//! Where the statistics are written to: a file, or what can only be added to.
//!
//! A file is made under another name and gets its own when it is whole. Its descriptor is kept from the start of the runtime on: so the
//! file tells what is counted while the program runs, is there when nobody can write any more (SIGKILL), and is reached from wherever the
//! program goes: into a chroot, to another user, to where no descriptor is free.

use crate::base::own_fds;
use crate::config;
use crate::statistics::member::Member;
use crate::statistics::text::{member_of, Text};
use crate::sys::{self, file};
use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::*};

/// Where the statistics go, and whose they are.
pub struct Destination {
    /// The path, as the option `stats` writes it.
    pub path: String,
    /// The family's name; `None`: every process writes its own.
    pub family: Option<String>,
    pub kept: Kept,
}

/// What `write` needs room for. Nothing of it outlives a call: a fork child need not put it right.
struct Room(UnsafeCell<Texts>);

// SAFETY: only touched by the thread whose turn it is, or before there is a second one.
unsafe impl Sync for Room {}

struct Texts {
    text: Text,
    path: Path,
    /// The name that a file has before it is whole.
    new: Path,
}

static ROOM: Room = Room(UnsafeCell::new(Texts { text: Text::new(), path: Path::new(), new: Path::new() }));

/// As long as the kernel takes a path, the final NUL included.
const LONGEST: usize = 4096;

/// A C string in place.
struct Path {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Path {
    const fn new() -> Path {
        Path { bytes: [0; LONGEST], length: 0 }
    }

    fn push(&mut self, byte: u8) {
        // A path that is too long stays too long: the kernel says so.
        if self.length < LONGEST {
            self.bytes[self.length] = byte;
            self.length += 1;
        }
    }

    /// The path that a value of `stats` stands for.
    fn set(&mut self, value: &str, pid: i32) -> Result<(), i32> {
        self.length = 0;
        config::unescape(value, pid as u32, |byte| self.push(byte));
        self.end()
    }

    fn end(&mut self) -> Result<(), i32> {
        self.push(0);
        if self.bytes[self.length - 1] == 0 {
            Ok(())
        } else {
            Err(libc::ENAMETOOLONG)
        }
    }

    fn folder(&self) -> &[u8] {
        let end = self.bytes[..self.length].iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        &self.bytes[..end]
    }

    /// A name in the folder of `path` that nobody else has.
    fn set_beside(&mut self, path: &Path, pid: i32) -> Result<(), i32> {
        self.length = 0;
        path.folder().iter().for_each(|&byte| self.push(byte));
        b".greenpatch-".iter().for_each(|&byte| self.push(byte));
        config::unescape("%p-", pid as u32, |byte| self.push(byte));
        config::unescape("%p", sys::now_ns() as u32, |byte| self.push(byte));
        self.end()
    }

    fn as_c(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes[..self.length]).unwrap_or(c"")
    }
}

/// The descriptor that a path means which is another name of one: `/dev/stdout`, `/proc/self/fd/3`.
fn descriptor(path: &str, pid: i32) -> Option<i32> {
    let of_process = || path.strip_prefix("/proc/")?.strip_prefix(&pid.to_string())?.strip_prefix("/fd/");
    match path {
        "/dev/stdin" => Some(0),
        "/dev/stdout" => Some(1),
        "/dev/stderr" => Some(2),
        _ => path.strip_prefix("/dev/fd/").or(path.strip_prefix("/proc/self/fd/")).or_else(of_process)?.parse().ok(),
    }
}

/// A value of `stats` that means the same file from everywhere, and in the process's children.
pub fn absolute(value: &str, pid: i32) -> String {
    if let Some(fd) = descriptor(value, pid) {
        return format!("/proc/{pid}/fd/{fd}");
    }
    let mut folder = [0; LONGEST];
    match sys::working_directory(&mut folder) {
        Some(folder) if !value.starts_with('/') => {
            format!("{}/{value}", config::escape(folder).trim_end_matches('/'))
        }
        _ => value.to_string(),
    }
}

/// Descriptors as they were at the start: the program may close its own, or use their numbers again.
pub struct Kept {
    /// A duplicate of the one that the path means, or −1.
    fd: i32,
    what: Option<(u64, u64)>,
    /// The file that sentences go to.
    errors: Option<(u64, u64)>,
}

impl Kept {
    /// Takes down the descriptors as they are now. Called at load, before the program can change them.
    pub fn of(value: &str, pid: i32) -> Kept {
        let fd = descriptor(value, pid).and_then(|fd| sys::duplicate_high(fd, own_fds::own_lowest()).ok());
        let fd = fd.inspect(|&fd| own_fds::insert(fd)).unwrap_or(-1);
        Kept { fd, what: identity(fd), errors: identity(2) }
    }
}

/// Which file a descriptor stands for.
fn identity(fd: i32) -> Option<(u64, u64)> {
    file::facts_of(fd).ok().map(|facts| (facts.st_dev, facts.st_ino))
}

fn is(facts: &libc::stat, kind: libc::mode_t) -> bool {
    facts.st_mode & libc::S_IFMT == kind
}

/// When they are written.
#[derive(Clone, Copy, PartialEq)]
pub enum When {
    /// The runtime has just started, or will find no way to its file then: the program has one thread.
    Start,
    Meanwhile,
    End,
}

/// What has become of the place, in this process.
struct State {
    /// The file's descriptor, or −1.
    file: AtomicI32,
    /// Which file `file` stands for: device and inode.
    identity: [AtomicU64; 2],
    /// What can be added to has been written, which each process does once.
    added: AtomicBool,
    /// The line that the statistics cannot be written has been written: once for a process and those that come from it.
    said: AtomicBool,
}

static STATE: State = State {
    file: AtomicI32::new(-1),
    identity: [const { AtomicU64::new(0) }; 2],
    added: AtomicBool::new(false),
    said: AtomicBool::new(false),
};

/// In a fork child: the parent's file is not its own.
pub fn after_fork() {
    let State { file, identity: _, added, said: _ } = &STATE;
    file.store(-1, Relaxed);
    added.store(false, Relaxed);
}

/// An earlier member of the family has said that the statistics cannot be written.
pub fn note_said() {
    STATE.said.store(true, Relaxed);
}

/// Was it said, here or by an earlier member, that the statistics cannot be written?
pub fn has_said() -> bool {
    STATE.said.load(Relaxed)
}

/// The kept descriptor, if that is what it was, and its file still has a name.
fn kept_file() -> Option<i32> {
    let fd = STATE.file.load(Relaxed);
    let facts = file::facts_of(fd).ok().filter(|_| fd >= 0)?;
    let [device, inode] = [0, 1].map(|at| STATE.identity[at].load(Relaxed));
    ((facts.st_dev, facts.st_ino) == (device, inode) && facts.st_nlink > 0).then_some(fd)
}

/// Keeps the file's descriptor, where there is room above the program's.
fn keep_file(fd: i32) {
    match (identity(fd), own_fds::keep_high(fd)) {
        (Some((device, inode)), Some(high)) => {
            STATE.identity[0].store(device, Relaxed);
            STATE.identity[1].store(inode, Relaxed);
            STATE.file.store(high, Relaxed);
        }
        _ => sys::close(fd),
    }
}

/// Writes the statistics to where they are to go.
///
/// # Safety
/// It is the calling thread's turn.
pub unsafe fn write(destination: &Destination, member: Member, pid: i32, when: When) -> Result<(), i32> {
    // SAFETY: the room is that of the thread whose turn it is: `write_at` calls here between `take_turn` and `give_turn`, with all signals
    // blocked that can be. A crash in between meets a turn that never ends, and its handler gives up after `LONGEST_TURN_NS`.
    let Texts { text, path, new } = unsafe { &mut *ROOM.0.get() };
    let family = destination.family.as_deref();
    if let Some(fd) = kept_file() {
        text.tell(family, member, pid);
        return overwrite(fd, text, family, member);
    }
    if when == When::Meanwhile {
        return Ok(());
    }
    path.set(&destination.path, pid)?;
    let found = file::facts(path.as_c(), 0);
    let kept = Some(destination.kept.fd).filter(|&fd| fd >= 0 && identity(fd) == destination.kept.what);
    // The program's own output is added to through its own descriptor, whose place in the file is behind what was written.
    let wanted = found.map(|found| (found.st_dev, found.st_ino)).ok();
    let own = kept.or_else(|| [1, 2].into_iter().find(|&fd| wanted.is_some() && identity(fd) == wanted));
    if let Some(fd) = own {
        if when == When::Start {
            return Ok(());
        }
        return add(fd, text, family, member, pid);
    }
    match found {
        Ok(found) if is(&found, libc::S_IFDIR) => Err(libc::EISDIR),
        Ok(found) if !is(&found, libc::S_IFREG) && when == When::Start => Ok(()),
        Ok(found) if !is(&found, libc::S_IFREG) => {
            let fd = file::open(path.as_c(), libc::O_WRONLY)?;
            let result = add(fd, text, family, member, pid);
            sys::close(fd);
            result
        }
        found if found.is_ok() || found.err() == Some(libc::ENOENT) => {
            if !member.started && member.distance > 0 && when == When::End {
                return Ok(());
            }
            text.tell(family, member, pid);
            let here = file::facts(path.as_c(), libc::AT_SYMLINK_NOFOLLOW);
            let plain = here.map_or(true, |here| {
                is(&here, libc::S_IFREG) && here.st_nlink == 1 && here.st_uid == file::effective_user()
            });
            let mode = here.ok().map(|here| here.st_mode & 0o777);
            match new.set_beside(path, pid).and_then(|()| make(new, text, mode)) {
                Ok(fd) if plain => {
                    done_with(fd, when);
                    replace(new, path, family, member)
                }
                Ok(fd) => {
                    sys::close(fd);
                    file::unlink(new.as_c());
                    change(path, text, family, member).map(|fd| done_with(fd, when))
                }
                // The folder takes no new file, but the file may take new bytes.
                Err(libc::EACCES | libc::EPERM | libc::EROFS) if mode.is_some() => {
                    change(path, text, family, member).map(|fd| done_with(fd, when))
                }
                Err(why) => Err(why),
            }
        }
        found => Err(found.err().unwrap_or(libc::EIO)),
    }
}

fn done_with(fd: i32, when: When) {
    if when == When::Start {
        keep_file(fd);
    } else {
        sys::close(fd);
    }
}

/// Adds a line to what has no name or is the program's own output: the members that made green threads do, and the first one, unless it
/// only waited for others.
fn add(fd: i32, text: &mut Text, family: Option<&str>, member: Member, pid: i32) -> Result<(), i32> {
    let speaks = member.started || member.distance == 0 && !file::had_children();
    if !speaks || STATE.added.swap(true, Relaxed) {
        return Ok(());
    }
    text.tell(family, member, pid);
    put(fd, text.bytes())
}

/// How long a reader may take that does not read.
const LONGEST_READER_NS: u64 = 2_000_000_000;
/// As much as goes into a pipe that is said to have room.
const PIECE: usize = 4096;

/// Writes all of it, but does not wait for ever.
fn put(fd: i32, mut bytes: &[u8]) -> Result<(), i32> {
    let deadline_ns = sys::now_ns() + LONGEST_READER_NS;
    while !bytes.is_empty() {
        let mut writable = [libc::pollfd { fd, events: libc::POLLOUT, revents: 0 }];
        match sys::poll(&mut writable, Some(deadline_ns)) {
            Ok(0) => return Err(libc::ETIMEDOUT),
            Ok(_) => {}
            Err(libc::EINTR) => continue,
            Err(why) => return Err(why),
        }
        match file::write(fd, &bytes[..bytes.len().min(PIECE)]) {
            Ok(written) => bytes = &bytes[written..],
            Err(libc::EINTR | libc::EAGAIN) if sys::now_ns() < deadline_ns => {}
            Err(why) => return Err(why),
        }
    }
    Ok(())
}

/// Makes a new file of the text, with the mode of the one that it is to replace.
fn make(new: &Path, text: &Text, mode: Option<u32>) -> Result<i32, i32> {
    let fd = file::open(new.as_c(), libc::O_RDWR | libc::O_CREAT | libc::O_EXCL)?;
    if let Some(mode) = mode {
        file::set_mode(fd, mode);
    }
    let result = put(fd, text.bytes());
    if result.is_err() {
        sys::close(fd);
        file::unlink(new.as_c());
    }
    result.map(|()| fd)
}

/// Gives the new file its name. Another process of the family may do the same right now, so the two change places, and if what comes out
/// is to stay, they change back: at the end the name has the member that is to stay before all others that came.
fn replace(new: &Path, path: &Path, family: Option<&str>, mut mine: Member) -> Result<(), i32> {
    let (from, to) = (new.as_c(), path.as_c());
    loop {
        match file::rename(from, to, libc::RENAME_NOREPLACE) {
            Err(libc::EEXIST) => {}
            Ok(()) => return Ok(()),
            // A file system that knows no such renaming.
            Err(_) => {
                let stays = member_at(path, family).is_some_and(|there| there.stays_before(mine));
                let result = if stays { Ok(()) } else { file::rename(from, to, 0) };
                if stays || result.is_err() {
                    file::unlink(from);
                }
                return result;
            }
        }
        if member_at(path, family).is_some_and(|there| there.stays_before(mine)) {
            break;
        }
        match file::rename(from, to, libc::RENAME_EXCHANGE) {
            Err(libc::ENOENT) => continue,
            Err(why) => {
                let result = file::rename(from, to, 0);
                if result.is_err() {
                    file::unlink(from);
                }
                return result.map_err(|_| why);
            }
            Ok(()) => {}
        }
        match member_at(new, family) {
            Some(there) if there.stays_before(mine) => mine = there,
            _ => break,
        }
    }
    file::unlink(from);
    Ok(())
}

/// Writes into the file that is there: one of another user's, behind a link, or with several names.
fn change(path: &Path, text: &Text, family: Option<&str>, member: Member) -> Result<i32, i32> {
    let fd = file::open(path.as_c(), libc::O_RDWR | libc::O_CREAT)?;
    let result = overwrite(fd, text, family, member);
    if result.is_err() {
        sys::close(fd);
    }
    result.map(|()| fd)
}

/// The same by its descriptor, unless a member stands there that stays.
fn overwrite(fd: i32, text: &Text, family: Option<&str>, member: Member) -> Result<(), i32> {
    if member_in(fd, family).is_some_and(|there| there.stays_before(member)) {
        return Ok(());
    }
    file::overwrite(fd, text.bytes())
}

/// The member of the family that the file tells of.
fn member_at(path: &Path, family: Option<&str>) -> Option<Member> {
    let fd = file::open(path.as_c(), libc::O_RDONLY).ok()?;
    let member = member_in(fd, family);
    sys::close(fd);
    member
}

fn member_in(fd: i32, family: Option<&str>) -> Option<Member> {
    let mut begin = [0; 256];
    let read = file::read_first(fd, &mut begin);
    member_of(family?, &begin[..read])
}

/// Says at the start that the statistics cannot be written, for at the end the terminal may be gone. Called at load, by the family's first.
pub fn complain_beforehand(value: &str, pid: i32) {
    let mut path = Path::new();
    let known = path.set(value, pid).and_then(|()| match file::facts(path.as_c(), 0) {
        Ok(found) if is(&found, libc::S_IFDIR) => Err(libc::EISDIR),
        Ok(_) => Ok(()),
        Err(libc::ENOENT) => {
            let mut folder = Path::new();
            path.folder().iter().for_each(|&byte| folder.push(byte));
            folder.end()?;
            file::may(folder.as_c(), libc::W_OK | libc::X_OK)
        }
        Err(why) => Err(why),
    });
    match known {
        Err(why) if descriptor(value, pid).is_none() && why != libc::ENOSYS => say(value, pid, why),
        _ => {}
    }
}

/// Says that they could not be written, if stderr still is what it was.
pub fn complain(destination: &Destination, pid: i32, why: i32) {
    if identity(2) == destination.kept.errors {
        say(&destination.path, pid, why);
    }
}

/// The error numbers that a path, a file system or a reader can be the cause of.
const REASONS: [(i32, &str); 17] = [
    (libc::ENOENT, "no such file or folder"),
    (libc::ENOTDIR, "a part of the path is no folder"),
    (libc::EISDIR, "it is a folder"),
    (libc::EACCES, "permission denied"),
    (libc::EPERM, "operation not permitted"),
    (libc::EROFS, "the file system is read-only"),
    (libc::ENOSPC, "no space left on the device"),
    (libc::EDQUOT, "the disk quota is used up"),
    (libc::EFBIG, "larger than files may become (ulimit -f)"),
    (libc::ELOOP, "too many symbolic links"),
    (libc::ENAMETOOLONG, "the name is too long"),
    (libc::EMFILE, "no descriptor is free (ulimit -n)"),
    (libc::ENXIO, "nobody reads it"),
    (libc::EPIPE, "nobody reads it"),
    (libc::ETIMEDOUT, "its reader does not read"),
    (libc::EBADF, "the descriptor is closed, or not for writing"),
    (libc::EIO, "input/output error"),
];

/// An error number in words, if it is one of these.
pub fn reason(number: i32) -> &'static str {
    REASONS.iter().find(|(known, _)| *known == number).map_or("it cannot be written", |(_, reason)| reason)
}

/// Once for a process and those that come from it.
fn say(value: &str, pid: i32, why: i32) {
    if STATE.said.swap(true, Relaxed) {
        return;
    }
    let mut line = Line { bytes: [0; LONGEST + 256], length: 0 };
    line.add(b"greenpatch: the statistics cannot be written to ");
    config::unescape(value, pid as u32, |byte| line.add(&[if byte < b' ' { b'?' } else { byte }]));
    line.add(b": ");
    match REASONS.iter().find(|(number, _)| *number == why) {
        Some((_, reason)) => line.add(reason.as_bytes()),
        None => {
            line.add(b"error ");
            config::unescape("%p", why as u32, |byte| line.add(&[byte]));
        }
    }
    line.add(b"\n");
    put(2, &line.bytes[..line.length]).ok();
}

struct Line {
    bytes: [u8; LONGEST + 256],
    length: usize,
}

impl Line {
    fn add(&mut self, part: &[u8]) {
        for &byte in part {
            if self.length < self.bytes.len() {
                self.bytes[self.length] = byte;
                self.length += 1;
            }
        }
    }
}
