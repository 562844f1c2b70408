//! Which thread takes a signal: one that does not block it, or waits for it. Nothing here changes anything, or takes a lock.

use crate::base::signal_set::bit;
use crate::runtime::machine::parts::Green;
use crate::runtime::machine::words::life;
use crate::runtime::machine::{disposition, roll};
use crate::runtime::signal::{owner, thread_timer};
use libc::{c_int, siginfo_t};
use std::sync::atomic::{fence, Ordering::*};

/// The thread for which the process got this signal (a timer's, a descriptor's); `None`: it is the process's own; `Some(None)`: that thread
/// has ended. Changes `info` to what the thread would see natively. Called in handlers and by sweeps.
pub fn addressee(info: &mut siginfo_t) -> Option<Option<&'static Green>> {
    thread_timer::whose(info).or_else(|| owner::whose(info))
}

/// Would this thread take the signal now: does it not block it, or wait for it? Asked on any thread, of any thread: the answer may be out
/// of date at once, and callers look again where that matters (`delivery`, `shelf`).
pub fn takes(green: &Green, signal: c_int) -> bool {
    (!green.mask.get() | green.signals.waits_for.get()) & bit(signal) != 0
}

/// The signals that a thread blocks only while its handlers run.
pub fn blocked_by_handlers(green: &Green) -> u64 {
    if green.thread.pins() > 0 {
        green.mask.get() & !green.signals.outer_mask.get()
    } else {
        0
    }
}

/// The thread that gets a signal sent to the process: one that takes it now, or else one that will once its handlers are over. `None`:
/// every thread blocks it. The first that the roll's search meets is taken: POSIX leaves the choice open.
pub fn taker(signal: c_int) -> Option<&'static Green> {
    // A handler may end between the two looks: so the second asks for threads that take the signal now as well.
    let sooner_or_later = |green: &'static Green| takes_soon(green, signal) || takes(green, signal);
    roll::search(|green| takes(green, signal)).or_else(|| roll::search(sooner_or_later))
}

/// Will this thread take the signal once the handlers that run on it are over?
pub fn takes_soon(green: &Green, signal: c_int) -> bool {
    blocked_by_handlers(green) & bit(signal) != 0
}

/// Would main take the signal now? False where main has ended, too.
pub fn main_takes(signal: c_int) -> bool {
    roll::main().is_some_and(|main| takes(main, signal))
}

/// Would the signal, sent to this thread now, do to the process what its default is? Asked by the hooks that send, which then have it done
/// at once.
pub fn takes_default(green: &Green, signal: c_int) -> bool {
    let action = disposition::of(signal);
    action.handler == libc::SIG_DFL
        && !action.ignores(signal)
        && (green.mask.get() | green.signals.waits_for.get()) & bit(signal) == 0
}

/// Has the thread not finished yet? From its end on it takes nothing.
pub fn life_goes_on(green: &Green) -> bool {
    green.life.load(SeqCst) & (life::FINISHED | life::GONE) == 0
}

/// The signals that a thread blocks, but not for its handlers alone. Asked on any thread.
pub fn blocked_for_long(green: &Green) -> u64 {
    loop {
        let before = green.handled.load(SeqCst);
        let for_handlers = blocked_by_handlers(green);
        fence(SeqCst);
        let blocked = green.mask.get() & !green.signals.waits_for.get() & !for_handlers;
        fence(SeqCst);
        // The handlers are counted before and after the masks are read. A handler that ended in between has opened what it blocked. A
        // handler that began in between blocks signals that would look like the thread's own mask.
        if green.handled.load(SeqCst) == before {
            return blocked;
        }
    }
}
