//! Knowledge of a descriptor: its kind, the program's own O_NONBLOCK, its socket timeouts.
//!
//! The descriptor itself is never changed. Each piece that a call needs is learned by one system call: the kind before the first call,
//! the rest before its first wait. It is noted in the reactor's record of the number (`Record::info`), so that a later call knows it from
//! one load:
//!
//! ```text
//!     63 ........ 32 31 .... 24 23 ........... 4 3 2..0
//!        epoch        changes     asked and kept  | kind     0: nothing is known, which is always right
//!                                                 kind known
//! ```
//!
//! Each piece is a hint, and has its corrector:
//! - *Kind*: the kernel refuses the call that was meant for another kind (ENOTSOCK), the number is forgotten and looked at again.
//!   It is forgotten as well whenever a hook sees the number closed or given to a new file.
//! - *O_NONBLOCK* of anything but a socket is not kept: it is asked before a call's first wait (pipes and terminals are shared with
//!   other processes, which may change it at any time).
//! - *O_NONBLOCK and the timeouts of a socket* are kept only where this process has made the socket and no other process has got it, by a
//!   fork or a spawn or in a message. Other sockets are asked before each call's first wait, as a pipe is.
//! - *O_NONBLOCK and the timeouts* belong to the open file, which several numbers may share (dup). A change through a number that may have
//!   such a twin begins a new epoch (`EPOCH`, for all numbers), and what was asked in an older epoch is void. `changes` is read before the
//!   kernel is asked and compared before the answer is noted, so that an answer from before a change is not noted after it.
//! - *An O_NONBLOCK that no hook has seen* (set by a system call instruction, or by a vfork child's program) is found when a wait
//!   that trusts in its absence is verified (`runtime/news/record.rs`); that wait ends as if the flag had been there when it began.
//! - *RWF_NOWAIT refused* is noted per direction, and lasts as long as the kind.

use crate::base::kept::Kept;
use crate::hooks::answer::{Answer, Miss};
use crate::hooks::moment;
use crate::runtime::news::reactor;
use crate::runtime::news::record::{self, Record};
use crate::runtime::waiting::readiness;
use crate::sys::{self, older};
use libc::c_int;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// How a descriptor waits. The discriminants are the three lowest bits of `Record::info`, in the order of KINDS; sockets come last
/// (`socket`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Regular files, directories, block and memory devices: always ready, though slow at times. Never asked with RWF_NOWAIT, for
    /// such a transfer may read short.
    File,
    /// Pipes and FIFOs.
    Pipe,
    /// Terminals and other character devices, eventfd, timerfd, signalfd, inotify and their like.
    Device,
    /// TCP: a byte stream whose readiness agrees exactly with what a try finds.
    Tcp,
    /// Byte streams of AF_UNIX, whose readiness for reading agrees as TCP's does.
    Local,
    /// Other byte streams (vsock, SCTP, TLS in the kernel, …).
    Stream,
    /// Messages: datagrams, raw sockets, netlink, and every type that is neither of the other two.
    Packet,
    /// Messages of SOCK_SEQPACKET.
    Sequence,
}

/// The kinds by their bits: KINDS[kind as usize] is `kind`.
const KINDS: [Kind; 8] =
    [Kind::File, Kind::Pipe, Kind::Device, Kind::Tcp, Kind::Local, Kind::Stream, Kind::Packet, Kind::Sequence];

impl Kind {
    /// Is the descriptor a socket, of any protocol?
    pub fn socket(self) -> bool {
        self as u8 >= Kind::Tcp as u8
    }

    /// Is the descriptor a byte stream, where a transfer may be partial and the rest can follow it?
    pub fn stream(self) -> bool {
        matches!(self, Kind::Tcp | Kind::Local | Kind::Stream | Kind::Pipe)
    }

    /// Do "would block" and poll never disagree about reading? True for TCP, local streams and pipes: nothing to be had means nothing
    /// ready there. A datagram with a bad checksum is an example of the others: poll says ready, and the receive finds nothing
    /// (select(2), BUGS).
    pub fn agrees(self) -> bool {
        matches!(self, Kind::Tcp | Kind::Local | Kind::Pipe)
    }
}

