//! What the sockets of a process are connected to, by the kernel's tables of the process's network (/proc/PID/net).
//!
//! ```text
//!   /proc/PID/net/tcp    0: 0100007F:1F90 0100007F:A2B4 01 … 12345    place, own address, peer's, …, the socket's number
//!   /proc/PID/net/unix   0000…: 00000002 00000000 … 12346 /run/x      …, the socket's number, its path
//! ```
//!
//! The number is that of `socket:[NUMBER]` in /proc/PID/fd. A socket of another network namespace is in none of the tables, and is shown by
//! its number.

use super::process::Process;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The sockets with an address, by their number (`socket:[NUMBER]`); read when the first is asked for.
#[derive(Default)]
pub struct Sockets(Option<BTreeMap<u64, String>>);

impl Sockets {
    /// Returns what a descriptor stands for, in words: `file` as /proc/PID/fd says it; of a socket that has an address, where that leads.
    pub fn words(&mut self, process: &impl Process, file: String) -> String {
        let number = file.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')?.parse::<u64>().ok());
        let Some(number) = number else { return file };
        self.0.get_or_insert_with(|| read(process)).get(&number).cloned().unwrap_or(file)
    }
}

/// Reads the process's tables. A table that cannot be read has no lines.
fn read(process: &impl Process) -> BTreeMap<u64, String> {
    let mut known = BTreeMap::new();
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        known.extend(lines(process, table).iter().filter_map(|line| internet(line)));
    }
    known.extend(lines(process, "unix").iter().filter_map(|line| local(line)));
    known
}

/// A table's lines, without that of its titles.
fn lines(process: &impl Process, table: &str) -> Vec<String> {
    let text = process.network(table).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().skip(1).map(str::to_owned).collect()
}

/// A line of an internet table: the place, the socket's address, its peer's, seven more fields, its number (source: proc(5)).
fn internet(line: &str) -> Option<(u64, String)> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let (own, peer) = (address(fields.get(1)?)?, address(fields.get(2)?)?);
    let words = if peer.port() != 0 { format!("socket to {peer}") } else { format!("socket at {own}") };
    Some((fields.get(9)?.parse().ok()?, words))
}

/// An address as the kernel writes it: words of four bytes in the machine's order, a colon, the port. An IPv4 address has one word, an IPv6
/// one four. `None`: the text is written otherwise.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let words: Option<Vec<u32>> =
        (0..host.len() / 8).map(|at| u32::from_str_radix(host.get(at * 8..at * 8 + 8)?, 16).ok()).collect();
    let bytes: Vec<u8> = words?.iter().flat_map(|word| word.to_le_bytes()).collect();
    let host = match bytes.len() {
        4 => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        _ => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
    };
    Some(SocketAddr::new(host, u16::from_str_radix(port, 16).ok()?))
}

/// A line of the table of local sockets: six fields, the socket's number, and its path, if it has one.
fn local(line: &str) -> Option<(u64, String)> {
    let mut fields = line.split_ascii_whitespace().skip(6);
    let number = fields.next()?.parse().ok()?;
    Some((number, format!("socket at {}", fields.next()?)))
}
