//! Fields of a recording that are read in more than one of its lists.

use std::sync::atomic::{AtomicU32, AtomicU8, Ordering::Relaxed};

/// Reads a field of text.
pub fn text(field: &[AtomicU8]) -> String {
    let bytes: Vec<u8> = field.iter().map(|byte| byte.load(Relaxed)).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads the counts of classes.
pub fn classes(from: &[AtomicU32]) -> Vec<u32> {
    from.iter().map(|class| class.load(Relaxed)).collect()
}