/// The bits of the kind.
const KIND: u64 = 7;
/// The kind was asked.
const KIND_KNOWN: u64 = 1 << 3;
/// O_NONBLOCK was asked: see the next bit. Kept in the record for an OWN socket only.
const FLAGS_KNOWN: u64 = 1 << 4;
/// The file is O_NONBLOCK.
const NONBLOCKING: u64 = 1 << 5;
/// SO_RCVTIMEO was asked: see the next bit, and the record.
const RECEIVE_KNOWN: u64 = 1 << 6;
/// Receives have a timeout.
const RECEIVE_TIMED: u64 = 1 << 7;
/// SO_SNDTIMEO was asked: see the next bit, and the record.
const SEND_KNOWN: u64 = 1 << 8;
/// Sends have a timeout.
const SEND_TIMED: u64 = 1 << 9;
/// RWF_NOWAIT is refused for reading: poll is asked first.
const ASK_TO_READ: u64 = 1 << 10;
/// RWF_NOWAIT is refused for writing: poll is asked first.
const ASK_TO_WRITE: u64 = 1 << 11;
/// Another number may mean the same open file.
const TWIN: u64 = 1 << 12;
/// SO_RCVLOWAT was set: only the kernel's own blocking receive knows when to return.
const LOW_WATER: u64 = 1 << 13;
/// A thread is between poll and accept: it has the turn (`begin_accept`).
const ACCEPTING: u64 = 1 << 14;
/// The socket was seen to listen (SO_ACCEPTCONN).
const LISTENS: u64 = 1 << 15;
/// This process has made the file, as a hook saw, and no other process has it: what is asked can be kept.
const OWN: u64 = 1 << 16;
/// Messages are received from it: a queue.
const QUEUE: u64 = 1 << 17;

/// The bits that were asked of the open file, and are void after a change.
const ASKED: u64 = FLAGS_KNOWN | NONBLOCKING | RECEIVE_KNOWN | RECEIVE_TIMED | SEND_KNOWN | SEND_TIMED;
/// Counts a change, in the bits of CHANGES.
const ONE_CHANGE: u64 = 1 << 24;
/// How many changes there were, modulo 256.
const CHANGES: u64 = 0xff << 24;
/// The place of the epoch: the upper half of the word.
const EPOCH_SHIFT: u32 = 32;

/// The epoch whose answers of the kernel's count; what was asked in an older one is void. Grows by one whenever a file changes that
/// may have another number (`changed`). A fork child goes on with its parent's.
static EPOCH: Kept<AtomicU32> = Kept::new(AtomicU32::new(0));

/// A descriptor, and what was known of it when the call began. A copy: what another thread notes meanwhile is seen by the next call.
#[derive(Clone, Copy)]
pub struct Descriptor {
    /// The program's number.
    pub fd: c_int,
    /// The record of that number, which outlives every file.
    pub record: &'static Record,
    /// `Record::info` at the call's beginning; its kind is known and its epoch is the present one.
    info: u64,
}

impl Descriptor {
    /// Returns its kind, as it was known when the call began.
    pub fn kind(&self) -> Kind {
        KINDS[(self.info & KIND) as usize]
    }

    /// Is the file known to be O_NONBLOCK? False where that is not known: then the file is asked before a wait (`ask_socket`,
    /// `ask_file`).
    #[inline]
    pub fn nonblocking(&self) -> bool {
        self.info & NONBLOCKING != 0
    }

    /// Returns the timeout, in nanoseconds, of a socket that is known to block: `Some(None)` blocks for ever. `None`: O_NONBLOCK or
    /// the timeout is not known, or the socket does not block.
    #[inline]
    pub fn blocks_for(&self, interest: u32) -> Option<Option<u64>> {
        let needed = FLAGS_KNOWN | timeout_known(interest);
        (self.info & (needed | NONBLOCKING) == needed).then(|| self.timeout_ns(interest))
    }

    /// Returns the socket's timeout in that direction, in nanoseconds; `None`: it has none. Only true if the timeout was asked.
    fn timeout_ns(&self, interest: u32) -> Option<u64> {
        if interest & record::OUT != 0 {
            (self.info & SEND_TIMED != 0).then(|| self.record.send_timeout_ns.load(Relaxed))
        } else {
            (self.info & RECEIVE_TIMED != 0).then(|| self.record.receive_timeout_ns.load(Relaxed))
        }
    }

