//! What a call was about: its descriptor, what that stands for, both addresses, and the timeout that was asked for.
//!
//! Asked of the kernel after a long call, by system calls of the library's own. A descriptor that was closed meanwhile is unknown then, and
//! one whose number another file has by now is told as that file.

use crate::audit::format::{kind, Long, NO_TIMEOUT, UNKNOWN_TIMEOUT};
use crate::audit::text::{self, Writer};
use crate::sys;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// A recorded call's arguments: their names in the table, and their values.
#[derive(Clone, Copy)]
pub struct Arguments<'a> {
    pub names: &'static [&'static str],
    pub values: &'a [u64],
    /// The first descriptor of a call of select, which the kernel clears from the sets; -1: none, or another call.
    pub selected: i32,
    /// The timeout that a call of select was given, in nanoseconds, which the kernel counts down.
    pub given_ns: i64,
}

impl Arguments<'static> {
    /// Of a call that is none of select's.
    pub const NOT_SELECTED: (i32, i64) = (-1, UNKNOWN_TIMEOUT);
}

impl Arguments<'_> {
    /// Returns the value of an argument, by its name in the table; `None`: the row has no such argument. Names mean the same in all rows:
    /// `fd` is a descriptor, `timeout_ms` milliseconds, `until` a moment.
    fn value(&self, name: &str) -> Option<u64> {
        self.names.iter().position(|known| *known == name).map(|at| self.values[at])
    }

    /// Returns the descriptor that the call is about; -1: none.
    pub fn fd(&self) -> i32 {
        if self.selected >= 0 {
            return self.selected;
        }
        if let (Some(list), Some(count)) = (self.value("fds"), self.value("n")) {
            return first_polled(list as usize, count as usize);
        }
        ["fd", "from", "queue"].iter().find_map(|name| self.value(name)).map_or(-1, |fd| fd as i32)
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
        if self.given_ns != UNKNOWN_TIMEOUT {
            return self.given_ns;
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

/// Returns the first descriptor in a list of poll's that is ready, else the first of all; -1: none.
fn first_polled(list: usize, count: usize) -> i32 {
    let mut first = -1;
    for at in 0..count.min(64) {
        let mut room = [0u8; 8];
        if !sys::read_own_memory(list + at * 8, &mut room) {
            break;
        }
        let fd = i32::from_ne_bytes([room[0], room[1], room[2], room[3]]);
        let came = u16::from_ne_bytes([room[6], room[7]]);
        if fd >= 0 && came != 0 {
            return fd;
        }
        if first < 0 {
            first = fd;
        }
    }
    first
}

/// Reads what a call of select is about, before the call changes it: the lowest descriptor in its sets, or -1, and its timeout. `values`
/// are its arguments from the second word on: the count, three sets, the timeout; `unit`: how many nanoseconds the timeout's second word
/// counts.
pub fn selected(values: &[u64], unit: i64) -> (i32, i64) {
    let word = |at: usize| values.get(at).map_or(0, |value| *value as usize);
    (first_selected([word(2), word(3), word(4)], word(1) as i32), span(word(5), unit).unwrap_or(NO_TIMEOUT))
}

fn first_selected(sets: [usize; 3], count: i32) -> i32 {
    for word in 0..(count.clamp(0, 1024) as usize).div_ceil(64) {
        let mut all = 0u64;
        for set in sets.into_iter().filter(|set| *set != 0) {
            let mut room = [0u8; 8];
            if sys::read_own_memory(set + word * 8, &mut room) {
                all |= u64::from_ne_bytes(room);
            }
        }
        if all != 0 {
            return (word * 64) as i32 + all.trailing_zeros() as i32;
        }
    }
    -1
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
fn text_at(place: usize, room: &mut [u8]) -> Option<usize> {
    let mut count = 0;
    while count < room.len() {
        let mut byte = [0u8];
        if !sys::read_own_memory(place + count, &mut byte) {
            return None;
        }
        if byte[0] == 0 {
            break;
        }
        room[count] = byte[0];
        count += 1;
    }
    Some(count)
}

/// Returns what a descriptor stands for (`format::kind`), and writes its addresses or its path.
fn what(fd: i32, long: &Long) -> u32 {
    let mut name = [0u8; 32];
    let mut at = 0;
    let mut put = |byte: u8| {
        name[at] = byte;
        at += 1;
    };
    b"/proc/self/fd/".iter().for_each(|byte| put(*byte));
    text::decimal(fd as u64, put);
    let mut room = [0u8; 256];
    let path = std::ffi::CStr::from_bytes_until_nul(&name).unwrap_or(c"");
    let Ok(count) = sys::read_link(path, &mut room) else { return kind::UNKNOWN };
    let link = &room[..count];
    if link.starts_with(b"socket:") {
        return socket(fd, long);
    }
    if link.starts_with(b"pipe:") {
        return kind::PIPE;
    }
    if link == b"anon_inode:[eventpoll]" {
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
        if let Ok(bytes) = sys::socket_address(fd, of_peer, &mut room) {
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
                Some(_) => writer.put(name.split(|byte| *byte == 0).next().unwrap_or(name)),
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
