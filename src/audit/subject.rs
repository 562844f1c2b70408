//! What a call was about: its descriptor, what that stands for, both addresses, and the timeout that was asked for.
//!
//! Asked of the kernel after a long call, by system calls of the library's own. A descriptor that was closed meanwhile is unknown then, and
//! one whose number another file has by now is told as that file.

use crate::audit::format::{kind, Long, NO_TIMEOUT, UNKNOWN_TIMEOUT};
use crate::audit::text::{self, Writer};
use crate::sys;
use std::ffi::CStr;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// A recorded call's arguments: their names in the table, and their values.
#[derive(Clone, Copy)]
pub struct Arguments<'a> {
    pub names: &'static [&'static str],
    pub values: &'a [u64],
    pub selected: Selected,
}

/// What a call of select was about, read before the call: the kernel clears the sets and counts the timeout down.
#[derive(Clone, Copy)]
pub struct Selected {
    /// The lowest descriptors; -1: there are no more, or it is another call.
    fds: [i32; SOME],
    /// The timeout, in nanoseconds.
    given_ns: i64,
}

impl Selected {
    /// Of a call that is none of select's.
    pub const NONE: Selected = Selected { fds: [-1; SOME], given_ns: UNKNOWN_TIMEOUT };

    /// Is it about two descriptors or more?
    #[inline(always)]
    pub fn are_many(&self) -> bool {
        self.fds[1] >= 0
    }
}

impl Arguments<'_> {
    /// Returns the value of an argument, by its name in the table; `None`: the row has no such argument. Names mean the same in all rows:
    /// `fd` is a descriptor, `timeout_ms` milliseconds, `until` a moment.
    fn value(&self, name: &str) -> Option<u64> {
        self.names.iter().position(|known| *known == name).map(|at| self.values[at])
    }

    /// Returns the descriptor that the call is about; -1: none.
    pub fn fd(&self) -> i32 {
        if self.selected.fds[0] >= 0 {
            return foremost(self.selected.fds.into_iter().map(|fd| (fd, false)));
        }
        if let (Some(list), Some(count)) = (self.value("fds"), self.value("n")) {
            return foremost(polled(list as usize, count as usize));
        }
        ["fd", "from", "queue"].iter().find_map(|name| self.value(name)).map_or(-1, |fd| fd as i32)
    }

    /// Returns the descriptor of a wait of epoll; -1: another call.
    pub fn epoll(&self) -> i32 {
        self.value("events").and_then(|_| self.value("fd")).map_or(-1, |fd| fd as i32)
    }

    /// Is a wait for readiness about two descriptors or more? One of epoll always is, as far as its arguments tell.
    pub fn are_many(&self) -> bool {
        match self.value("fds") {
            Some(_) => self.value("n").is_some_and(|count| count > 1),
            None => self.selected.are_many() || self.value("events").is_some(),
        }
    }

    /// Returns the timeout that the call was given, in nanoseconds; `NO_TIMEOUT`: it may wait for ever; `UNKNOWN_TIMEOUT`.
    pub fn timeout_ns(&self, fd: i32) -> i64 {
        if let Some(ms) = self.value("timeout_ms") {
            return if (ms as i32) < 0 { NO_TIMEOUT } else { i64::from(ms as i32) * 1_000_000 };
        }
        if let Some(seconds) = self.value("seconds") {
            return (seconds as u32 as i64).saturating_mul(1_000_000_000);
        }
        if let Some(microseconds) = self.value("microseconds") {
            return (microseconds as u32 as i64) * 1_000;
        }
        if self.selected.given_ns != UNKNOWN_TIMEOUT {
            return self.selected.given_ns;
        }
        if let Some(place) = self.value("timeout") {
            return span(place as usize, 1).unwrap_or(NO_TIMEOUT);
        }
        if self.value("until").is_some() {
            return UNKNOWN_TIMEOUT;
        }
        if let Some(place) = self.value("time") {
            // clock_nanosleep's may be a moment: how long that is from here is not known any more.
            const ABSOLUTE: u64 = libc::TIMER_ABSTIME as u64;
            if self.value("clock").is_some() && self.value("flags").is_some_and(|flags| flags & ABSOLUTE != 0) {
                return UNKNOWN_TIMEOUT;
            }
            return span(place as usize, 1).unwrap_or(UNKNOWN_TIMEOUT);
        }
        // A socket's own limit: for what waits to receive, or to send.
        let option = if self.names.contains(&"buf") || self.names.contains(&"msg") {
            libc::SO_RCVTIMEO
        } else {
            return UNKNOWN_TIMEOUT;
        };
        match sys::socket_option(fd, option, [0i64; 2]) {
            Ok([0, 0]) => NO_TIMEOUT,
            Ok([seconds, us]) => seconds.saturating_mul(1_000_000_000).saturating_add(us * 1_000),
            Err(_) => UNKNOWN_TIMEOUT,
        }
    }

    /// Returns the longest time that the call may wait by its own arguments, in nanoseconds. `None`: they name none.
    pub fn limit_ns(&self) -> Option<u64> {
        const LIMITS: [&str; 5] = ["timeout_ms", "seconds", "microseconds", "time", "timeout"];
        // recvmmsg looks at its timeout behind each datagram only.
        let names = |name: &&str| self.value(name).is_some() && self.value("msgs").is_none();
        let is_limited = LIMITS.iter().any(names) || self.selected.given_ns != UNKNOWN_TIMEOUT;
        is_limited.then(|| self.timeout_ns(-1)).and_then(|ns| u64::try_from(ns).ok())
    }

    /// Could the call have waited, whatever it did? `None`: it is neither a wait for a time nor about a socket, a pipe or the like.
    pub fn could_wait(&self) -> Option<bool> {
        const LIKE_SOCKETS: [libc::mode_t; 2] = [libc::S_IFSOCK, libc::S_IFIFO];
        if self.value("fds").is_some() || self.value("events").is_some() || self.selected.given_ns != UNKNOWN_TIMEOUT {
            return Some(self.timeout_ns(-1) != 0);
        }
        const TIMES: [&str; 5] = ["time", "seconds", "microseconds", "until", "cond"];
        if TIMES.iter().any(|name| self.value(name).is_some()) {
            return Some(true);
        }
        if self.value("flags").is_some_and(|flags| flags & libc::MSG_DONTWAIT as u64 != 0) {
            return Some(false);
        }
        let fd = self.value("fd")? as i32;
        let kind = sys::file::facts_of(fd).ok()?.st_mode & libc::S_IFMT;
        LIKE_SOCKETS.contains(&kind).then(|| sys::older::status_flags(fd) & libc::O_NONBLOCK as isize == 0)
    }

    /// Returns the mutex that a call of this name waits for; `None`: it waits for none.
    pub fn mutex(&self, call: &str) -> Option<u64> {
        let is_mutex = call.contains("mutex") || call.starts_with("mtx_");
        self.value("lock").filter(|_| is_mutex)
    }

    /// Does the call wait for another thread of this process, as a rule: for a lock, a condition, a thread's end, an eventfd?
    pub fn is_for_a_thread(&self, call: &str) -> bool {
        const BEGINS: [&str; 6] = ["pthread_", "__pthread_", "sem_", "mtx_", "cnd_", "thrd_join"];
        let mut room = [0u8; 32];
        let fd = self.fd();
        BEGINS.iter().any(|begin| call.starts_with(begin))
            || fd >= 0 && link_of(fd, &mut room).is_some_and(|count| &room[..count] == b"anon_inode:[eventfd]")
    }

    /// Returns the name that a call of the resolver asks for.
    fn host(&self) -> Option<u64> {
        ["node", "name"].iter().find_map(|name| self.value(name)).filter(|place| *place != 0)
    }
}