    /// Must its receives be left to the kernel, which alone counts up to SO_RCVLOWAT?
    pub fn low_water(&self) -> bool {
        self.info & LOW_WATER != 0
    }

    /// Is RWF_NOWAIT known to be refused in this direction?
    pub fn must_ask(&self, interest: u32) -> bool {
        self.info & ask_bit(interest) != 0
    }

    /// Notes that RWF_NOWAIT is refused in this direction: from then on poll is asked first. Lasts until the number gets another
    /// file.
    pub fn note_must_ask(&self, interest: u32) {
        self.record.info.fetch_or(ask_bit(interest), Relaxed);
    }

    /// Does it wait for connections? Only such a socket is worth a wait in accept: the kernel refuses all others at once. One
    /// getsockopt until the answer was yes.
    pub fn listens(&self) -> bool {
        if self.info & LISTENS == 0 {
            if option(self.fd, libc::SO_ACCEPTCONN) == 0 {
                return false;
            }
            self.record.info.fetch_or(LISTENS, Relaxed);
        }
        true
    }

    /// Takes the turn to accept; false: another thread has it. Called by accept before its poll. The turn is given back by
    /// `end_accept`, also where the accept is cancelled.
    pub fn begin_accept(&self) -> bool {
        self.record.info.fetch_or(ACCEPTING, Relaxed) & ACCEPTING == 0
    }

    /// Gives back the turn that `begin_accept` has taken.
    pub fn end_accept(&self) {
        self.record.info.fetch_and(!ACCEPTING, Relaxed);
    }

    /// Returns the descriptor with its kind known and no answer of an older epoch, and notes both. `None`: the number has no file
    /// (fstat fails).
    #[cold]
    fn look_closer(mut self) -> Option<Descriptor> {
        let before = self.info;
        let epoch = EPOCH.load(Relaxed);
        if epoch_of(before) != epoch {
            self.info = before & !ASKED & u32::MAX as u64 | (epoch as u64) << EPOCH_SHIFT;
        }
        if self.info & KIND_KNOWN == 0 {
            self.info |= kind_of(self.fd)? | REFUSED.load(Relaxed) | KIND_KNOWN;
        }
        // Where this fails another thread has noted something meanwhile; this call goes by what it saw itself.
        self.record.info.compare_exchange(before, self.info, Relaxed, Relaxed).ok();
        Some(self)
    }

    /// Asks the kernel for the status flags, and for the timeout in the direction of `interest` if that is not known; notes both in
    /// this copy. Returns the status flags, or a negated error number.
    fn ask(&mut self, interest: u32) -> isize {
        let flags = older::status_flags(self.fd);
        self.info &= !NONBLOCKING;
        self.info |= FLAGS_KNOWN | if has_nonblock(flags) { NONBLOCKING } else { 0 };
        if self.info & timeout_known(interest) != 0 {
            return flags;
        }
        let (name, place, timed) = if interest & record::OUT != 0 {
            (libc::SO_SNDTIMEO, &self.record.send_timeout_ns, SEND_TIMED)
        } else {
            (libc::SO_RCVTIMEO, &self.record.receive_timeout_ns, RECEIVE_TIMED)
        };
        let ns = timeout_ns(self.fd, name);
        place.store(ns, Relaxed);
        self.info |= timeout_known(interest) | if ns != 0 { timed } else { 0 };
        flags
    }
}

/// Returns the bit that says for a direction that RWF_NOWAIT is refused.
fn ask_bit(interest: u32) -> u64 {
    if interest & record::OUT != 0 {
        ASK_TO_WRITE
    } else {
        ASK_TO_READ
    }
}

/// The directions in which this process is refused transfers that do not wait (preadv2, pwritev2), as ask bits; a refusal lasts. A
/// fork child is under the same filter.
static REFUSED: Kept<AtomicU64> = Kept::new(AtomicU64::new(0));

