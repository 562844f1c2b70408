//! Outputs: a report's way into a file.
//!
//! Nothing hangs: a FIFO that nobody reads is refused, and so is a file that cannot be written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use crate::failure::{Failure, FAILED};
use crate::words::shown;

fn failed(file: &Path, why: &io::Error) -> Failure {
    let why = match why.raw_os_error() {
        Some(libc::ENXIO) => "nobody reads it".to_owned(),
        _ => why.to_string(),
    };
    Failure(FAILED, format!("{} cannot be written: {why}.", shown(file)))
}

fn open(file: &Path, truncates: bool) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(truncates)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(file)
}

/// Asks whether a file can be written, before a program is run for its sake. A FIFO is not asked: its reader would see an end.
pub fn probe(file: &Path) -> Result<(), Failure> {
    if fs::metadata(file).is_ok_and(|known| known.file_type().is_fifo()) {
        return Ok(());
    }
    open(file, false).map(drop).map_err(|why| failed(file, &why))
}

/// Writes a file anew.
pub fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let into = || {
        let mut opened = open(file, true)?;
        // SAFETY: changes a flag of this descriptor: what has a reader may be waited for.
        unsafe { libc::fcntl(opened.as_raw_fd(), libc::F_SETFL, 0) };
        // SAFETY: changes this process's disposition only: a reader that goes away is an error of the write.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        opened.write_all(text.as_bytes())
    };
    into().map_err(|why| failed(file, &why))
}
