//! How a green thread stops: parked for an object, a descriptor or a deadline, or in a call of the kernel's.
//!
//! `wait` is the wait itself. `park` (addresses), `readiness` (descriptors) and `masked` (signals) are its clauses; `call` is for what
//! cannot park. `cancel` ends any of them.

#![warn(unsafe_op_in_unsafe_fn)]

use crate::runtime::machine::parts::Green;

pub mod call;
pub mod cancel;
pub mod lending;
pub mod masked;
pub mod park;
pub mod pin;
pub mod readiness;
pub mod sleep;
pub mod wait;
pub mod yielding;

/// In a fork child, which the green thread `me` runs: it is pinned by what it holds, `handlers` that run on its stack not counted.
pub fn after_fork(me: &Green, handlers: u32) {
    pin::after_fork(me, handlers);
}
