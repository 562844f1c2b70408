//! The recording's lists: a site's or a finding's entry by its key, which is made where there is none, and the ring's next.

use crate::audit::format::{self, Long, Recording, Site, FINDINGS, RING, SITES};
use crate::audit::index::{mix, place_of};
use crate::audit::{blocks, text};
use crate::rows::NAMES;
use std::sync::atomic::Ordering::*;

/// Returns a site's entry, which is made where there is none; `None`: there is no room. Two threads that come first at one moment may make
/// two, and the report adds them up.
#[inline]
pub fn site(recording: &Recording, row: u32, caller: u64) -> Option<&Site> {
    let key = mix([row.into(), caller, 0]);
    let Recording { header, site_index, sites, .. } = recording;
    let make = |place: usize| {
        let site: &Site = &sites[place];
        blocks::is_ready(site) && {
            site.call.store(row, Relaxed);
            site.caller.store(caller, Relaxed);
            text::write(&site.name, NAMES[row as usize].as_bytes());
            site.key.store(key, Relaxed);
            true
        }
    };
    let place = place_of(site_index, &header.sites, SITES, key, |place| sites[place].key.load(Relaxed) == key, make);
    if place.is_none() {
        header.lost.fetch_add(1, Relaxed);
    }
    place.map(|place| &sites[place])
}

/// Adds a call of a thread to a site.
pub fn add(site: &Site, duration_ns: u64, thread: i32) {
    site.count.fetch_add(1, Relaxed);
    site.total_ns.fetch_add(duration_ns, Relaxed);
    site.worst_ns.fetch_max(duration_ns, Relaxed);
    site.classes[format::class(duration_ns)].fetch_add(1, Relaxed);
    let bit = 1 << (thread & 31);
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
