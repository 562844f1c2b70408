//! Signals: masks per green thread, dispositions behind the runtime's entry, signals to threads, and waiting for them.
//! Which thread gets a signal, and how its handler runs, is the runtime's (`runtime/signal`).

pub mod action;
pub mod jump;
pub mod mask;
pub mod send;
pub mod take;
