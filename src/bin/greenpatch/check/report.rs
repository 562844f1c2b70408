//! A report of `greenpatch check` about one program: the facts, without words, and the exit status that follows from them.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::path::PathBuf;

use super::instructions::{Place, ThreadState};
use crate::calls::Reach;
use crate::loaded::Loaded;

/// The exit status where something that waits is out of reach.
const OUT_OF_REACH: c_int = 1;
/// The exit status where there is no such file (EX_NOINPUT of sysexits.h).
pub const NO_FILE: c_int = 66;

/// The place of an object in the report's list.
pub type At = usize;

/// The facts found about one program. A refused program has nothing but its names and the refusal.
#[derive(Default)]
pub struct Report {
    /// The program or process as the user named it.
    pub subject: String,
    /// The file whose text is executed: the end of a chain of `#!` lines.
    pub program: PathBuf,
    /// The program and its libraries, in the order in which they are loaded.
    pub objects: Vec<Loaded>,
    /// Functions of libc that are imported, by reach and family: the symbol, and the objects that import it.
    pub imports: BTreeMap<(Reach, &'static str), BTreeMap<String, Vec<At>>>,
    /// System calls made inline that wait, or whose number is not known.
    pub inline: Vec<(At, Place)>,
    /// Objects whose own system call instructions set, or ask for, a thread's state.
    pub thread_states: Vec<(At, ThreadState)>,
    /// Hooked functions that the program itself defines: its definition comes before the library's.
    pub own: Vec<String>,
    /// Clauses that the user is told as notes.
    pub hints: Vec<String>,
    /// The exit status and the rest of a sentence, where the program cannot be checked or preloaded.
    pub refusal: Option<(c_int, String)>,
}

impl Report {
    /// Returns the exit status: the refusal's; else 66 where a library is missing, for the program would not start; else 1 where
    /// something that waits is out of reach, and 0 where nothing is.
    pub fn status(&self) -> c_int {
        match &self.refusal {
            Some((status, _)) => *status,
            None if self.objects.iter().any(|object| object.path.is_none()) => NO_FILE,
            None if self.escapes() => OUT_OF_REACH,
            None => 0,
        }
    }

    /// Tells whether anything that waits is out of reach.
    fn escapes(&self) -> bool {
        let beyond = self.imports.keys().any(|(reach, _)| *reach == Reach::Beyond);
        beyond || !self.inline.is_empty() || !self.own.is_empty()
    }

    /// Returns the report with a refusal.
    pub fn refused(mut self, status: c_int, sentence: impl Into<String>) -> Self {
        self.refusal = Some((status, sentence.into()));
        self
    }
}
