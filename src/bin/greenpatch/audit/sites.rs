//! The sums of call sites, read: the shards of each added up.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;

use super::fields::{classes, text};
use crate::shared::audit_format::{self as format, Recording};

/// The sums of a site.
pub struct Site {
    pub name: String,
    pub caller: u64,
    pub threads: u32,
    pub count: u64,
    pub total_ns: u64,
    pub worst_ns: u64,
    pub classes: Vec<u32>,
    /// How many of the calls parked, how long, and the longest (green).
    pub parks: u64,
    pub parked_ns: u64,
    pub parked_worst_ns: u64,
    /// Of the calls on loops' threads of which it was asked: how many could not have waited, and how many could.
    pub could_not_wait: u32,
    pub could_wait: u32,
}

/// Returns the sites that a recording has.
fn entries(recording: &Recording) -> impl Iterator<Item = &format::Site> {
    recording.sites.iter().filter(|entry| entry.key.load(Relaxed) != 0)
}

/// Returns how many calls came to the recorder, however short.
pub fn calls(recording: &Recording) -> u64 {
    entries(recording).map(|entry| entry.calls.load(Relaxed)).sum()
}

/// Returns the sums of each call from one place, in the order in which they came first.
pub fn all(recording: &Recording) -> Vec<Site> {
    let mut shards: Vec<Vec<&format::Site>> = Vec::new();
    let mut places = HashMap::new();
    for entry in entries(recording) {
        let place = *places.entry((entry.call.load(Relaxed), entry.caller.load(Relaxed))).or_insert(shards.len());
        if place == shards.len() {
            shards.push(Vec::new());
        }
        shards[place].push(entry);
    }
    shards.iter().map(|shards| sum(shards)).collect()
}

/// Adds up the shards of a site: one at least.
fn sum(shards: &[&format::Site]) -> Site {
    let added = |of: fn(&format::Site) -> u64| shards.iter().map(|shard| of(shard)).sum::<u64>();
    let most = |of: fn(&format::Site) -> u64| shards.iter().map(|shard| of(shard)).max().unwrap_or(0);
    let mut counts = vec![0; format::CLASSES];
    for shard in shards {
        counts.iter_mut().zip(classes(&shard.classes)).for_each(|(count, more)| *count += more);
    }
    Site {
        name: text(&shards[0].name),
        caller: shards[0].caller.load(Relaxed),
        threads: shards.iter().fold(0, |bits, shard| bits | shard.threads.load(Relaxed)).count_ones(),
        count: added(|shard| shard.count.load(Relaxed)),
        total_ns: added(|shard| shard.total_ns.load(Relaxed)),
        worst_ns: most(|shard| shard.worst_ns.load(Relaxed)),
        classes: counts,
        parks: added(|shard| shard.parks.load(Relaxed)),
        parked_ns: added(|shard| shard.parked_ns.load(Relaxed)),
        parked_worst_ns: most(|shard| shard.parked_worst_ns.load(Relaxed)),
        could_not_wait: added(|shard| shard.could_not_wait.load(Relaxed).into()) as u32,
        could_wait: added(|shard| shard.could_wait.load(Relaxed).into()) as u32,
    }
}
