//! A green thread as the models see it: a waiter, and a stack that one thread at a time may be on.

use crate::runtime::news::waiter::{Batch, Fired, Waiter};
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Notify};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

pub struct Green {
    pub waiter: Waiter,
    /// Touched by the thread until it has left, and by the one that makes it ready.
    stack: UnsafeCell<()>,
    resume: Notify,
    /// How often it was made ready: seen by the model's assertions, not by loom.
    readied: AtomicUsize,
}

impl Green {
    pub fn new() -> Arc<Green> {
        Arc::new(Green {
            waiter: Waiter::new(),
            stack: UnsafeCell::new(()),
            resume: Notify::new(),
            readied: AtomicUsize::new(0),
        })
    }

    /// Leaves the stack, and comes back when it was made ready: by this thread if news were first.
    pub fn park(&self) {
        self.leave();
        while self.readied.load(SeqCst) == 0 {
            self.resume.wait();
        }
        assert_eq!(self.readied.swap(0, SeqCst), 1);
    }

    /// Leaves the stack.
    pub fn leave(&self) {
        self.stack.with_mut(|_| ());
        if !self.waiter.set_parked() {
            self.make_ready();
        }
    }

    /// Resumes the thread on its stack.
    pub fn make_ready(&self) {
        self.stack.with_mut(|_| ());
        assert_eq!(self.readied.fetch_add(1, SeqCst), 0, "resumed twice");
        self.resume.notify();
    }

    pub fn readied(&self) -> usize {
        self.readied.load(SeqCst)
    }

    /// Takes in what firing brought, and makes the thread ready if that is due; true: the clause won.
    pub fn take(&self, fired: Fired) -> bool {
        let batch = Batch::new();
        let won = batch.take(fired);
        self.release(batch);
        won
    }

    pub fn release(&self, batch: Batch) {
        batch.release(|waiter| {
            assert!(std::ptr::eq(waiter, &self.waiter));
            self.make_ready();
        });
    }
}
