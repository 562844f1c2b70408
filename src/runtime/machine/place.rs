//! Where a signal handler runs that has not ended.

use crate::runtime::news::record::Record;

/// Where a handler runs: it is over, or was left by a jump, when the stack pointer is not in here.
#[derive(Clone, Copy)]
pub struct Place {
    pub low: usize,
    pub top: usize,
    /// What the call that it interrupted holds on to.
    pub held: Option<&'static Record>,
}

impl Place {
    pub fn new(low: usize, top: usize) -> Place {
        Place { low, top, held: None }
    }

    pub fn holds(&self, address: usize) -> bool {
        (self.low..self.top).contains(&address)
    }
}
