//! Phrases of a report, in words and in JSON: what stands in more than one of its parts.

use serde_json::{json, Value};

use super::recording::Long;
use super::symbols::Place;
use crate::shared::audit_format::{NO_TIMEOUT, UNKNOWN_TIMEOUT};

/// Says a duration as people do.
pub fn duration(seconds: f64) -> String {
    match seconds {
        _ if seconds >= 10.0 => format!("{seconds:.1} s"),
        _ if seconds >= 1.0 => format!("{seconds:.2} s"),
        _ if seconds >= 1e-3 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{:.0} µs", seconds * 1e6),
    }
}

/// Says what a call was about, with a space before it: the peer, the path, or the kind of descriptor; or nothing.
pub fn about(long: &Long) -> String {
    let of = if long.peer.is_empty() { &long.path } else { &long.peer };
    let of = if of.is_empty() { &long.local } else { of };
    match (long.fd_kind, of.is_empty()) {
        ("unknown", true) => String::new(),
        ("unknown", false) => format!(" {of}"),
        (kind, true) => format!(" {kind}"),
        (kind, false) => format!(" {kind} {of}"),
    }
}

/// Says the timeout that a call was given.
pub fn timeout(long: &Long) -> String {
    match long.timeout_ns {
        NO_TIMEOUT => ", no timeout".to_owned(),
        UNKNOWN_TIMEOUT => String::new(),
        ns => format!(", timeout {}", duration(ns as f64 / 1e9)),
    }
}

/// Says what an address is: file, function, and how far in it.
pub fn words(place: &Place) -> String {
    if place.function.is_empty() {
        format!("{}+{:#x}", place.soname, place.offset)
    } else {
        format!("{}:{}+{:#x}", place.soname, place.function, place.offset)
    }
}

/// Sets what a call was about in JSON; null: nothing is known.
pub fn fd(long: &Long) -> Value {
    let told = (long.fd >= 0 || !long.path.is_empty()).then(|| {
        json!({
            "number": (long.fd >= 0).then_some(long.fd), "kind": long.fd_kind, "local": some(&long.local), "peer": some(&long.peer),
            "path": some(&long.path),
        })
    });
    told.unwrap_or(Value::Null)
}

/// Sets a native stack in JSON: its places, and their addresses.
pub fn frames(stack: &[Option<Place>], addresses: &[u64]) -> Vec<Value> {
    let frame = |(place, address): (&Option<Place>, &u64)| {
        json!({
            "address": address,
            "soname": place.as_ref().map(|place| &place.soname),
            "path": place.as_ref().map(|place| &place.path),
            "function": place.as_ref().and_then(|place| some(&place.function)),
            "offset": place.as_ref().map(|place| place.offset),
        })
    };
    stack.iter().zip(addresses).map(frame).collect()
}

/// Returns a text; `None`: it is empty.
pub fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Says the stacks that led to a call, a place a line: the Python lines first, then the native frames, the innermost first, eight of each.
pub fn stack(long: &Long, native: &[Option<Place>]) -> Vec<String> {
    const FRAMES: usize = 8;
    let python = long.python.iter().map(|(file, line, function)| format!("{file}:{line} {function}"));
    let native = native.iter().map(|place| place.as_ref().map_or("?".to_owned(), words));
    python.take(FRAMES).chain(native.take(FRAMES)).collect()
}
