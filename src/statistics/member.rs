//! A member of a family of processes, of which one file tells.

/// A member of a family, as the file tells of it.
#[derive(Clone, Copy, PartialEq)]
pub struct Member {
    /// How many processes there are between the family's first one and this.
    pub distance: u32,
    /// The process has made green threads.
    pub started: bool,
}

impl Member {
    /// Does this one's file stay where `other` comes to replace it?
    pub fn stays_before(self, other: Member) -> bool {
        self.started && (!other.started || self.distance < other.distance)
    }
}
