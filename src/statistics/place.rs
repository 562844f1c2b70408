//! Where the statistics are written to: a file, or what can only be added to.
//!
//! A file is made under another name and gets its own when it is whole. Its descriptor is kept from the start of the runtime on. So the
//! file tells what is counted while the program runs, is there after a SIGKILL, and is reached from wherever the program goes: into a
//! chroot, to another user, to where no descriptor is free.
//!
//! How it is written depends on what the path means (`write`):
//!
//! ```text
//!   the path is                                    how
//!   the kept file, and that still has a name       overwritten by the kept descriptor
//!   the program's own output, or a descriptor      one line is added, once for a process
//!   a FIFO, a terminal, a device                   one line is added, once for a process
//!   a folder                                       not at all: EISDIR
//!   no file, or a plain one of this user's         a new file beside it, renamed to it
//!   a link, another user's, one with more names    overwritten in place
//!   a file in a folder that takes no new ones      overwritten in place
//! ```
//!
//! Processes of one family may write at the same time; `replace` says how the right one stays.

use crate::base::kept::Kept;
use crate::base::own_fds;
use crate::config;
use crate::statistics::member::Member;
use crate::statistics::text::{member_of, Text};
use crate::sys::{self, file};
use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::*};

/// Where the statistics go, and whose they are. Made at load (`statistics::prepare`), and never changed.
pub struct Destination {
    /// The path, as the option `stats` writes it.
    pub path: String,
    /// The family's name; `None`: every process writes its own.
    pub family: Option<String>,
    /// Descriptors as they were at load.
    pub kept: AtStart,
}

/// What `write` needs room for, since it may not allocate. Nothing of it outlives a call: a fork child need not put it right.
struct Room(UnsafeCell<Texts>);

// SAFETY: only touched by the thread whose turn it is, or before there is a second one.
unsafe impl Sync for Room {}

/// The three texts that a write makes. Each is begun anew by its first use in a call.
struct Texts {
    /// The statistics.
    text: Text,
    /// The path that they go to.
    path: Path,
    /// The name that a file has before it is whole.
    new: Path,
}

/// The one room of the process. A thread has it from `take_turn` to `give_turn`.
static ROOM: Kept<Room> =
    Kept::new(Room(UnsafeCell::new(Texts { text: Text::new(), path: Path::new(), new: Path::new() })));

/// As long as the kernel takes a path, the final NUL included.
const LONGEST: usize = 4096;

/// A C string in place: its bytes, with the final NUL once `end` has been called.
struct Path {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Path {
    /// An empty path.
    const fn new() -> Path {
        Path { bytes: [0; LONGEST], length: 0 }
    }

    /// Adds a byte. A path that is too long stays too long: `end` says so.
    fn push(&mut self, byte: u8) {
        if self.length < LONGEST {
            self.bytes[self.length] = byte;
            self.length += 1;
        }
    }

    /// Becomes the path that a value of `stats` stands for. Fails by ENAMETOOLONG.
    fn set(&mut self, value: &str, pid: i32) -> Result<(), i32> {
        self.length = 0;
        config::unescape(value, pid as u32, |byte| self.push(byte));
        self.end()
    }

    /// Ends the string. Fails by ENAMETOOLONG where there is no room for the NUL.
    fn end(&mut self) -> Result<(), i32> {
        self.push(0);
        if self.bytes[self.length - 1] == 0 {
            Ok(())
        } else {
            Err(libc::ENAMETOOLONG)
        }
    }

    /// The path up to its last slash, that included; empty without one.
    fn folder(&self) -> &[u8] {
        let end = self.bytes[..self.length].iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        &self.bytes[..end]
    }

    /// Becomes a name in the folder of `path` that no other process uses: of the process id and the time. Fails by ENAMETOOLONG.
    fn set_beside(&mut self, path: &Path, pid: i32) -> Result<(), i32> {
        self.length = 0;
        path.folder().iter().for_each(|&byte| self.push(byte));
        b".greenpatch-".iter().for_each(|&byte| self.push(byte));
        config::unescape("%p-", pid as u32, |byte| self.push(byte));
        config::unescape("%p", sys::now_ns() as u32, |byte| self.push(byte));
        self.end()
    }

    /// The path for a system call. Called after `end` has said that the path is whole; before that it is the empty string, which no call
    /// takes.
    fn as_c(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes[..self.length]).unwrap_or(c"")
    }
}

/// Returns the descriptor of this process that a path is another name of: `/dev/stdout`, `/proc/self/fd/3`. `None`: any other path. The
/// path is compared as text: another link to stdout or stderr is found by device and inode
/// (`write`).
fn descriptor(path: &str, pid: i32) -> Option<i32> {
    let of_process = || path.strip_prefix("/proc/")?.strip_prefix(&pid.to_string())?.strip_prefix("/fd/");
    match path {
        "/dev/stdin" => Some(0),
        "/dev/stdout" => Some(1),
        "/dev/stderr" => Some(2),
        _ => path.strip_prefix("/dev/fd/").or(path.strip_prefix("/proc/self/fd/")).or_else(of_process)?.parse().ok(),
    }
}

