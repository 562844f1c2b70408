//! How a green thread stops: parked for an object, a descriptor or a deadline, or in a call of the kernel's.
//!
//! `wait` is the wait itself. `park` (addresses), `readiness` (descriptors) and `masked` (signals) are its clauses; `call` is for what
//! cannot park. `cancel` ends any of them.

#![warn(unsafe_op_in_unsafe_fn)]

pub mod call;
pub mod cancel;
pub mod masked;
pub mod park;
pub mod pin;
pub mod readiness;
pub mod wait;
pub mod yielding;
