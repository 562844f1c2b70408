//! Who waits for what: waiters and the queues that they stand in. Knows no green thread and no slot.

pub mod lot;
pub mod peer;
pub mod poller;
pub mod reactor;
pub mod record;
pub mod timer;
pub mod verify;
pub mod waiter;