/// Returns a value of `stats` that means the same file from every directory, and in the process's children. Called at load; allocates. A
/// descriptor's path is written with this process's id, for a child's own descriptor of that number may be another file. Also used for the
/// option `dump`.
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

/// Descriptors as they were at the start: the program may close its own, or use their numbers again. A fork child has the same.
pub struct AtStart {
    /// A duplicate of the descriptor that the path means; -1: it means none.
    fd: i32,
    /// Device and inode of `fd`: the program may close that number all the same (closefrom).
    what: Option<(u64, u64)>,
    /// Device and inode of stderr, which complaints go to.
    errors: Option<(u64, u64)>,
}

impl AtStart {
    /// Notes the descriptors as they are now. Called at load, before the program can change them.
    pub fn of(value: &str, pid: i32) -> AtStart {
        let fd = descriptor(value, pid).and_then(|fd| sys::duplicate_high(fd, own_fds::own_lowest()).ok());
        let fd = fd.inspect(|&fd| own_fds::insert(fd)).unwrap_or(-1);
        AtStart { fd, what: identity(fd), errors: identity(2) }
    }
}

/// Device and inode of the file that a descriptor stands for; `None`: it is closed. Two descriptors with the same pair are of one file.
fn identity(fd: i32) -> Option<(u64, u64)> {
    file::facts_of(fd).ok().map(|facts| (facts.st_dev, facts.st_ino))
}

/// Is the file of this kind (S_IFREG, S_IFDIR)?
fn is(facts: &libc::stat, kind: libc::mode_t) -> bool {
    facts.st_mode & libc::S_IFMT == kind
}

/// When the statistics are written.
#[derive(Clone, Copy, PartialEq)]
pub enum When {
    /// The runtime has just started, or the program is about to give up its way to the file. The program has one thread.
    Start,
    /// The program runs: only a kept file is overwritten.
    Meanwhile,
    /// The process ends, or executes another program.
    End,
}

/// What has become of the place, in this process. Written under the turn, but for `said`.
struct State {
    /// The file's descriptor; -1: none is kept.
    file: AtomicI32,
    /// Which file `file` stands for: device and inode.
    identity: [AtomicU64; 2],
    /// True: the line was added to what can only be added to, which each process does once.
    added: AtomicBool,
    /// True: the line that the statistics cannot be written was written, once for a process and all that come from it.
    said: AtomicBool,
}

/// The state of the process's place. A fork child begins with its own (`after_fork`), but for `said`.
static STATE: State = State {
    file: AtomicI32::new(-1),
    identity: [const { AtomicU64::new(0) }; 2],
    added: AtomicBool::new(false),
    said: AtomicBool::new(false),
};

/// Lets go of the parent's file in a fork child, which makes its own. Called while there is one thread.
pub fn after_fork() {
    let State { file, identity: _, added, said: _ } = &STATE;
    file.store(-1, Relaxed);
    added.store(false, Relaxed);
}

/// Notes that an earlier member of the family has said that the statistics cannot be written. Called at load.
pub fn note_said() {
    STATE.said.store(true, Relaxed);
}

/// Was it said, here or by an earlier member, that the statistics cannot be written?
pub fn has_said() -> bool {
    STATE.said.load(Relaxed)
}

/// Returns the kept descriptor, if it still stands for the same file (the program may have reused its number), and the file still has a
/// name. Called under the turn. A file without a name has been removed: the end makes one anew.
fn kept_file() -> Option<i32> {
    let fd = STATE.file.load(Relaxed);
    let facts = file::facts_of(fd).ok().filter(|_| fd >= 0)?;
    let [device, inode] = [0, 1].map(|at| STATE.identity[at].load(Relaxed));
    ((facts.st_dev, facts.st_ino) == (device, inode) && facts.st_nlink > 0).then_some(fd)
}

/// Keeps the file's descriptor under a number above the program's; closes it where there is no room. Called under the turn. From here on
/// the descriptor is the library's own: the program's close does not reach it (`own_fds`).
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

/// Writes the statistics to where they are to go, as the table above says. Called with all signals blocked; allocates nothing. Fails by an
/// error number. At the start no line is added, and what was made is kept.
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

/// Keeps the file just written if this is the start, and closes it otherwise.
fn done_with(fd: i32, when: When) {
    if when == When::Start {
        keep_file(fd);
    } else {
        sys::close(fd);
    }
}

