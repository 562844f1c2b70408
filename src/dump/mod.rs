//! The list of the green threads, taken from a process's memory while it goes on: by the process itself, on a signal, and by
//! `greenpatch dump PID` (which builds this folder, too). Nothing is stopped, and no lock is taken.
//!
//! ```text
//!   greenpatch_threads ─► Table (offsets, names, reasons) ─► first Green ─► Green ─► … ─► null     list.rs
//!                          saved context, stack, .eh_frame ─► return addresses                     unwind.rs, frames.rs
//!                          maps, ELF files ─► names of functions                                   modules.rs
//! ```
//!
//! What is read may change meanwhile. A parked thread's word is therefore read again after its stack: where it is another one, the thread
//! went on and the frames are thrown away.

pub mod frames;
pub mod list;
pub mod modules;
pub mod process;
pub mod sockets;
pub mod table;
pub mod unwind;