/// Is the call itself refused, by an old kernel or by a filter, and not only this use of it? Called after a transfer that does not
/// wait was refused in this direction. Makes one system call that only a refusal fails so (`older::refuses`), and remembers a yes.
#[cold]
pub fn is_refused(interest: u32) -> bool {
    let bit = ask_bit(interest);
    let number = if bit == ASK_TO_WRITE { libc::SYS_pwritev2 } else { libc::SYS_preadv2 };
    let refused = REFUSED.load(Relaxed) & bit != 0 || older::refuses(number);
    if refused {
        REFUSED.fetch_or(bit, Relaxed);
    }
    refused
}

/// Returns the bit that says for a direction that the timeout was asked.
fn timeout_known(interest: u32) -> u64 {
    if interest & record::OUT != 0 {
        SEND_KNOWN
    } else {
        RECEIVE_KNOWN
    }
}

/// Returns the epoch in which O_NONBLOCK and the timeouts were asked.
fn epoch_of(info: u64) -> u32 {
    (info >> EPOCH_SHIFT) as u32
}

/// Returns any descriptor, its kind known. Called by handlers at their beginning, on any thread; one load where the kind is known,
/// else an fstat and for sockets a few getsockopts. `Err(Miss::Libc)` for a number without a file or without a record (negative, or
/// of `Record::NUMBERS` and more): libc's call finds the error.
#[inline]
pub fn any(fd: c_int) -> Answer<Descriptor> {
    let record = record::record(fd).ok_or(Miss::Libc)?;
    let found = Descriptor { fd, record, info: record.info.load(Relaxed) };
    if found.info & KIND_KNOWN != 0 && epoch_of(found.info) == EPOCH.load(Relaxed) {
        return Ok(found);
    }
    found.look_closer().ok_or(Miss::Libc)
}

/// Returns a socket. `Err(Miss::Libc)` where the number has no file or is no socket: libc's call says EBADF or ENOTSOCK.
#[inline]
pub fn socket(fd: c_int) -> Answer<Descriptor> {
    let descriptor = any(fd)?;
    if descriptor.kind().socket() {
        Ok(descriptor)
    } else {
        look_again(fd)
    }
}

/// Returns the socket of a number that was believed to be none. Forgets the belief and asks the kernel: the number may have got
/// another file without a hooked call.
#[cold]
fn look_again(fd: c_int) -> Answer<Descriptor> {
    readiness::forget(fd);
    any(fd).and_then(|descriptor| if descriptor.kind().socket() { Ok(descriptor) } else { Err(Miss::Libc) })
}

/// Asks a socket on which a call is about to wait. Returns its timeout in nanoseconds, `None` for ever. `Err`: it must not wait, and
/// the call answers this error number (`refusal`). An OWN socket's answers are noted, unless a change came meanwhile: then the
/// exchange of the word fails.
pub fn ask_socket(fd: c_int, interest: u32) -> Result<Option<u64>, c_int> {
    let mut socket = any(fd).map_err(|_| refusal(older::status_flags(fd)))?;
    let before = socket.info;
    let flags = socket.ask(interest);
    if socket.info & OWN != 0 {
        socket.record.info.compare_exchange(before, socket.info, Relaxed, Relaxed).ok();
    }
    socket.blocks_for(interest).ok_or_else(|| refusal(flags))
}

/// Returns the bits of the kind, and those that follow from it: RWF_NOWAIT is not tried on terminals and other character devices.
/// `None`: the number has no file.
fn kind_of(fd: c_int) -> Option<u64> {
    /// Memory devices (null, zero, random, …): they never wait, but read short with RWF_NOWAIT.
    const MEMORY: u32 = 1;
    // SAFETY: all-zero is a value of stat, and the kernel writes into it.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let result = unsafe { sys::call(libc::SYS_fstat, fd as usize, &mut stat as *mut _ as usize, 0, 0, 0, 0) };
    if result < 0 {
        return None;
    }
    Some(match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG | libc::S_IFDIR | libc::S_IFBLK => Kind::File as u64,
        libc::S_IFIFO => Kind::Pipe as u64,
        libc::S_IFSOCK => socket_kind(fd) as u64,
        libc::S_IFCHR if libc::major(stat.st_rdev) == MEMORY => Kind::File as u64,
        libc::S_IFCHR => Kind::Device as u64 | ASK_TO_READ | ASK_TO_WRITE,
        _ => Kind::Device as u64,
    })
}

