//! Folders of recordings: the one of an audit, and the reading of all that lie in one.

use std::fs;
use std::path::{Path, PathBuf};

use super::recording::{self, Recorded};
use super::{live, saved};
use crate::failure::{Failure, FAILED};
use crate::words::{for_errors, shown};

/// Returns the failure that this sentence tells.
fn failed(sentence: impl Into<String>) -> Failure {
    Failure(FAILED, sentence.into())
}

/// Reads recordings, and those in folders. `first`: the one of the program itself; else the one that began first is. A damaged one in a
/// folder is a sentence on stderr, and a clause of what the others' report has not seen. Fails where a file that is named cannot be read,
/// and where none in a folder can.
pub fn read_all(files: &[PathBuf], first: Option<&Path>) -> Result<Vec<Recorded>, Failure> {
    let (mut all, mut damaged) = (Vec::new(), Vec::new());
    for file in files {
        if file.is_dir() {
            let entries = fs::read_dir(file).map_err(|error| failed(format!("{}: {error}.", shown(file))))?;
            let mut inside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            inside.sort();
            for file in inside {
                match read_within(&file) {
                    Some(Ok(recorded)) => all.push(recorded),
                    Some(Err(Failure(_, sentence))) => damaged.push(sentence),
                    None => {}
                }
            }
        } else {
            all.push(read_one(file)?);
        }
    }
    all.sort_by_key(|recorded| (Some(recorded.file.as_path()) != first, recorded.began_ns));
    let Some(main) = all.first_mut() else {
        return Err(failed(damaged.into_iter().next().unwrap_or_else(|| {
            "nothing was recorded: the program did not load the library. `greenpatch check` may tell why.".to_owned()
        })));
    };
    for sentence in damaged {
        eprintln!("{}", for_errors(&format!("greenpatch: {sentence}")));
        main.unseen.push(format!("what a damaged recording would tell: {}", sentence.trim_end_matches('.')));
    }
    Ok(all)
}

/// Reads a file of a folder. `None`: it is there for something else. The recorder names its files by the process, so that an empty one with
/// a number for a name was to be a recording.
fn read_within(file: &Path) -> Option<Result<Recorded, Failure>> {
    let name = file.file_name().unwrap_or_default().as_encoded_bytes();
    let is_numbered = name.first().is_some_and(u8::is_ascii_digit);
    let is_empty = fs::metadata(file).is_ok_and(|known| known.is_file() && known.len() == 0);
    match (is_numbered && is_empty, saved::is_beside(file)) {
        (true, _) => Some(Err(failed(recording::unbegun(file)))),
        (false, true) => None,
        (false, false) => Some(read_one(file)),
    }
}

/// Reads a recording, and looks at its process, where that lives.
pub fn read_one(file: &Path) -> Result<Recorded, Failure> {
    saved::may_be_read(file)?;
    let mut recorded = recording::read(file).map_err(failed)?;
    let unseen = live::complete(&mut recorded);
    recorded.unseen.extend(unseen);
    Ok(recorded)
}

/// Returns the folder of files in memory, where it has room for thousands of recordings and TMPDIR names no other place. On a disk a thread
/// may have to wait while what it writes to, a mapped file, is written back, and a child's recording takes milliseconds to be made.
fn in_memory() -> Option<PathBuf> {
    const ROOM: u64 = 1 << 30;
    let place = Path::new("/dev/shm");
    // SAFETY: a structure of numbers; the call fills it, and reads a string.
    let free = unsafe {
        let mut facts: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(c"/dev/shm".as_ptr(), &mut facts) == 0).then(|| facts.f_bavail * facts.f_frsize)
    };
    (std::env::var_os("TMPDIR").is_none() && free? >= ROOM).then(|| place.to_owned())
}

/// The folder of the recordings: the user's, or one for this audit alone, which goes with it.
pub struct Folder {
    pub path: PathBuf,
    own: bool,
}

impl Folder {
    /// Makes the folder that is to be kept, or one of its own, in memory or among the temporary files.
    pub fn new(kept: Option<PathBuf>) -> Result<Folder, Failure> {
        let (path, own) = match kept {
            Some(path) => {
                fs::create_dir_all(&path).map_err(|error| failed(format!("{}: {error}.", shown(&path))))?;
                (fs::canonicalize(&path).map_err(|error| failed(format!("{}: {error}.", shown(&path))))?, false)
            }
            None => {
                let name = format!("greenpatch-audit.{}", std::process::id());
                let path = std::env::temp_dir().join(&name);
                match in_memory().map(|memory| memory.join(&name)).filter(|path| fs::create_dir(path).is_ok()) {
                    Some(path) => (path, true),
                    None => {
                        fs::create_dir(&path).map_err(|error| failed(format!("{}: {error}.", shown(&path))))?;
                        (path, true)
                    }
                }
            }
        };
        Ok(Folder { path, own })
    }

    /// Makes a folder in another one, which goes with it.
    pub fn within(other: &Path, name: &str) -> Result<Folder, Failure> {
        let path = other.join(name);
        fs::create_dir(&path).map_err(|error| failed(format!("{}: {error}.", shown(&path))))?;
        Ok(Folder { path, own: true })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.own {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
