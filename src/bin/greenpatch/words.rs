//! How the command's words are set and printed: names without control characters, lines no wider than the terminal.
//!
//! Names come from outside (arguments, files, links), and may hold what moves a terminal's cursor or is no text at all: every name in a
//! sentence goes through `shown`. What another program reads (JSON, stderr that is no terminal) is never wrapped.

use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The width in columns where there is no terminal; no line is wider on one.
const COLUMNS: usize = 80;
/// The least width in columns, however narrow the terminal is.
const FEWEST: usize = 40;

/// Writes a path for a sentence: control characters and bytes that are no text as in a shell's `$'…'`, everything else as it is. The
/// result has no line end.
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

/// Returns a file's name without its folders.
pub fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Prints on the standard output. Fails as the write fails; a reader that has gone away is no failure.
pub fn print(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => Err(why),
        _ => Ok(()),
    }
}

/// Returns how many columns a line on the standard output may have.
pub fn columns() -> usize {
    width(libc::STDOUT_FILENO).unwrap_or(COLUMNS)
}

/// Asks for the width in columns of the terminal at a descriptor, at least `FEWEST` and at most `COLUMNS`. None: it is no terminal, or
/// has no width.
fn width(fd: i32) -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel fills the structure, if the descriptor is a terminal.
    let known = unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &mut size) } == 0;
    (known && size.ws_col > 0).then_some(usize::from(size.ws_col).clamp(FEWEST, COLUMNS))
}

/// Sets a sentence for stderr: wrapped for a person at a terminal, else in one line, as programs that read it expect of a sentence.
pub fn for_errors(sentence: &str) -> String {
    match width(libc::STDERR_FILENO).filter(|_| io::stderr().is_terminal()) {
        Some(columns) => wrap(sentence, "", columns),
        None => sentence.to_owned(),
    }
}

/// Breaks a text at spaces into lines of at most `columns`; those after the first begin with `indent`. Spaces at its beginning stay. A
/// longer word stays whole, and so does what stands between backticks, which a user may copy:
///
/// ```text
/// wrap("a note: run `cargo build --release`.", "  ", 16)  =  "a note: run\n  `cargo build --release`."
/// ```
pub fn wrap(text: &str, indent: &str, columns: usize) -> String {
    let mut lines = String::new();
    let (mut used, mut quoted) = (0, false);
    let lead = text.len() - text.trim_start().len();
    lines += &text[..lead];
    used += lead;
    // A space between two words may become a line's end, but for those within backticks.
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
