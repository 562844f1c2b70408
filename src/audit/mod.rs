//! The recorder: what `greenpatch audit` knows of a process.
//!
//! Nothing of the program changes: it stays native, and each of its calls that may wait goes by a recorder that looks at the time
//! before and after (hooks/audited.rs). What is recorded lies in a mapped file (`format`), so no end of the process loses it.
//!
//! ```text
//!   a call took                      what is done                                                    by
//!   (while it goes on)               the thread's entry says which, and since when                   now
//!   less than SHORTEST_NS            nothing
//!   less than the threshold          its site's sums, by call and caller                             recorder
//!   more                             also the whole: stack, descriptor, interpreter lock, Python     recorder, stack, subject, python
//!   (more in all, one by one)        as one long call, if they belong together                        series
//!   (an eighth of it, in all)        also how much of that was lack of a processor, its own or of the    processor, lacks
//!                                    thread that it waited for
//!   (a wait of epoll, poll, select)  also the time since the last one there: a loop's turn           looping
//! ```
//!
//! A program that runs green is recorded in another way, and only what kept a worker (`green`, `away`).
//!
//! Nothing here calls the program's code or takes its locks: memory is the library's own, stacks are read by `_dl_find_object`, which takes
//! no lock, and the one lock below is held for microseconds. A call that a signal handler makes while its thread records is not recorded.

#![warn(unsafe_op_in_unsafe_fn)]

pub mod away;
pub mod blocks;
pub mod caller;
pub mod children;
pub mod clock;
pub mod format;
pub mod green;
pub mod holder;
pub mod index;
pub mod lacks;
pub mod lists;
pub mod long;
pub mod looping;
pub mod modules;
pub mod now;
pub mod objects;
pub mod processor;
pub mod python;
pub mod recorder;
pub mod recording;
pub mod series;
pub mod stack;
pub mod subject;
pub mod text;
pub mod thread;
pub mod unlock;
