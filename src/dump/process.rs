//! The process that is looked at, as far as it is asked: its memory, its maps, its files.

/// The process that is looked at: this one (src/dumper.rs), or another (`greenpatch dump PID`). Every question may fail, for the process
/// goes on meanwhile and may end; the list does without what is missing.
pub trait Process {
    type File: File;

    /// Fills `room` with the memory from `address` on; false: it cannot be read.
    fn read(&self, address: u64, room: &mut [u8]) -> bool;

    /// The text of /proc/PID/maps.
    fn maps(&self) -> Option<Vec<u8>>;

    /// Opens the file that is mapped at the address range `range` (as maps writes it) and had this path.
    fn open(&self, range: &str, path: &str) -> Option<Self::File>;

    /// The text of /proc/PID/net/TABLE.
    fn network(&self, table: &str) -> Option<Vec<u8>>;

    /// Returns what the process's descriptor stands for, as /proc/PID/fd says it; `None`: it is closed.
    fn descriptor(&self, fd: u64) -> Option<String>;
}

/// A file that is read at any place.
pub trait File {
    /// Fills `room` from the byte `from` on; false: there is less.
    fn read(&self, from: u64, room: &mut [u8]) -> bool;
}

/// Reads a word of the process's memory; `None`: it cannot be read.
pub fn word(process: &impl Process, address: u64) -> Option<u64> {
    let mut room = [0; 8];
    process.read(address, &mut room).then(|| u64::from_le_bytes(room))
}

/// Reads bytes of the process's memory; `None`: not all of them can be read.
pub fn bytes(process: &impl Process, address: u64, count: usize) -> Option<Vec<u8>> {
    let mut room = vec![0; count];
    process.read(address, &mut room).then_some(room)
}