/// Returns a socket's kind by its type, protocol and domain.
fn socket_kind(fd: c_int) -> Kind {
    match option(fd, libc::SO_TYPE) {
        libc::SOCK_STREAM => match option(fd, libc::SO_PROTOCOL) {
            libc::IPPROTO_TCP => Kind::Tcp,
            _ if option(fd, libc::SO_DOMAIN) == libc::AF_UNIX => Kind::Local,
            _ => Kind::Stream,
        },
        libc::SOCK_SEQPACKET => Kind::Sequence,
        _ => Kind::Packet,
    }
}

/// Returns a socket option that is an int; 0 where the kernel has no answer.
fn option(fd: c_int, name: c_int) -> c_int {
    let mut value = 0;
    get_option(fd, name, &mut value);
    value
}

/// Returns a socket's SO_RCVTIMEO or SO_SNDTIMEO in nanoseconds; 0: it has none.
fn timeout_ns(fd: c_int, name: c_int) -> u64 {
    let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
    get_option(fd, name, &mut time);
    moment::of_timeval(&time)
}

/// Reads a socket option of SOL_SOCKET into `value`, which is left as it is where the kernel has no answer.
fn get_option<T>(fd: c_int, name: c_int, value: &mut T) {
    let mut length = std::mem::size_of::<T>() as libc::socklen_t;
    let (value, length) = (value as *mut T as usize, &mut length as *mut _ as usize);
    // SAFETY: the kernel writes at most `length` bytes into `value`.
    unsafe { sys::call(libc::SYS_getsockopt, fd as usize, libc::SOL_SOCKET as usize, name as usize, value, length, 0) };
}

/// Asks a file on which a call is about to wait for `interest`. `Err`: it must not wait, because of O_NONBLOCK or because it was
/// opened for the other direction, and the call answers this error number (`refusal`). Nothing is noted: other processes may share
/// the file. One fcntl.
pub fn ask_file(fd: c_int, interest: u32) -> Result<(), c_int> {
    let flags = older::status_flags(fd);
    let wrong = match interest {
        record::IN => libc::O_WRONLY,
        record::OUT => libc::O_RDONLY,
        _ => libc::O_ACCMODE,
    };
    let waits = !has_nonblock(flags) && flags as c_int & libc::O_ACCMODE != wrong;
    waits.then_some(()).ok_or_else(|| refusal(flags))
}

/// Returns what a call answers that must not wait: EAGAIN, unless the number was closed since its first try. `flags` is a negated
/// error number then, and that is the answer.
fn refusal(flags: isize) -> c_int {
    if flags < 0 {
        -flags as c_int
    } else {
        libc::EAGAIN
    }
}

/// Do these status flags say that nothing waits? A negated error number says so, too.
pub fn has_nonblock(flags: isize) -> bool {
    flags < 0 || flags as c_int & libc::O_NONBLOCK != 0
}

/// Returns what poll says of a descriptor right now, without waiting: the events of `interest` that are ready, with POLLERR, POLLHUP
/// and POLLNVAL; 0: nothing.
pub fn poll_now(fd: c_int, interest: u32) -> u32 {
    let mut poll = libc::pollfd { fd, events: interest as i16, revents: 0 };
    let time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes into `poll`, a local.
    unsafe { older::poll_exactly(&mut poll as *mut _ as usize, 1, Some(&time)) };
    poll.revents as u16 as u32
}

/// Forgets O_NONBLOCK and the timeouts of a number: the program has changed one of them. Called after the change, by any thread.
/// Where another number may mean the same open file a new epoch begins, which voids the answers for all numbers.
///
/// The race with a call that asks meanwhile:
///
/// 1. The call reads `info` (`any`), then asks the kernel, and gets the answer from before the change.
/// 2. The change is made, and `changed` moves the bits of CHANGES.
/// 3. The call notes its answer by an exchange of the word of step 1, which fails. Its own wait goes on the old answer, as natively a
///    wait that began before the change does.
pub fn changed(fd: c_int) {
    let Some(record) = record::record(fd) else { return };
    if record.info.load(Relaxed) & TWIN != 0 {
        EPOCH.fetch_add(1, Relaxed);
    }
    update(&record.info, |info| info & !ASKED & !CHANGES | (info.wrapping_add(ONE_CHANGE) & CHANGES));
}

