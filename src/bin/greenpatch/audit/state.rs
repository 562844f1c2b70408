//! Whether what a report tells is looked at: what a baseline knows and what is accepted is not.

/// Whether a finding is looked at.
#[derive(PartialEq)]
pub enum State {
    /// It was not there before, as far as is known.
    New,
    /// A baseline has it.
    Known,
    /// It is accepted, with the reason.
    Suppressed(String),
}
