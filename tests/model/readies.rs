//! Models of news/ready.rs, with the waiter of the context whose loop is told.

use crate::models;
use crate::runtime::news::ready::{Link, Ready};
use crate::runtime::news::waiter::{Fired, News, Token, Waiter};
use loom::thread::spawn;
use std::ptr::eq;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

models! {
    two_tell_while_the_loop_takes: PlainStore PlainSwap Relaxed;
    a_context_goes_on_before_its_news_are_taken: PlainStore;
    a_link_serves_again: PlainStore;
}

const READY: News = News::Ready(Token::PLAIN);

/// A loop whose bell says whether it is rung: the eventfd's count.
struct Home {
    ready: Ready,
    /// Rung and hushed by system calls, which are in one order: no part of the model.
    bell: AtomicUsize,
}

// SAFETY: as `lent::Loop`'s, and models keep to it.
unsafe impl Sync for Home {}

/// What threads other than the loop's touch of a place.
struct Place {
    link: Link,
    waiter: Waiter,
}

// SAFETY: as above.
unsafe impl Sync for Place {}

fn home() -> &'static Home {
    Box::leak(Box::new(Home { ready: Ready::new(), bell: AtomicUsize::new(0) }))
}

fn place() -> &'static Place {
    Box::leak(Box::new(Place { link: Link::new(), waiter: Waiter::new() }))
}

impl Home {
    fn tell(&self, link: &'static Link) {
        if self.ready.tell(link) {
            self.bell.store(1, SeqCst);
        }
    }

    /// Takes all there is, as gp_take does; how many links that was.
    fn take_all(&self) -> usize {
        self.bell.store(0, SeqCst);
        let mut count = 0;
        while self.ready.next().is_some() {
            count += 1;
        }
        if self.ready.has_more() {
            self.bell.store(1, SeqCst);
        }
        count
    }
}

/// What is told is taken once; what is told and not taken has the bell rung.
fn two_tell_while_the_loop_takes() {
    let home = home();
    let tellers = [place(), place()].map(|place| spawn(move || home.tell(&place.link)));
    let at_once = home.take_all();
    for teller in tellers {
        teller.join().unwrap();
    }
    assert!(at_once == 2 || home.bell.load(SeqCst) == 1);
    assert_eq!(at_once + home.take_all(), 2);
    assert!(!home.ready.has_more());
}

/// Fires a wait that its context was left for, and tells the loop.
fn fire(home: &'static Home, place: &'static Place, sequence: crate::runtime::news::waiter::Sequence) {
    if let Fired::Lent(_) = place.waiter.fire(sequence, READY) {
        home.tell(&place.link);
    }
}

/// A context that its loop switches to before its news are taken: its link is passed over, and is free once after that.
fn a_context_goes_on_before_its_news_are_taken() {
    let (home, place) = (home(), place());
    let sequence = place.waiter.arm();
    assert!(place.waiter.set_lent());
    let teller = spawn(move || fire(home, place, sequence));
    let is_told = place.waiter.disarm(sequence).is_some();
    home.ready.give_back(&place.link, is_told);
    teller.join().unwrap();
    assert_eq!(home.take_all(), 0);
    assert!(home.ready.take().is_some_and(|link| eq(link, &place.link)) && home.ready.take().is_none());
}

/// A link that was given back serves the next wait, whose news are taken, and none of the first's.
fn a_link_serves_again() {
    let (home, place) = (home(), place());
    let first = place.waiter.arm();
    assert!(place.waiter.set_lent());
    let late = spawn(move || fire(home, place, first));
    let is_told = place.waiter.disarm(first).is_some();
    home.ready.give_back(&place.link, is_told);
    if home.ready.take().is_none() {
        // The loop has to pass it over first.
        late.join().unwrap();
        assert_eq!(home.take_all(), 0);
        assert!(home.ready.take().is_some());
    }
    let second = place.waiter.arm();
    assert!(place.waiter.set_lent());
    fire(home, place, second);
    assert_eq!(home.take_all(), 1);
    assert_eq!(place.waiter.disarm(second), Some(READY));
    home.ready.give_back(&place.link, true);
    assert!(home.ready.take().is_some() && home.ready.take().is_none());
}