/// Adds a line to what is no file or is the program's own output. Only members that made green threads add one, and the first process,
/// unless it only waited for others (a wrapper). Called under the turn, at the end only. Fails as `put` does, and adds nothing more then.
fn add(fd: i32, text: &mut Text, family: Option<&str>, member: Member, pid: i32) -> Result<(), i32> {
    let speaks = member.started || member.distance == 0 && !file::had_children();
    if !speaks || STATE.added.swap(true, Relaxed) {
        return Ok(());
    }
    text.tell(family, member, pid);
    put(fd, text.bytes())
}

/// How long `put` waits for a reader that does not read, in nanoseconds.
const LONGEST_READER_NS: u64 = 2_000_000_000;
/// Bytes that a pipe takes without waiting once poll says it has room (PIPE_BUF).
const PIECE: usize = 4096;

/// Writes all bytes, in pieces that do not wait. Fails by ETIMEDOUT after `LONGEST_READER_NS`, or by the kernel's error.
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

/// Makes a new file of the text, with the mode of the file that it is to replace (`None`: there is none), and returns its descriptor. Where
/// that fails no file is left. The file is made by O_EXCL, so a file of that name is never overwritten. Fails by the kernel's error, or as
/// `put` does.
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

/// Gives the new file its name, where processes of the family may do the same right now:
///
/// 1. The name is free: it is taken (RENAME_NOREPLACE), and all is done.
/// 2. The name's file is of a member that stays before this one: the new file is removed.
/// 3. Otherwise the two files change places in one step (RENAME_EXCHANGE). What comes out may be of a third process, which came between.
/// 4. If what came out stays before this one, it goes the same way from 1 on; otherwise it is removed.
///
/// So at the end the name has the member that stays before all others that came. A file system without such renaming gets a plain rename.
fn replace(new: &Path, path: &Path, family: Option<&str>, mut mine: Member) -> Result<(), i32> {
    let (from, to) = (new.as_c(), path.as_c());
    loop {
        match file::rename(from, to, libc::RENAME_NOREPLACE) {
            Err(libc::EEXIST) => {}
            Ok(()) => return Ok(()),
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

/// Writes into the file that is there, and returns its descriptor: a file of another user's, behind a link, or with several names. Such a
/// file is overwritten in place, for a rename would change whose it is, or which file the link leads to. The descriptor is the caller's;
/// fails by the kernel's error, and closes it then.
fn change(path: &Path, text: &Text, family: Option<&str>, member: Member) -> Result<i32, i32> {
    let fd = file::open(path.as_c(), libc::O_RDWR | libc::O_CREAT)?;
    let result = overwrite(fd, text, family, member);
    if result.is_err() {
        sys::close(fd);
    }
    result.map(|()| fd)
}

/// Overwrites the file by its descriptor, unless it tells of a member that stays before this one. Called under the turn. Fails by the
/// kernel's error.
fn overwrite(fd: i32, text: &Text, family: Option<&str>, member: Member) -> Result<(), i32> {
    if member_in(fd, family).is_some_and(|there| there.stays_before(member)) {
        return Ok(());
    }
    file::overwrite(fd, text.bytes())
}

/// Returns the member of the family that the file at a path tells of; `None`: no file, or one of another family's. Called under the turn;
/// allocates nothing.
fn member_at(path: &Path, family: Option<&str>) -> Option<Member> {
    let fd = file::open(path.as_c(), libc::O_RDONLY).ok()?;
    let member = member_in(fd, family);
    sys::close(fd);
    member
}

/// Returns the member of the family that the file of a descriptor tells of.
fn member_in(fd: i32, family: Option<&str>) -> Option<Member> {
    let mut begin = [0; 256];
    let read = file::read_first(fd, &mut begin);
    member_of(family?, &begin[..read])
}

/// Says at the start that the statistics cannot be written, for at the end the terminal may be gone. Called at load, by the family's first.
/// Nothing is made or written: the kernel is asked for the path's facts, and for the right to write into its folder. A descriptor's path is
/// not asked for.
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

/// Says on stderr that the statistics could not be written, if stderr still is the file that it was at load. Called in handlers too. `why`
/// is an error number; of all failures of a process and of its children one is told (`STATE.said`).
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

/// Returns an error number in words, or a general sentence. Used by the dump, too.
pub fn reason(number: i32) -> &'static str {
    REASONS.iter().find(|(known, _)| *known == number).map_or("it cannot be written", |(_, reason)| reason)
}

/// Writes the line on stderr, once for a process and all that come from it. Allocates nothing.
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

/// A line in the making; what does not fit is cut.
struct Line {
    bytes: [u8; LONGEST + 256],
    length: usize,
}

impl Line {
    /// Adds bytes, as many as there is room for.
    fn add(&mut self, part: &[u8]) {
        for &byte in part {
            if self.length < self.bytes.len() {
                self.bytes[self.length] = byte;
                self.length += 1;
            }
        }
    }
}