/// Forgets all that may not be kept once another process has the open files: O_NONBLOCK, the timeouts, and that files are OWN. Called
/// right before and after each fork, on both sides, and by the hooks of posix_spawn, daemon and clone.
pub fn forked() {
    record::revise_all(|info| info & !(ASKED | OWN));
}

/// Notes that this process has just made the file of this number, and that no other process has it. Called by hooks that return a new
/// socket, before the program knows the number.
pub fn made(fd: c_int) {
    readiness::forget(fd);
    if let Some(record) = record::record(fd) {
        record.info.store(OWN, Relaxed);
    }
}

/// Notes that the open file of this number went with a message (SCM_RIGHTS): another process may have it, or another number of this
/// process's. Called after the message was sent.
pub fn handed_on(fd: c_int) {
    if let Some(record) = record::record(fd) {
        update(&record.info, |info| info & !(ASKED | OWN));
    }
}

/// Notes that the program has set SO_RCVLOWAT: receives are the kernel's from then on, also where the value is 1.
pub fn low_water_set(fd: c_int) {
    if let Some(record) = record::record(fd) {
        update(&record.info, |info| info | LOW_WATER);
    }
}

/// Notes that the program has put another protocol on top (TLS in the kernel): a short read no longer says that nothing is left.
pub fn layered(fd: c_int) {
    if let Some(record) = record::record(fd) {
        update(&record.info, |info| info & !KIND | Kind::Stream as u64 | KIND_KNOWN);
    }
}

/// Notes that the number is a message queue's: its parked receivers look again when a notification is asked for (`stir_queues`).
pub fn note_queue(record: &Record) {
    record.info.fetch_or(QUEUE, Relaxed);
}

/// Wakes the parked receivers of all message queues: they try again, and then wait in the kernel. Called by mq_notify, before the
/// registration.
pub fn stir_queues() {
    readiness::stir_those(|info| info & QUEUE != 0);
}

/// Changes a record's word by one atomic step; `change` may be called again where another thread was faster.
fn update(info: &AtomicU64, change: impl Fn(u64) -> u64) {
    info.fetch_update(Relaxed, Relaxed, |info| Some(change(info))).ok();
}

/// Notes that `to` has become another number for the open file of `from`, and that both have a twin from then on. Called after the
/// kernel has made the duplicate. Of `to` nothing else is known, but that the file is OWN if it was before.
pub fn duplicated(from: c_int, to: c_int) {
    readiness::forget(to);
    let (Some(one), Some(other)) = (record::record(from), record::record(to)) else { return };
    let before = one.info.fetch_or(TWIN, Relaxed);
    other.info.store(before & OWN | TWIN, Relaxed);
}

/// Notes that the kernel has just made the connection `fd` out of a listener. It inherits the kind and, where the listener has none,
/// the absence of timeouts. O_NONBLOCK is not inherited (accept(2)): the connection's first wait asks for it, unless SOCK_NONBLOCK
/// has set it.
pub fn accepted(listener: &Descriptor, fd: c_int, nonblocking: bool) {
    made(fd);
    let Some(record) = record::record(fd) else { return };
    let inherited = KIND | KIND_KNOWN | LOW_WATER | RECEIVE_KNOWN | SEND_KNOWN;
    let mut info = listener.info & (inherited | (u32::MAX as u64) << EPOCH_SHIFT) | OWN;
    if nonblocking {
        info |= FLAGS_KNOWN | NONBLOCKING;
    }
    // A listener with timeouts is rare: what was accepted asks for its own.
    if listener.info & (RECEIVE_TIMED | SEND_TIMED) != 0 {
        info &= !(RECEIVE_KNOWN | SEND_KNOWN);
    }
    record.info.store(info, Relaxed);
}

/// Has the waits for devices try again when the process was stopped and goes on: after a stop it may be in the background, where the
/// kernel stops a reader or fails its call (termios(3)). Called before the first wait for a terminal.
pub fn try_terminals_when_continued() {
    reactor::try_when_continued(KIND | KIND_KNOWN, Kind::Device as u64 | KIND_KNOWN);
}
