//! How a green thread stops: parked for an object, a descriptor or a deadline, or in a call of the kernel's.

#![warn(unsafe_op_in_unsafe_fn)]

pub mod call;
pub mod cancel;
pub mod masked;
pub mod park;
pub mod pin;
pub mod readiness;
pub mod wait;
pub mod yielding;
