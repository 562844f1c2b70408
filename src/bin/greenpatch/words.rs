//! How the command's words are set: names without control characters, lines no wider than the terminal.

use std::io::{self, IsTerminal};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The width where there is no terminal, and the greatest.
const COLUMNS: usize = 80;
/// No narrower, however narrow the terminal is.
const FEWEST: usize = 40;

/// A path for a sentence: control characters and bytes that are no text are written as in a shell's `$'…'`.
pub fn shown(path: &Path) -> String {
    let mut text = String::new();
    for part in path.as_os_str().as_bytes().utf8_chunks() {
        for letter in part.valid().chars() {
            if letter.is_control() {
                text.extend(letter.escape_default());
            } else {
                text.push(letter);
            }
        }
        part.invalid().iter().for_each(|byte| text += &format!("\\x{byte:02x}"));
    }
    text
}

/// The columns that a line on the standard output may have.
pub fn columns() -> usize {
    width(libc::STDOUT_FILENO).unwrap_or(COLUMNS)
}

fn width(fd: i32) -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel fills the structure, if the descriptor is a terminal.
    let known = unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &mut size) } == 0;
    (known && size.ws_col > 0).then_some(usize::from(size.ws_col).clamp(FEWEST, COLUMNS))
}

/// A sentence for stderr: as it is for a program that reads it, wrapped for a person.
pub fn for_errors(sentence: &str) -> String {
    match width(libc::STDERR_FILENO).filter(|_| io::stderr().is_terminal()) {
        Some(columns) => wrap(sentence, "", columns),
        None => sentence.to_owned(),
    }
}

/// Lines of at most `columns`, broken at spaces; those after the first begin with `indent`. What is longer than a line and has no
/// space stays whole, and so does what stands between backticks.
pub fn wrap(text: &str, indent: &str, columns: usize) -> String {
    let mut lines = String::new();
    let (mut used, mut quoted) = (0, false);
    let lead = text.len() - text.trim_start().len();
    lines += &text[..lead];
    used += lead;
    for (at, word) in text[lead..].split(' ').enumerate() {
        let length = word.chars().count();
        if at > 0 {
            if !quoted && used + 1 + length > columns && used > indent.len() {
                lines.push('\n');
                lines += indent;
                used = indent.chars().count();
            } else {
                lines.push(' ');
                used += 1;
            }
        }
        lines += word;
        used += length;
        quoted ^= word.matches('`').count() % 2 == 1;
    }
    lines
}
