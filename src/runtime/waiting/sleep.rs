//! Sleeps: waits for nothing but a deadline.

use crate::runtime::waiting::lending;
use crate::runtime::waiting::wait::{wait, Cancel, Deadline, Woken};
use crate::why::Why;

/// Parks until the deadline; only an alert ends the wait earlier. A cancellation point. Called on any thread, with no lock held; `None`:
/// until a signal's handler has run (pause).
pub fn sleep_until(deadline: Deadline) -> Woken {
    if deadline.is_none() {
        return wait(Why::Signal, Cancel::Act, None, |_| true, || {});
    }
    match lending::context(Why::Sleep) {
        Some(context) => context.wait(deadline, |_| true, |_| {}),
        None => wait(Why::Sleep, Cancel::Act, deadline, |_| true, || {}),
    }
}