/// Reads two words of the program's; `None`: a null pointer, or no memory there.
fn pair(place: usize) -> Option<[i64; 2]> {
    let mut room = [0u8; 16];
    if place == 0 || !sys::read_own_memory(place, &mut room) {
        return None;
    }
    let word = |at: usize| i64::from_ne_bytes(room[at..at + 8].try_into().unwrap_or([0; 8]));
    Some([word(0), word(8)])
}

/// Reads a span of the program's, in nanoseconds: seconds, and a rest in units of so many nanoseconds. `None`: a null pointer.
fn span(place: usize, unit: i64) -> Option<i64> {
    pair(place).map(|[seconds, rest]| seconds.saturating_mul(1_000_000_000).saturating_add(rest.saturating_mul(unit)))
}

/// How many descriptors of a poll or a select are looked at.
const SOME: usize = 8;

/// Returns the descriptors in a list of poll's, the first `SOME`, and whether something came for each.
fn polled(list: usize, count: usize) -> impl Iterator<Item = (i32, bool)> {
    (0..count.min(SOME)).map_while(move |at| {
        let mut room = [0u8; 8];
        sys::read_own_memory(list + at * 8, &mut room).then(|| {
            let fd = i32::from_ne_bytes([room[0], room[1], room[2], room[3]]);
            (fd, room[6] != 0 || room[7] != 0)
        })
    })
}

