//! What a call that is not over is about: its descriptor, what that stands for, its addresses, and its timeout; read from outside the
//! process, from its memory and /proc. The library tells the same of a call that is over (src/audit/subject.rs).

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use super::recording::Long;
use crate::process::Process;
use crate::shared::audit_format::{NO_TIMEOUT, UNKNOWN_TIMEOUT};

/// Fills in what a call is about. `value` gives its arguments by their names in the table of hooks.
pub fn tell(long: &mut Long, pid: i32, memory: &Process, value: &dyn Fn(&str) -> Option<u64>) {
    let word = |address: u64| memory.read::<i64>(address as usize).ok();
    let pair = |address: u64, unit: i64| {
        let (seconds, rest) = (word(address)?, word(address + 8)?);
        Some(seconds.saturating_mul(1_000_000_000).saturating_add(rest.saturating_mul(unit)))
    };
    long.fd = descriptor(memory, value);
    long.timeout_ns = if let Some(ms) = value("timeout_ms") {
        if (ms as i32) < 0 {
            NO_TIMEOUT
        } else {
            i64::from(ms as i32) * 1_000_000
        }
    } else if let Some(seconds) = value("seconds") {
        i64::from(seconds as u32) * 1_000_000_000
    } else if let Some(us) = value("microseconds") {
        i64::from(us as u32) * 1_000
    } else if let Some(place) = value("timeout") {
        // select's is a timeval, which the kernel counts down: natively and here.
        let unit = if long.name.ends_with("select") && long.name != "pselect" { 1_000 } else { 1 };
        if place == 0 {
            NO_TIMEOUT
        } else {
            pair(place, unit).unwrap_or(UNKNOWN_TIMEOUT)
        }
    } else {
        UNKNOWN_TIMEOUT
    };
    if long.fd >= 0 {
        stands_for(long, pid);
    } else if let Some(place) = ["node", "name"].iter().find_map(|name| value(name)).filter(|place| *place != 0) {
        long.path = text(memory, place);
    }
}

/// Returns the descriptor that a call is about; -1: none. Of many that are polled it is the first.
fn descriptor(memory: &Process, value: &dyn Fn(&str) -> Option<u64>) -> i32 {
    if let (Some(list), Some(count)) = (value("fds"), value("n")) {
        let at = |at: u64| memory.read::<i32>((list + 8 * at) as usize).unwrap_or(-1);
        return (0..count.min(64)).map(at).find(|fd| *fd >= 0).unwrap_or(-1);
    }
    ["fd", "from", "queue"].iter().find_map(|name| value(name)).map_or(-1, |fd| fd as i32)
}

/// Reads a C string of the process's, the first bytes of it.
fn text(memory: &Process, place: u64) -> String {
    const LONGEST: u64 = 127;
    let byte = |at: u64| memory.read::<u8>((place + at) as usize).ok().filter(|byte| *byte != 0);
    String::from_utf8_lossy(&(0..LONGEST).map_while(byte).collect::<Vec<u8>>()).into_owned()
}

/// Fills in what the call's descriptor stands for.
fn stands_for(long: &mut Long, pid: i32) {
    let Ok(link) = fs::read_link(format!("/proc/{pid}/fd/{}", long.fd)) else { return };
    let name = link.display().to_string();
    let socket = name.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
    long.fd_kind = match name.as_str() {
        "anon_inode:[eventpoll]" => "epoll",
        "anon_inode:[eventfd]" => "eventfd",
        _ if socket.is_some() => "socket",
        _ if name.starts_with("pipe:") => "pipe",
        _ if name.starts_with("/dev/pts/") || name == "/dev/tty" => "terminal",
        _ if name.starts_with('/') => "file",
        _ => "unknown",
    };
    match socket {
        Some(inode) => addresses(long, pid, inode),
        None if link.has_root() => long.path = name,
        None => {}
    }
}

/// Fills in a socket's kind and addresses: /proc/PID/net lists the sockets of the process's network by their inodes.
fn addresses(long: &mut Long, pid: i32, inode: &str) {
    for (kind, list) in [("tcp", "tcp"), ("tcp", "tcp6"), ("udp", "udp"), ("udp", "udp6")] {
        // proc(5): number, local address, remote address, state, queues, timer, retransmissions, user, timeout, inode.
        const INODE: usize = 9;
        let Ok(lines) = fs::read_to_string(format!("/proc/{pid}/net/{list}")) else { continue };
        for fields in lines.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>()) {
            if fields.get(INODE) == Some(&inode) {
                long.fd_kind = kind;
                long.local = address(fields[1]).unwrap_or_default();
                long.peer = address(fields[2]).filter(|peer| !peer.ends_with(":0")).unwrap_or_default();
                return;
            }
        }
    }
    let Ok(lines) = fs::read_to_string(format!("/proc/{pid}/net/unix")) else { return };
    for fields in lines.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>()) {
        const INODE: usize = 6;
        if fields.get(INODE) == Some(&inode) {
            long.fd_kind = "unix";
            long.local = fields.get(INODE + 1).map_or(String::new(), |path| Path::new(path).display().to_string());
        }
    }
}

/// Sets an address of these lists as people do: 0100007F:1F90 is 127.0.0.1:8080. The words are the machine's own.
fn address(text: &str) -> Option<String> {
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(host.get(8 * at..8 * at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let host = match host.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?))
        }
        _ => return None,
    };
    Some(std::net::SocketAddr::new(host, port).to_string())
}
