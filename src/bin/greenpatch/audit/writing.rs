//! Outputs: a report's way into a file, or to the standard output.
//!
//! Nothing hangs: a FIFO that nobody reads is refused, and so is a file that cannot be written. Nothing looks whole and is not: a file is
//! written beside its name and takes the name when it is whole; where that cannot be, a failed write leaves it empty.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, FAILED};
use crate::words::shown;

fn failed(file: &Path, why: &io::Error) -> Failure {
    let (why, what) = match why.raw_os_error() {
        Some(libc::ENXIO) => ("nobody reads it".to_owned(), "Begin to read it first."),
        Some(libc::EISDIR) => (why.to_string(), "Name a file in it."),
        Some(libc::ENOSPC | libc::EDQUOT) => (why.to_string(), "Name a file on another disk."),
        _ => (why.to_string(), "Name another file."),
    };
    Failure(FAILED, format!("{} cannot be written: {why}. {what}", shown(file)))
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
pub fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    // SAFETY: changes this process's disposition only: a reader that goes away is an error of the write.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    // A name of a descriptor is that descriptor's, whatever file it has.
    let is_own = ["/dev", "/proc"].iter().any(|folder| file.starts_with(folder));
    let known = fs::metadata(file);
    if known.as_ref().is_ok_and(|known| known.is_file()) {
        open(file, false).map_err(|why| failed(file, &why))?;
    }
    let is_file = known.map_or(true, |known| known.is_file());
    let place = if is_file && !is_own { beside(file) } else { None };
    let written = match place {
        Some((opened, place)) => replace(opened, &place, file, bytes),
        None => in_place(file, bytes),
    };
    written.map_err(|why| failed(file, &why))
}

/// Makes a file beside another, in the folder in which that lies. `None`: none can be made there.
fn beside(file: &Path) -> Option<(File, PathBuf)> {
    let target = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let name = target.file_name()?.to_string_lossy().into_owned();
    let short: String = name.chars().take(40).collect();
    let place = target.with_file_name(format!(".{short}.{}.part", std::process::id()));
    let opened = OpenOptions::new().write(true).create_new(true).open(&place).ok()?;
    if let Ok(known) = fs::metadata(&target) {
        let _ = opened.set_permissions(fs::Permissions::from_mode(known.permissions().mode() & 0o7777));
    }
    Some((opened, place))
}

/// Writes what was made beside a file, and gives it the file's name.
fn replace(mut opened: File, place: &Path, file: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let done = opened.write_all(bytes).and_then(|()| fs::rename(place, target));
    if done.is_err() {
        let _ = fs::remove_file(place);
    }
    done
}

/// Writes into a FIFO, a device, or a file whose folder may not be written.
fn in_place(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut opened = open(file, true)?;
    // SAFETY: changes a flag of this descriptor: what has a reader may be waited for.
    unsafe { libc::fcntl(opened.as_raw_fd(), libc::F_SETFL, 0) };
    let done = opened.write_all(bytes);
    if done.is_err() {
        let _ = opened.set_len(0);
    }
    done
}

/// Writes to the standard output. A reader that has gone away is no failure; a closed descriptor is one.
pub fn print(bytes: &[u8], is_text: bool) -> Result<(), Failure> {
    if !is_text && io::stdout().is_terminal() {
        let why = "this form is no text, and the standard output is a terminal: `-o FILE` writes it into a file.";
        return Err(Failure(FAILED, why.to_owned()));
    }
    // SAFETY: the descriptor is not closed here. Rust's own stdout would take a closed one for written.
    let mut stdout = ManuallyDrop::new(unsafe { File::from_raw_fd(libc::STDOUT_FILENO) });
    match stdout.write_all(bytes) {
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => {
            let sentence =
                format!("the report cannot be written to the standard output: {why}. `-o FILE` names a file.");
            Err(Failure(FAILED, sentence))
        }
        _ => Ok(()),
    }
}
