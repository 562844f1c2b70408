//! Model checks: loom runs the library's own files with every order of steps, and every value that a load may see, that a few preemptions
//! bring about. Each model also runs with one step weaker than the sources say, and must notice that (`bites`).
//!
//! The files are compiled here with loom's atomics, locks and sleepers in place of base's. Cells of theirs that are no atomics are not
//! watched, but their locks are, and so is the end of each atomic's life.

//
// Changes by hand that the models found besides: in the lot, a node taken out without a look at whether it was moved, a walk that
// `enqueue` does not notice, a count that falls before it rises (`step_out`, `enqueue`), `queued` stored or loaded Relaxed, `withdraw`
// without regard to a waiter in a frame; in the timers, a node's heap cleared or loaded Relaxed; in the waiter, a Relaxed `set_parked`,
// sequences not compared or not moved on, Won in place of Wake and the reverse, a plain store in `disarm`. Not found: a Relaxed exchange
// in `fire` (the models hand nothing from the clause to the thread), and `remove` without its second look.

#[path = "."]
mod base {
    pub mod atomic;
    pub mod futex;
    pub mod lock;
}

#[allow(dead_code)]
#[path = "../../src/runtime"]
mod runtime {
    pub mod machine {
        pub mod owner;
    }
    pub mod news {
        pub mod lot;
        pub mod ready;
        pub mod timer;
        pub mod waiter;
    }
}

mod green;
mod lots;
mod owners;
mod readies;
mod timers;
mod waiters;

use base::atomic::{weaken, Weakness};
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

/// How often a thread may be stopped where it could go on.
const PREEMPTIONS: usize = 3;
/// How long a model may take; the longest takes a few seconds.
const BOUND: Duration = Duration::from_secs(40);

/// Runs the model with every order of its steps that up to `PREEMPTIONS` bring about. Panics where it fails, or takes too long.
fn explore(model: fn()) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.max_duration = Some(BOUND);
    let begin = Instant::now();
    builder.check(model);
    assert!(begin.elapsed() < BOUND, "not every order of steps was tried");
}

/// The model never fails.
fn holds(model: fn()) {
    weaken(None);
    explore(model);
}

/// The model fails as soon as this step is weak.
fn bites(model: fn(), step: Weakness) {
    weaken(Some(step));
    let found = catch_unwind(|| explore(model)).is_err();
    weaken(None);
    assert!(found, "{step:?} went unnoticed");
}

/// A test that a model holds, and one that it notices each of these weak steps.
macro_rules! models {
    ($($name:ident: $($step:ident)*;)*) => {$(
        mod $name {
            #[test]
            fn holds() {
                crate::holds(super::$name);
            }

            #[test]
            fn bites() {
                $(crate::bites(super::$name, crate::base::atomic::Weakness::$step);)*
            }
        }
    )*};
}
pub(crate) use models;
