//! The size of a report: at most 200 KiB, whatever was recorded.
//!
//! An hour at 10,000 events a second is 36 million calls. The recorder sums them up in tables of a fixed size, so what such an hour leaves
//! is at most what the tables hold. The recording here has them all full: every finding with a whole stack of both kinds, every loop with
//! its whole series, every site and module, and the latest calls; its counts are that hour's.

use super::outputs::{is_read, report};
use super::support::needs::skip;
use super::support::place::stdout;
use super::support::run::Scratch;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::mem::size_of;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

#[allow(dead_code)]
#[path = "../../src/audit/format.rs"]
mod format;

use format::{Long, Recording, MAGIC};

const MOST_BYTES: usize = 200 << 10;
/// An hour in nanoseconds, and its calls.
const HOUR_NS: u64 = 3_600_000_000_000;
const CALLS: u64 = 36_000_000;

fn write(field: &[AtomicU8], text: &str) {
    text.bytes().take(field.len()).zip(field).for_each(|(byte, to)| to.store(byte, Relaxed));
}

fn fill_long(long: &Long, at: usize, began_ns: u64) {
    long.turn.store(2, Relaxed);
    long.thread.store(1000 + (at % 40) as i32, Relaxed);
    long.depth.store(format::FRAMES as u32, Relaxed);
    long.duration_ns.store(20_000_000 + at as u64 * 1_000_000, Relaxed);
    long.ended_ns.store(began_ns + HOUR_NS / 600 * (at as u64 + 1), Relaxed);
    long.slices.store(1, Relaxed);
    long.fd.store(7, Relaxed);
    long.fd_kind.store(format::kind::TCP, Relaxed);
    long.gil.store((at % 3) as u32, Relaxed);
    write(&long.name, "pthread_cond_timedwait");
    write(&long.local, "[fe80:1234:1234:1234:1234:1234:1234:1234%eth0]:65535");
    write(&long.peer, &format!("[fe80:1234:1234:1234:1234:1234:1234:1234%eth0]:{}", 1000 + at));
    write(&long.thread_name, "a-worker-thread");
    for (frame, to) in long.frames.iter().enumerate() {
        to.store(
            0x7000_0000_0000 + ((at * 7 + frame) % format::MODULES) as u64 * 0x10_0000 + 0x1234 + frame as u64,
            Relaxed,
        );
    }
    let line = |frame: usize| format!("/srv/application/package/module_{at}.py\t{}\tfunction_{frame}\n", at + frame);
    let lines: String = (0..40).map(line).collect();
    let whole = lines[..1020].rfind('\n').expect("a line");
    write(&long.python, &lines[..whole + 1]);
}

/// Makes a recording whose every entry is used.
fn full(path: &Path) {
    let bytes = size_of::<Recording>();
    let mut room = vec![0u128; bytes.div_ceil(16) + 8];
    let place = room.as_mut_ptr().cast::<u8>();
    let place = place.wrapping_add(place.align_offset(64));
    // SAFETY: aligned, within the room, all zero, and every field may be zero.
    let recording = unsafe { &*place.cast::<Recording>() };
    let header = &recording.header;
    let began_ns = 5_000_000_000;
    header.magic.store(MAGIC, Relaxed);
    header.bytes.store(bytes as u64, Relaxed);
    header.process.store(1000, Relaxed);
    header.began_ns.store(began_ns, Relaxed);
    header.began_real_ns.store(1_800_000_000_000_000_000, Relaxed);
    header.last_ns.store(began_ns + HOUR_NS, Relaxed);
    header.threshold_ns.store(20_000_000, Relaxed);
    header.ended.store(1, Relaxed);
    header.python.store(1, Relaxed);
    write(&header.program, "/usr/bin/an-application");
    write(&header.command, &"an-application --with-an-option ".repeat(15));
    for (at, module) in recording.modules.iter().enumerate() {
        let start = 0x7000_0000_0000 + at as u64 * 0x10_0000;
        module.start.store(start, Relaxed);
        module.end.store(start + 0x10_0000, Relaxed);
        module.base.store(start, Relaxed);
        module.id_bytes.store(20, Relaxed);
        write(&module.id, "twenty bytes of an id");
        write(
            &module.path,
            &format!("/opt/vendor/application/lib/python3/site-packages/package/library_number_{at}.so.1"),
        );
    }
    for (at, known) in recording.loops.iter().enumerate() {
        known.thread.store(1000 + at as i32, Relaxed);
        // Another call than the findings', which are not the loop's own waits.
        known.call.store(1, Relaxed);
        known.caller.store(0x7000_0000_1234 + at as u64 * 0x10_0000, Relaxed);
        known.first_ns.store(began_ns, Relaxed);
        known.turns.store(CALLS / 64, Relaxed);
        known.longest_ns.store(5_000_000_000 + at as u64, Relaxed);
        known.classes.iter().for_each(|count| count.store(100_000, Relaxed));
        known.lag_shift.store(35, Relaxed);
        known.lags_us.iter().enumerate().for_each(|(part, lag)| lag.store(4_000_000 + part as u32, Relaxed));
        write(&known.name, "an-event-loop-1");
    }
    for (at, site) in recording.sites.iter().enumerate() {
        site.key.store(at as u64 + 1, Relaxed);
        site.caller.store(0x7000_0000_0000 + (at % format::MODULES) as u64 * 0x10_0000 + 0x2000 + at as u64, Relaxed);
        site.count.store(CALLS / 8192, Relaxed);
        site.calls.store(if at == 0 { CALLS } else { 0 }, Relaxed);
        site.total_ns.store(HOUR_NS / 64, Relaxed);
        site.worst_ns.store(19_000_000, Relaxed);
        write(&site.name, "clock_nanosleep");
    }
    for (at, finding) in recording.findings.iter().enumerate() {
        finding.key.store(at as u64 + 1, Relaxed);
        finding.count.store(CALLS / 512, Relaxed);
        finding.slices.store(CALLS / 512, Relaxed);
        finding.total_ns.store(HOUR_NS, Relaxed);
        finding.threads.store(u32::MAX, Relaxed);
        finding.held.store(u32::from(at.is_multiple_of(3)), Relaxed);
        finding.classes.iter().for_each(|count| count.store(100_000, Relaxed));
        fill_long(&finding.worst, at, began_ns);
    }
    recording.ring.iter().enumerate().for_each(|(at, long)| fill_long(long, at, began_ns));
    // SAFETY: as many bytes of the room, which nothing else uses.
    fs::write(path, unsafe { std::slice::from_raw_parts(place, bytes) }).expect("a file");
}

