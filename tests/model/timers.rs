//! Models of news/timer.rs.

use crate::green::Green;
use crate::models;
use crate::runtime::news::timer::{remove, TimerNode, Timers, NEVER};
use crate::runtime::news::waiter::{Batch, News, Token};
use loom::sync::Arc;
use loom::thread::spawn;

models! {
    expires_against_remove: Relaxed NoLock;
    removes_two_against_expire: Relaxed NoLock;
}

/// A thread that another clause has woken takes its deadline out while that expires: one of the two ends the wait.
fn expires_against_remove() {
    let (timers, green) = (Arc::new(Timers::new()), Green::new());
    let sequence = green.waiter.arm();
    let node = TimerNode::new(green.waiter.ticket(sequence, true), 5);
    timers.insert(&node);
    let expiry = {
        let (timers, green) = (timers.clone(), green.clone());
        spawn(move || {
            let batch = Batch::new();
            timers.expire(10, &batch);
            green.release(batch);
        })
    };
    let other = green.take(green.waiter.fire(sequence, News::Ready(Token::PLAIN)));
    remove(&node);
    drop(node);
    let news = green.waiter.disarm(sequence);
    assert_eq!(news, Some(if other { News::Ready(Token::PLAIN) } else { News::TimedOut }));
    expiry.join().unwrap();
    assert_eq!(timers.earliest(), NEVER);
}

/// Two threads take their deadlines out of one heap while the earlier expires.
fn removes_two_against_expire() {
    let timers = Arc::new(Timers::new());
    let waits = [5, 15].map(|deadline| {
        let (timers, green) = (timers.clone(), Green::new());
        let thread = {
            let green = green.clone();
            spawn(move || {
                let sequence = green.waiter.arm();
                let node = TimerNode::new(green.waiter.ticket(sequence, true), deadline);
                timers.insert(&node);
                remove(&node);
                drop(node);
                let news = green.waiter.disarm(sequence);
                assert!(news.is_none() || deadline == 5);
            })
        };
        (thread, green)
    });
    timers.expire(10, &Batch::new());
    for (thread, green) in waits {
        thread.join().unwrap();
        assert_eq!(green.readied(), 0);
    }
    assert_eq!(timers.earliest(), NEVER);
}
