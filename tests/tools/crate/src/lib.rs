//! Sums in threads.
include!(concat!(env!("OUT_DIR"), "/limit.rs"));

/// The sum of the numbers below `LIMIT`, by so many threads.
pub fn sum(threads: u64) -> u64 {
    let part = move |thread| (0..LIMIT).filter(|number| number % threads == thread).sum::<u64>();
    let parts: Vec<_> = (0..threads).map(|thread| std::thread::spawn(move || part(thread))).collect();
    parts.into_iter().map(|part| part.join().expect("a sum")).sum()
}

#[test]
fn the_number_of_threads_does_not_matter() {
    assert_eq!(sum(1), sum(7));
}
