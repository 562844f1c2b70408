//! Text in a recording: atomic bytes, cut at a character's end, with no lock and no memory of its own.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Writes into a field, as far as it reaches.
pub struct Writer<'a> {
    field: &'a [AtomicU8],
    at: usize,
}

impl<'a> Writer<'a> {
    /// Begins at the field's first byte.
    pub fn new(field: &'a [AtomicU8]) -> Writer<'a> {
        Writer { field, at: 0 }
    }

    /// Adds bytes: all, or those of whole characters that there is room for.
    pub fn put(&mut self, bytes: &[u8]) {
        let room = self.field.len() - self.at;
        let mut count = bytes.len().min(room);
        while count < bytes.len() && count > 0 && bytes[count] & 0xc0 == 0x80 {
            count -= 1;
        }
        for byte in &bytes[..count] {
            self.field[self.at].store(*byte, Relaxed);
            self.at += 1;
        }
    }

    /// Adds a number in decimal.
    pub fn number(&mut self, number: u64) {
        decimal(number, |digit| self.put(&[digit]));
    }

    /// Adds a number in hexadecimal, without leading zeros.
    pub fn hexadecimal(&mut self, number: u64) {
        let first = (0..16).rev().find(|place| number >> (4 * place) & 15 != 0).unwrap_or(0);
        (0..=first).rev().for_each(|place| self.put(&[b"0123456789abcdef"[(number >> (4 * place) & 15) as usize]]));
    }

    /// Ends the text: what the field held behind it is cleared.
    pub fn end(self) {
        if let Some(end) = self.field.get(self.at) {
            end.store(0, Relaxed);
        }
    }

    /// Returns how many bytes were written.
    pub fn len(&self) -> usize {
        self.at
    }
}

/// Returns the bytes before the first zero; all, where there is none.
pub fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or(bytes)
}

/// Passes the digits of a number in decimal to `give`, the first of them first.
pub fn decimal(number: u64, mut give: impl FnMut(u8)) {
    let mut unit = 1;
    while number / unit >= 10 {
        unit *= 10;
    }
    while unit > 0 {
        give(b'0' + (number / unit % 10) as u8);
        unit /= 10;
    }
}

/// Writes a whole text.
pub fn write(field: &[AtomicU8], text: &[u8]) {
    let mut writer = Writer::new(field);
    writer.put(text);
    writer.end();
}

/// Copies a text from one field to another of the same length.
pub fn copy(from: &[AtomicU8], to: &[AtomicU8]) {
    for (from, to) in from.iter().zip(to) {
        let byte = from.load(Relaxed);
        to.store(byte, Relaxed);
        if byte == 0 {
            break;
        }
    }
}