/// Returns the descriptor that a wait for several is said to be about: of those with a peer that has a name, else of all, the first for
/// which something came, else the first. A driver waits for its connection and a wake-up of its own: the connection counts. -1: there is
/// none.
fn foremost(fds: impl Iterator<Item = (i32, bool)>) -> i32 {
    let (mut best, mut worth) = (-1, -1);
    for (fd, came) in fds.filter(|(fd, _)| *fd >= 0) {
        let own = 2 * i32::from(has_peer(fd)) + i32::from(came);
        if own > worth {
            (best, worth) = (fd, own);
        }
    }
    best
}

/// Is this a socket whose peer has a name? A socket pair's has none.
fn has_peer(fd: i32) -> bool {
    let mut room = [0u8; 128];
    sys::socket_peer(fd, &mut room).is_ok_and(|bytes| bytes > 2)
}

/// Reads what a call of select is about. `values` are its arguments from the second word on: the count, three sets, the timeout; `unit`:
/// how many nanoseconds the timeout's second word counts.
pub fn selected(values: &[u64], unit: i64) -> Selected {
    let word = |at: usize| values.get(at).map_or(0, |value| *value as usize);
    let fds = in_sets([word(2), word(3), word(4)], word(1) as i32);
    Selected { fds, given_ns: span(word(5), unit).unwrap_or(NO_TIMEOUT) }
}

/// Returns the lowest descriptors in the sets of a select, and -1 behind them. `limit`: the call's first argument.
fn in_sets(sets: [usize; 3], limit: i32) -> [i32; SOME] {
    let (mut fds, mut count) = ([-1; SOME], 0);
    for word in 0..(limit.clamp(0, 1024) as usize).div_ceil(64) {
        let mut all = 0u64;
        for set in sets.into_iter().filter(|set| *set != 0) {
            let mut room = [0u8; 8];
            if sys::read_own_memory(set + word * 8, &mut room) {
                all |= u64::from_ne_bytes(room);
            }
        }
        while all != 0 && count < SOME {
            fds[count] = (word * 64) as i32 + all.trailing_zeros() as i32;
            all &= all - 1;
            count += 1;
        }
    }
    fds
}

/// Fills in what a long call was about. Called by `recorder::keep`, right behind the call: what the arguments point to is as the call has
/// left it, and memory is read as a stranger's (`read_own_memory`), for another thread may have unmapped it meanwhile.
pub fn tell(long: &Long, arguments: &Arguments) {
    let fd = arguments.fd();
    long.fd.store(fd, Relaxed);
    long.timeout_ns.store(arguments.timeout_ns(fd), Relaxed);
    for text in [&long.local[..], &long.peer[..], &long.path[..]] {
        text[0].store(0, Relaxed);
    }
    let mut of = kind::UNKNOWN;
    if fd >= 0 {
        of = what(fd, long);
    } else if let Some(place) = arguments.host() {
        let mut room = [0u8; 127];
        if let Some(count) = text_at(place as usize, &mut room) {
            text::write(&long.path, &room[..count]);
        }
    }
    long.fd_kind.store(of, Relaxed);
}

/// Copies a C string of the program's: its length, cut at the room's end. `None`: there is no memory.
pub fn text_at(place: usize, room: &mut [u8]) -> Option<usize> {
    const PAGE: usize = 4096;
    let mut count = 0;
    while count < room.len() {
        let more = (room.len() - count).min(PAGE - (place + count) % PAGE);
        let part = &mut room[count..count + more];
        if !sys::read_own_memory(place + count, part) {
            return None;
        }
        if let Some(end) = part.iter().position(|byte| *byte == 0) {
            return Some(count + end);
        }
        count += more;
    }
    Some(count)
}

/// Reads what a descriptor's link in /proc says: its length. `None`: there is no such descriptor.
pub fn link_of(fd: i32, room: &mut [u8]) -> Option<usize> {
    if fd < 0 {
        return None;
    }
    let name = own_path(b"/proc/self/fd/", fd);
    sys::read_link(CStr::from_bytes_until_nul(&name).unwrap_or(c""), room).ok()
}

/// Returns the path of a descriptor's entry in a folder of /proc/self, with zeros behind it.
fn own_path(folder: &[u8], fd: i32) -> [u8; 32] {
    let mut name = [0u8; 32];
    let mut at = 0;
    let mut put = |byte: u8| {
        name[at] = byte;
        at += 1;
    };
    folder.iter().for_each(|byte| put(*byte));
    text::decimal(fd as u64, put);
    name
}

