//! Places on a stack where signal handlers run that have not ended.

use crate::runtime::news::record::Record;

/// The part of a stack that a handler uses: when the stack pointer is not in it, the handler has ended or was left by a jump.
#[derive(Clone, Copy)]
pub struct Place {
    /// The lowest address.
    pub low: usize,
    /// The address behind the highest.
    pub top: usize,
    /// The record of the file that the interrupted call holds on to.
    pub held: Option<&'static Record>,
    /// Was the interrupted code in a call that is a cancellation point?
    pub in_call: bool,
}

impl Place {
    /// The addresses from `low` to below `top`, with no file and no call.
    pub fn new(low: usize, top: usize) -> Place {
        Place { low, top, held: None, in_call: false }
    }

    /// Is this address, a stack pointer, in it?
    pub fn holds(&self, address: usize) -> bool {
        (self.low..self.top).contains(&address)
    }
}