/// The identities of a report's findings, those that were left out too.
fn identities(report: &Value) -> BTreeSet<&str> {
    let told = report["findings"].as_array().expect("a list").iter().map(|finding| &finding["id"]);
    let others = report["left_out"]["identities"].as_array().expect("a list");
    told.chain(others).map(|id| id.as_str().expect("text")).collect()
}

#[test]
fn a_report_has_at_most_200_kib_and_tells_what_it_leaves_out() {
    let scratch = Scratch::new();
    full(&scratch.path("full"));
    let text = stdout(&report(&scratch, &["full", "--format", "json", "-o", "/dev/stdout"]));
    assert!(text.len() <= MOST_BYTES && text.len() > MOST_BYTES / 2, "{} bytes", text.len());
    let whole: Value = serde_json::from_str(&text).expect("JSON");
    let (told, left_out) = (whole["findings"].as_array().expect("a list").len(), &whole["left_out"]);
    assert!(told > 0 && whole["calls"] == CALLS, "{left_out:#}");
    let all = told + left_out["findings"].as_u64().expect("a number") as usize;
    assert_eq!((all, identities(&whole).len()), (format::FINDINGS, format::FINDINGS), "{told} {left_out:#}");
    let first = &whole["findings"][0];
    let native = first["native_stack"].as_array().expect("a list").len() as u64;
    assert!(native > 0 && native + first["native_left_out"].as_u64().expect("a number") == 32, "{first:#}");
    assert!(whole["unseen"].to_string().contains("for which a report has no room"), "{:#}", whole["unseen"]);
    // The gravest stay.
    let held = whole["findings"].as_array().expect("a list").iter().all(|finding| finding["verdict"] == "HOLDS_GIL");
    assert!(held || told >= format::FINDINGS / 3, "{told}");

    fs::write(scratch.path("saved.json"), &text).expect("a file");
    let again = stdout(&report(&scratch, &["saved.json", "--format", "json"]));
    assert_eq!(serde_json::from_str::<Value>(&again).expect("JSON"), whole);
    // A baseline knows what has no room in it.
    let known = stdout(&report(&scratch, &["full", "--format", "json", "--baseline", "saved.json"]));
    let known: Value = serde_json::from_str(&known).expect("JSON");
    assert!(known["findings"].as_array().expect("a list").iter().all(|finding| finding["state"] == "known"));
    let github = report(&scratch, &["full", "--format", "github", "--baseline", "saved.json"]);
    assert_eq!((github.status.code(), github.stdout.len()), (Some(0), 0));
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit.schema.json");
    if !is_read(&scratch, "json", &[&scratch.path("saved.json"), &schema]) {
        skip("json has no reader: python3-jsonschema is missing");
    }
}
