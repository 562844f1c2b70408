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

/// Does this address lie in a listed object whose file's name begins with one of these? False: it is not listed.
pub fn is_of(recording: &Recording, address: u64, names: &[&[u8]]) -> bool {
    let listed = recording.modules.iter().take_while(|module| module.start.load(Acquire) != 0);
    let holds = |module: &&Module| (module.start.load(Relaxed)..module.end.load(Relaxed)).contains(&address);
    let Some(module) = listed.into_iter().find(holds) else { return false };
    let end = module.path.iter().position(|byte| byte.load(Relaxed) == 0).unwrap_or(module.path.len());
    let path = &module.path[..end];
    let name = &path[path.iter().rposition(|byte| byte.load(Relaxed) == b'/').map_or(0, |at| at + 1)..];
    names.iter().any(|start| {
        name.len() >= start.len() && name.iter().zip(*start).all(|(byte, wanted)| byte.load(Relaxed) == *wanted)
    })
}
