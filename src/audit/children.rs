//! The programs that children execute, for a recording of their own may be missing: a static program does not load the library, a
//! privileged one must not, and an environment may have lost LD_PRELOAD. `greenpatch audit` says which.
//!
//! Noted where a process executes a program: a fork child has a recording by then, and notes it there. A child on its parent's memory
//! (vfork, posix_spawn) notes it in its parent's. A call that comes back has failed, and its note is taken back.

use crate::audit::format::{Child, Recording};
use crate::audit::{blocks, subject, text};
use crate::sys;
use std::sync::atomic::Ordering::*;

/// Which program is executed: the argument of the call that names it.
#[derive(Clone, Copy)]
pub enum Named {
    /// The address of a path.
    Path(u64),
    /// An open file.
    File(i32),
}

/// Notes that this process executes a program. Called on its only thread that goes on, also in a child on its parent's memory.
pub fn note(recording: &Recording, named: Named) {
    let process = sys::process_id();
    let of_process = |child: &&Child| child.process.load(Relaxed) == process;
    // What the same process has tried before (execvp tries one folder after the other) has failed, or is this very call, further out.
    let free = |child: &&Child| {
        blocks::is_ready(*child) && child.process.compare_exchange(0, process, AcqRel, Relaxed).is_ok()
    };
    let Some(child) = recording.children.iter().find(of_process).or_else(|| recording.children.iter().find(free))
    else {
        recording.header.more_children.fetch_add(1, Relaxed);
        return;
    };
    child.at_ns.store(sys::now_ns(), Relaxed);
    let mut room = [0u8; 240];
    let count = match named {
        Named::Path(address) => subject::text_at(address as usize, &mut room),
        Named::File(fd) => subject::link_of(fd, &mut room),
    };
    text::write(&child.path, &room[..count.unwrap_or(0)]);
}

/// Takes this process's note back: the program could not be executed.
pub fn take_back(recording: &Recording) {
    let process = sys::process_id();
    let own = recording.children.iter().find(|child| child.process.load(Relaxed) == process);
    own.inspect(|child| child.process.store(0, Release));
}
