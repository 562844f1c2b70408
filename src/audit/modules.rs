//! The recording's list of what is mapped where, by which `greenpatch report` tells addresses.

use crate::audit::format::{Module, Recording, MODULES};
use crate::audit::{blocks, text};
use std::ffi::CStr;
use std::sync::atomic::Ordering::*;

/// Adds an object to the recording's list, unless it is there, so that addresses in it can be told later. Called under the lock of `stack`.
pub fn note(recording: &Recording, start: u64, end: u64, base: u64, path: &CStr, id: &[u8]) {
    let modules: &[Module; MODULES] = &recording.modules;
    for module in modules {
        match module.start.load(Relaxed) {
            0 if !blocks::is_ready(module) => break,
            0 => {
                module.end.store(end, Relaxed);
                module.base.store(base, Relaxed);
                let bytes = id.len().min(module.id.len());
                module.id.iter().zip(id).for_each(|(place, byte)| place.store(*byte, Relaxed));
                module.id_bytes.store(bytes as u32, Relaxed);
                text::write(&module.path, path.to_bytes());
                module.start.store(start, Release);
                return;
            }
            at if at == start && module.base.load(Relaxed) == base => return,
            _ => {}
        }
    }
    recording.header.lost.fetch_add(1, Relaxed);
}
