//! loom's atomics in place of base/atomic.rs. An atomic that is dropped while another thread may still touch it fails the model. What a
//! model must notice is switched on by `Weakness`.

pub use loom::sync::atomic::Ordering;
use loom::sync::Notify;
use std::cell::Cell;
use std::mem::ManuallyDrop;

/// A step that is weaker than the sources say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// The files' fences do nothing.
    NoFence,
    /// What enqueues has no fence before it checks again (`waiting::park`, for which the models stand).
    NoFenceAfterEnqueue,
    /// Every access is Relaxed.
    Relaxed,
    /// A compare-exchange is a load, a look, and a plain store.
    PlainStore,
    /// A swap is a load and a plain store.
    PlainSwap,
    /// Locks exclude nobody.
    NoLock,
    /// The futex wakes nobody.
    NoWake,
}

thread_local! {
    // The threads of a model take turns on one kernel thread, that of the test.
    static WEAK: Cell<Option<Weakness>> = const { Cell::new(None) };
}

/// Is this step weak at present?
pub fn is_weak(step: Weakness) -> bool {
    WEAK.get() == Some(step)
}

/// Makes a step weak, or none, for the models that this test runs from now on.
pub fn weaken(step: Option<Weakness>) {
    WEAK.set(step);
}

fn load_order(order: Ordering) -> Ordering {
    if is_weak(Weakness::Relaxed) {
        Ordering::Relaxed
    } else {
        order
    }
}

/// As std's.
pub fn fence(order: Ordering) {
    if !is_weak(Weakness::NoFence) {
        loom::sync::atomic::fence(order);
    }
}

// Each type has all of it, though the files need a part of some.
macro_rules! atomic {
    ($name:ident $(<$t:ident>)?, $value:ty) => {
        /// loom's, in which steps can be weakened.
        pub struct $name $(<$t>)? {
            inner: ManuallyDrop<loom::sync::atomic::$name $(<$t>)?>,
            /// Where the futex's sleeper is.
            #[allow(dead_code)]
            pub sleeper: Notify,
        }

        #[allow(dead_code)]
        impl $(<$t>)? $name $(<$t>)? {
            pub fn new(value: $value) -> Self {
                $name { inner: ManuallyDrop::new(loom::sync::atomic::$name::new(value)), sleeper: Notify::new() }
            }

            pub fn load(&self, order: Ordering) -> $value {
                self.inner.load(load_order(order))
            }

            pub fn store(&self, value: $value, order: Ordering) {
                self.inner.store(value, load_order(order))
            }

            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                if is_weak(Weakness::PlainSwap) {
                    let now = self.inner.load(Ordering::Acquire);
                    self.inner.store(value, Ordering::Release);
                    return now;
                }
                self.inner.swap(value, load_order(order))
            }

            pub fn compare_exchange(&self, from: $value, to: $value, won: Ordering, lost: Ordering) -> Result<$value, $value> {
                if is_weak(Weakness::PlainStore) {
                    let now = self.inner.load(Ordering::Acquire);
                    if now != from {
                        return Err(now);
                    }
                    self.inner.store(to, Ordering::Release);
                    return Ok(now);
                }
                self.inner.compare_exchange(from, to, load_order(won), load_order(lost))
            }
        }

        impl $(<$t>)? Drop for $name $(<$t>)? {
            fn drop(&mut self) {
                // loom fails the model if an access by another thread is not ordered before this one.
                if !std::thread::panicking() {
                    self.inner.with_mut(|_| ());
                }
            }
        }
    };
}

atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);
atomic!(AtomicUsize, usize);
atomic!(AtomicPtr<T>, *mut T);

/// A constructor, which loom's atomics do not let be const.
macro_rules! constructor {
    ($(#[$doc:meta])* pub fn $name:ident($($a:ident: $t:ty),*) -> $r:ty $body:block) => {
        $(#[$doc])*
        pub fn $name($($a: $t),*) -> $r $body
    };
}
pub(crate) use constructor;

/// A table of a few entries, so that addresses share them, made anew for each execution.
macro_rules! table {
    ($(#[$doc:meta])* static $name:ident: [$t:ty; $count:expr] = $new:expr;) => {
        loom::lazy_static! {
            $(#[$doc])*
            static ref $name: [$t; 2] = [$new, $new];
        }
    };
}
pub(crate) use table;
