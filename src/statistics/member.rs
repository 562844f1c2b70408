//! A member of a family of processes, of which one file tells.

/// A member of a family, as the file tells of it: of this process, or of the one whose figures the file holds by now.
#[derive(Clone, Copy, PartialEq)]
pub struct Member {
    /// How many processes there are between the family's first one and this.
    pub distance: u32,
    /// The process has made green threads.
    pub started: bool,
}

impl Member {
    /// Does this member's file stay where `other` comes to replace it? Members that neither comes before replace one another: the last
    /// counts.
    pub fn stays_before(self, other: Member) -> bool {
        self.started && (!other.started || self.distance < other.distance)
    }
}
