//! Models of news/waiter.rs.

use crate::green::Green;
use crate::models;
use crate::runtime::news::waiter::{Batch, Fired, Lent, News, Token, Waiter};
use loom::sync::Arc;
use loom::thread::spawn;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

models! {
    parks_against_two_clauses: PlainStore Relaxed;
    a_late_clause_loses: PlainStore PlainSwap;
    an_alert_against_a_clause: PlainStore Relaxed;
    sleeps_against_a_clause: PlainStore NoWake;
    lends_against_two_clauses: PlainStore;
}

const READY: News = News::Ready(Token::PLAIN);

/// Exactly one of two clauses wins, and the thread is made ready exactly once, off its stack.
fn parks_against_two_clauses() {
    let green = Green::new();
    let sequence = green.waiter.arm();
    let clauses = [READY, News::TimedOut].map(|news| {
        let green = green.clone();
        spawn(move || green.take(green.waiter.fire(sequence, news)))
    });
    green.leave();
    let [ready, timed_out] = clauses.map(|clause| clause.join().unwrap());
    assert!(ready != timed_out);
    assert_eq!(green.readied(), 1);
    assert_eq!(green.waiter.disarm(sequence), Some(if ready { READY } else { News::TimedOut }));
}

/// A clause of an earlier wait does not end a later one.
fn a_late_clause_loses() {
    let green = Green::new();
    let first = green.waiter.arm();
    let late = {
        let green = green.clone();
        spawn(move || green.take(green.waiter.fire(first, News::TimedOut)))
    };
    let news = green.waiter.disarm(first);
    let second = green.waiter.arm();
    let clause = {
        let green = green.clone();
        spawn(move || green.take(green.waiter.fire(second, READY)))
    };
    green.park();
    assert_eq!(green.waiter.disarm(second), Some(READY));
    assert!(clause.join().unwrap());
    assert_eq!(late.join().unwrap(), news == Some(News::TimedOut));
}

/// An alert is a clause like any other.
fn an_alert_against_a_clause() {
    let green = Green::new();
    let sequence = green.waiter.arm();
    let alert = {
        let green = green.clone();
        spawn(move || green.take(green.waiter.interrupt()))
    };
    let clause = {
        let green = green.clone();
        spawn(move || green.take(green.waiter.fire(sequence, READY)))
    };
    green.park();
    let news = green.waiter.disarm(sequence);
    assert_eq!(alert.join().unwrap(), news == Some(News::Alerted));
    assert_eq!(clause.join().unwrap(), news == Some(READY));
}

/// A thread that sleeps in the kernel is woken.
fn sleeps_against_a_clause() {
    let waiter = Arc::new(Waiter::new());
    let sequence = waiter.arm();
    let clause = {
        let waiter = waiter.clone();
        spawn(move || assert!(matches!(waiter.fire(sequence, READY), Fired::Won)))
    };
    if waiter.set_sleeping() {
        while waiter.is_sleeping() {
            waiter.await_news(None);
        }
    }
    assert_eq!(waiter.disarm(sequence), Some(READY));
    clause.join().unwrap();
}

/// A context of a lent loop.
#[repr(C)]
struct Context {
    lent: Lent,
    /// How often the loop was told of it.
    told: AtomicUsize,
}

impl Context {
    fn tell(lent: &'static Lent) {
        // SAFETY: the models' only `Lent` is the begin of a `Context`.
        let context = unsafe { &*(lent as *const Lent as *const Context) };
        context.told.fetch_add(1, SeqCst);
    }
}

/// Exactly one of two clauses wins, and the loop is told exactly once of a context that it has left, and of no other.
fn lends_against_two_clauses() {
    let lent = Lent { waiter: Waiter::new(), tell: Context::tell };
    let context = Arc::new(Context { lent, told: AtomicUsize::new(0) });
    let sequence = context.lent.waiter.arm();
    let clauses = [READY, News::TimedOut].map(|news| {
        let context = context.clone();
        spawn(move || {
            let batch = Batch::new();
            let won = batch.take(context.lent.waiter.fire(sequence, news));
            batch.release(|_| panic!("no green thread waits"));
            won
        })
    });
    let is_left = context.lent.waiter.set_lent();
    let [ready, timed_out] = clauses.map(|clause| clause.join().unwrap());
    assert!(ready != timed_out);
    assert_eq!(context.told.load(SeqCst), usize::from(is_left));
    assert_eq!(context.lent.waiter.disarm(sequence), Some(if ready { READY } else { News::TimedOut }));
}
