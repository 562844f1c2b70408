//! A probe's result: one line of `greenpatch doctor`.

/// The meaning of a result for programs. Only `Bad` changes the command's exit status.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The library uses it here.
    On,
    /// The library has to do without it here, and does.
    Off,
    /// Something worth knowing that changes nothing.
    Fact,
    /// A limit that a program may meet.
    Limit,
    /// A reason why programs do not run green here.
    Bad,
}

impl State {
    /// Returns the name as the text shows it; facts have none.
    pub fn name(self) -> &'static str {
        match self {
            State::On => "on",
            State::Off => "off",
            State::Fact => "",
            State::Limit => "limit",
            State::Bad => "BAD",
        }
    }
}

/// The result of a probe.
pub struct Probe {
    /// The meaning for programs.
    pub state: State,
    /// The subject, in a word or two.
    pub subject: &'static str,
    /// The answer, for a person.
    pub says: String,
}

impl Probe {
    /// Makes a result.
    pub fn new(state: State, subject: &'static str, says: impl Into<String>) -> Self {
        Probe { state, subject, says: says.into() }
    }

    /// Makes a result that is on, and says what it gives; or off, and says what that costs.
    pub fn switch(on: bool, subject: &'static str, with: impl Into<String>, without: impl Into<String>) -> Self {
        if on {
            Self::new(State::On, subject, with)
        } else {
            Self::new(State::Off, subject, without)
        }
    }
}