/// Returns the descriptor that an epoll watches, if that is one alone, and a socket with a peer that has a name.
pub fn only_connection(epoll: i32) -> Option<i32> {
    let name = own_path(b"/proc/self/fdinfo/", epoll);
    let path = CStr::from_bytes_until_nul(&name).unwrap_or(c"");
    let fd = sys::open(path, libc::O_RDONLY | libc::O_CLOEXEC).ok()?;
    let mut room = [0u8; 512];
    let count = sys::read_first(fd, &mut room);
    sys::close(fd);
    let mut watched = room[..count].split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"tfd:"));
    let (line, None) = (watched.next()?, watched.next()) else { return None };
    let digits = line.iter().skip_while(|byte| **byte == b' ').take_while(|byte| byte.is_ascii_digit());
    let fd = digits.fold(0i32, |number, digit| number.wrapping_mul(10).wrapping_add(i32::from(digit - b'0')));
    has_peer(fd).then_some(fd)
}

/// Returns what a descriptor stands for (`format::kind`), and writes its addresses or its path.
fn what(fd: i32, long: &Long) -> u32 {
    let mut room = [0u8; 256];
    let Some(count) = link_of(fd, &mut room) else { return kind::UNKNOWN };
    let link = &room[..count];
    if link.starts_with(b"socket:") {
        return socket(fd, long);
    }
    if link.starts_with(b"pipe:") {
        return kind::PIPE;
    }
    if link == b"anon_inode:[eventpoll]" {
        only_connection(fd).inspect(|connection| _ = socket(*connection, long));
        return kind::EPOLL;
    }
    if link == b"anon_inode:[eventfd]" {
        return kind::EVENT;
    }
    text::write(&long.path, link);
    match link {
        _ if link.starts_with(b"/dev/pts/") || link == b"/dev/tty" => kind::TERMINAL,
        _ if link.starts_with(b"/") => kind::FILE,
        _ => kind::UNKNOWN,
    }
}

/// Writes a socket's two addresses; returns its kind.
fn socket(fd: i32, long: &Long) -> u32 {
    let of = sys::socket_option(fd, libc::SO_TYPE, 0i32).unwrap_or(0);
    let mut family = 0;
    for (of_peer, field) in [(false, &long.local), (true, &long.peer)] {
        let mut room = [0u8; 128];
        let known = if of_peer { sys::socket_peer(fd, &mut room) } else { sys::socket_address(fd, &mut room) };
        if let Ok(bytes) = known {
            let room = &room[..bytes.min(128)];
            family = room.get(..2).map_or(0, |two| i32::from(u16::from_ne_bytes([two[0], two[1]])));
            write_address(field, family, room);
        }
    }
    match (family, of) {
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM) => kind::TCP,
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM) => kind::UDP,
        (libc::AF_UNIX, _) => kind::UNIX,
        _ => kind::SOCKET,
    }
}

/// Writes an address as people do: 127.0.0.1:5432, [::1]:5432, /run/socket, @name.
fn write_address(field: &[AtomicU8], family: i32, address: &[u8]) {
    let mut writer = Writer::new(field);
    match family {
        libc::AF_INET if address.len() >= 8 => {
            for (at, byte) in address[4..8].iter().enumerate() {
                if at > 0 {
                    writer.put(b".");
                }
                writer.number(u64::from(*byte));
            }
            writer.put(b":");
            writer.number(u64::from(u16::from_be_bytes([address[2], address[3]])));
        }
        libc::AF_INET6 if address.len() >= 24 => {
            writer.put(b"[");
            write_v6(&mut writer, &address[8..24]);
            writer.put(b"]:");
            writer.number(u64::from(u16::from_be_bytes([address[2], address[3]])));
        }
        libc::AF_UNIX => {
            let name = &address[2.min(address.len())..];
            match name.split_first() {
                Some((0, rest)) => {
                    writer.put(b"@");
                    writer.put(rest);
                }
                Some(_) => writer.put(text::until_zero(name)),
                None => {}
            }
        }
        _ => {}
    }
    writer.end();
}

/// Writes sixteen bytes as groups of hexadecimal digits; the longest run of two zero groups or more is `::` (RFC 5952).
fn write_v6(writer: &mut Writer, bytes: &[u8]) {
    let group = |at: usize| u16::from_be_bytes([bytes[2 * at], bytes[2 * at + 1]]);
    let (mut best, mut from) = (0..0, 0);
    while from < 8 {
        let end = (from..8).find(|at| group(*at) != 0).unwrap_or(8);
        if end - from > best.len() && end - from > 1 {
            best = from..end;
        }
        from = end.max(from + 1);
    }
    let mut at = 0;
    while at < 8 {
        if at == best.start && !best.is_empty() {
            writer.put(b"::");
            at = best.end;
        } else {
            if at > 0 && at != best.end {
                writer.put(b":");
            }
            writer.hexadecimal(u64::from(group(at)));
            at += 1;
        }
    }
}
