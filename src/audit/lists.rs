//! The recording's lists: a site's or a finding's entry by its key, which is made where there is none, and the ring's next.

use crate::audit::format::{self, Long, Recording, Site, FINDINGS, RING, SHARDS, SITES};
use crate::audit::index::{mix, place_of};
use crate::audit::looping::tid;
use crate::audit::thread::Thread;
use crate::audit::{blocks, text};
use crate::glibc;
use crate::rows::NAMES;
use std::sync::atomic::Ordering::*;

/// Returns a site's entry in the shard of the processor on which the thread runs, which is made where there is none; `None`: there is no
/// room. Two threads that come first at one moment may make two, and the report adds them up.
#[inline]
pub fn site<'a>(recording: &'a Recording, here: &Thread, row: u32, caller: u64) -> Option<&'a Site> {
    let shard = glibc::rseq::processor() % SHARDS;
    let kept = &here.sites[row as usize % here.sites.len()];
    let known = kept.get().checked_sub(1).and_then(|place| recording.sites.get(place as usize));
    let is = |site: &&Site| {
        (site.call.load(Relaxed), site.caller.load(Relaxed), site.shard.load(Relaxed)) == (row, caller, shard)
    };
    if let Some(site) = known.filter(is) {
        return Some(site);
    }
    let place = place_of_site(recording, row, caller, shard)?;
    kept.set(place as u16 + 1);
    Some(&recording.sites[place])
}

/// Finds the place of a site's entry by its key, or makes one.
fn place_of_site(recording: &Recording, row: u32, caller: u64, shard: u32) -> Option<usize> {
    let key = mix([row.into(), caller, shard.into()]);
    let Recording { header, site_index, sites, .. } = recording;
    let make = |place: usize| {
        let site: &Site = &sites[place];
        blocks::is_ready(site) && {
            site.call.store(row, Relaxed);
            site.caller.store(caller, Relaxed);
            site.shard.store(shard, Relaxed);
            text::write(&site.name, NAMES[row as usize].as_bytes());
            site.key.store(key, Relaxed);
            true
        }
    };
    let place = place_of(site_index, &header.sites, SITES, key, |place| sites[place].key.load(Relaxed) == key, make);
    if place.is_none() {
        header.lost.fetch_add(1, Relaxed);
    }
    place
}

/// Adds a call of a thread to a site, and the calls that the thread has counted.
pub fn add(site: &Site, here: &Thread, duration_ns: u64) {
    site.calls.fetch_add(here.calls.take(), Relaxed);
    site.count.fetch_add(1, Relaxed);
    site.total_ns.fetch_add(duration_ns, Relaxed);
    if duration_ns > site.worst_ns.load(Relaxed) {
        site.worst_ns.fetch_max(duration_ns, Relaxed);
    }
    site.classes[format::class(duration_ns)].fetch_add(1, Relaxed);
    let bit = 1 << (tid(here) & 31);
    if site.threads.load(Relaxed) & bit == 0 {
        site.threads.fetch_or(bit, Relaxed);
    }
}

/// Takes the ring's next entry to be written, with its number from 1 on: its turn is odd until `long::written`. `None`: there is no memory
/// for it.
pub fn next_of_ring(recording: &Recording) -> Option<(u64, &Long)> {
    let number = recording.header.rung.fetch_add(1, Relaxed);
    let long = &recording.ring[number as usize % RING];
    if !blocks::is_ready(long) {
        recording.header.lost.fetch_add(1, Relaxed);
        return None;
    }
    long.turn.fetch_or(1, AcqRel);
    Some((number + 1, long))
}

/// Returns the place of a finding's entry, as `site`.
pub fn finding(recording: &Recording, row: u32, caller: u64, line: u64) -> Option<usize> {
    let key = mix([row.into(), caller, line]);
    let Recording { header, finding_index, findings, .. } = recording;
    let make = |place: usize| {
        let is_ready = blocks::is_ready(&findings[place]);
        if is_ready {
            findings[place].key.store(key, Relaxed);
        }
        is_ready
    };
    let is = |place: usize| findings[place].key.load(Relaxed) == key;
    let place = place_of(finding_index, &header.findings, FINDINGS, key, is, make);
    if place.is_none() {
        header.lost.fetch_add(1, Relaxed);
    }
    place
}
