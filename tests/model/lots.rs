//! Models of news/lot.rs. There are two buckets here; HERE and THERE lie in different ones.

use crate::base::atomic::{is_weak, AtomicU32, Ordering::*, Weakness};
use crate::green::Green;
use crate::models;
use crate::runtime::news::lot::{self, Choice, Node};
use crate::runtime::news::waiter::{Batch, News, Token, Waiter};
use loom::sync::Arc;
use loom::thread::{spawn, JoinHandle};

models! {
    no_wake_is_lost: NoFence NoFenceAfterEnqueue NoLock;
    withdraws_against_fire: Relaxed NoLock;
    a_sleeper_withdraws_against_fire: NoWake NoLock;
    requeues_against_withdraw: NoLock;
    steps_out_against_fire: NoFence NoFenceAfterEnqueue NoLock;
}

const HERE: usize = 4;
const THERE: usize = 8;

/// What the threads wait for, changed before they are woken.
struct World {
    green: Arc<Green>,
    changed: AtomicU32,
}

impl World {
    fn new() -> Arc<World> {
        Arc::new(World { green: Green::new(), changed: AtomicU32::new(0) })
    }

    /// A thread that changes the world, looks and wakes: true if it has fired a wait.
    fn waker(world: &Arc<World>) -> JoinHandle<bool> {
        let world = world.clone();
        spawn(move || {
            world.changed.store(1, Relaxed);
            lot::waiting(HERE) && world.fire(HERE) != 0
        })
    }

    fn fire(&self, address: usize) -> usize {
        let batch = Batch::new();
        let fired = lot::fire(address, &batch, |_| Choice::Wake);
        self.green.release(batch);
        fired
    }

    /// The check after the enqueueing, as in `waiting::park`.
    fn must_wait(&self) -> bool {
        if !is_weak(Weakness::NoFenceAfterEnqueue) {
            loom::sync::atomic::fence(SeqCst);
        }
        self.changed.load(Relaxed) == 0
    }
}

fn nobody_waits() {
    assert!(!lot::queued(HERE) && !lot::queued(THERE));
}

/// Check, enqueue, check, park against change, fence, look, wake.
fn no_wake_is_lost() {
    let world = World::new();
    let waker = World::waker(&world);
    let waiter = &world.green.waiter;
    let sequence = waiter.arm();
    let node = Node::new(HERE, 0);
    // SAFETY: the node stays here until `withdraw`.
    unsafe { node.enqueue(waiter.ticket(sequence, true)) };
    if world.must_wait() {
        world.green.park();
    }
    node.withdraw();
    drop(node);
    let news = waiter.disarm(sequence);
    assert_eq!(waker.join().unwrap(), news.is_some());
    nobody_waits();
}

/// A thread that another clause has woken takes its node out while a waker fires it.
fn withdraws_against_fire() {
    let world = World::new();
    let waiter = &world.green.waiter;
    let sequence = waiter.arm();
    let node = Node::new(HERE, 0);
    // SAFETY: the node stays here until `withdraw`.
    unsafe { node.enqueue(waiter.ticket(sequence, true)) };
    let waker = World::waker(&world);
    let timed_out = world.green.take(waiter.fire(sequence, News::TimedOut));
    node.withdraw();
    drop(node);
    let news = waiter.disarm(sequence);
    assert_eq!(news, Some(if timed_out { News::TimedOut } else { News::Ready(Token::PLAIN) }));
    assert_eq!(waker.join().unwrap(), !timed_out);
    nobody_waits();
}

/// The same for a thread that sleeps in the kernel, whose waiter ends with the wait.
fn a_sleeper_withdraws_against_fire() {
    let world = World::new();
    let waker = World::waker(&world);
    let waiter = Waiter::new();
    let sequence = waiter.arm();
    let node = Node::new(HERE, 0);
    // SAFETY: the node stays here until `withdraw`.
    unsafe { node.enqueue(waiter.ticket(sequence, false)) };
    if world.must_wait() && waiter.set_sleeping() {
        while waiter.is_sleeping() {
            waiter.await_news(None);
        }
    }
    node.withdraw();
    drop(node);
    let news = waiter.disarm(sequence);
    drop(waiter);
    assert_eq!(waker.join().unwrap(), news.is_some());
    nobody_waits();
}

/// A node is moved to another bucket, and perhaps fired there, while its owner takes it out.
fn requeues_against_withdraw() {
    let world = World::new();
    let waiter = &world.green.waiter;
    let sequence = waiter.arm();
    let node = Node::new(HERE, 0);
    // SAFETY: the node stays here until `withdraw`.
    unsafe { node.enqueue(waiter.ticket(sequence, true)) };
    let mover = {
        let world = world.clone();
        spawn(move || {
            let batch = Batch::new();
            let moved = lot::requeue(HERE, THERE, 0, 1, &batch).1;
            world.green.release(batch);
            (moved, world.fire(THERE))
        })
    };
    node.withdraw();
    drop(node);
    let news = waiter.disarm(sequence);
    let (moved, fired) = mover.join().unwrap();
    assert!(fired <= moved && news.is_none() || fired == 1);
    nobody_waits();
}

/// A thread leaves its queue for a handler and waits on, without another check: a waker that came by meanwhile ends the wait.
/// It found that `step_out` took the node out of the count before it put its owner in: a waker that looked just then saw nobody.
fn steps_out_against_fire() {
    let world = World::new();
    let waker = World::waker(&world);
    let waiter = &world.green.waiter;
    let node = Node::new(HERE, 0);
    let first = waiter.arm();
    // SAFETY: the node stays here until `step_out`.
    unsafe { node.enqueue(waiter.ticket(first, true)) };
    if world.must_wait() {
        node.step_out();
        waiter.disarm(first);
        if node.is_away() {
            let second = waiter.arm();
            // SAFETY: as above.
            let waits_on = unsafe { node.enqueue(waiter.ticket(second, true)) };
            if waits_on {
                world.green.park();
            }
            node.step_out();
            waiter.disarm(second);
        }
    } else {
        node.step_out();
        waiter.disarm(first);
    }
    node.come_back();
    drop(node);
    waker.join().unwrap();
    nobody_waits();
}
