//! The same program twice, natively and green, in one table: what blocked, and what became of it.
//!
//! ```text
//!   natively            green                                   verdict
//!   waited              parked, and kept no worker              COOPERATIVE
//!   waited              kept a worker: it could not park        WAITS
//!   was not seen        kept a worker where no hook is          HIDDEN
//! ```
//!
//! A row is a call from a function of a library: natively the sums of all its waits, green how many of them parked and what was kept.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{json, Value};

use super::phrases::duration;
use super::recording::Recorded;
use super::symbols::{Place, Symbols};
use super::verdicts::{called, keeps_worker, library_of};
use crate::shared::audit_format::keeps;

/// The form of the JSON.
const SCHEMA: &str = "greenpatch.beside/1";
const NS: f64 = 1e9;

/// What is summed of a row.
#[derive(Default)]
struct Sums {
    natively: u64,
    natively_s: f64,
    natively_worst_s: f64,
    parks: u64,
    parked_s: f64,
    parked_worst_s: f64,
    kept: u64,
    kept_s: f64,
    kept_worst_s: f64,
    hand_overs: u64,
    is_hidden: bool,
}

/// A row's library, call and function.
type Key = (String, String, String);

fn key(call: &str, place: Option<&Place>) -> Key {
    let library = place.map_or(String::new(), |place| place.soname.clone());
    let function = place.map_or(String::new(), |place| match place.function.as_str() {
        "" => format!("{:#x}", place.offset),
        name => name.to_owned(),
    });
    (library, call.to_owned(), function)
}

/// Sums both runs up, by row.
fn rows(native: &[Recorded], green: &[Recorded]) -> BTreeMap<Key, Sums> {
    let mut symbols = Symbols::default();
    let mut rows: BTreeMap<Key, Sums> = BTreeMap::new();
    for recorded in native {
        for site in &recorded.sites {
            let row = rows.entry(key(&site.name, symbols.place(recorded, site.caller, true).as_ref())).or_default();
            row.natively += site.count;
            row.natively_s += site.total_ns as f64 / NS;
            row.natively_worst_s = row.natively_worst_s.max(site.worst_ns as f64 / NS);
        }
    }
    for recorded in green {
        for site in &recorded.sites {
            let row = rows.entry(key(&site.name, symbols.place(recorded, site.caller, true).as_ref())).or_default();
            row.parks += site.parks;
            row.parked_s += site.parked_ns as f64 / NS;
            row.parked_worst_s = row.parked_worst_s.max(site.parked_worst_ns as f64 / NS);
        }
        for finding in recorded.findings.iter().filter(|finding| keeps_worker(&finding.worst)) {
            let stack: Vec<_> =
                finding.worst.frames.iter().map(|frame| symbols.place(recorded, *frame, true)).collect();
            let row = rows.entry(key(&called(&finding.worst), library_of(&stack))).or_default();
            row.kept += finding.count;
            row.kept_s += finding.total_ns as f64 / NS;
            row.kept_worst_s = row.kept_worst_s.max(finding.worst.duration_ns as f64 / NS);
            row.hand_overs += u64::from(finding.hand_overs);
            row.is_hidden |= finding.worst.keeps != keeps::WORKER;
        }
    }
    rows
}

/// Tells a run's length: from its first process's begin to what was recorded last.
fn lasted_s(recordings: &[Recorded]) -> f64 {
    let begun = recordings.iter().map(|recorded| recorded.began_ns).min().unwrap_or(0);
    let over = recordings.iter().map(|recorded| recorded.last_ns).max().unwrap_or(0);
    over.saturating_sub(begun) as f64 / NS
}

/// Sets a native run beside a green one, in JSON: the rows that waited for the threshold or longer in either, the longest waits first.
pub fn json(native: &[Recorded], green: &[Recorded]) -> Value {
    let threshold_s = native.iter().chain(green).map(|recorded| recorded.threshold_ns).min().unwrap_or(0) as f64 / NS;
    let mut rows: Vec<(Key, Sums)> = rows(native, green).into_iter().collect();
    let longest = |sums: &Sums| sums.natively_worst_s.max(sums.parked_worst_s);
    rows.retain(|(_, sums)| longest(sums) >= threshold_s || sums.kept > 0);
    let first = |sums: &Sums| sums.natively_s.max(sums.parked_s).max(sums.kept_s);
    rows.sort_by(|(_, one), (_, other)| first(other).total_cmp(&first(one)));
    let calls = rows.iter().map(|((library, call, function), sums)| {
        let verdict = match sums {
            Sums { is_hidden: true, .. } => "HIDDEN",
            Sums { kept: 0, parks: 1.., .. } => "COOPERATIVE",
            _ => "WAITS",
        };
        json!({
            "library": library, "call": call, "function": function, "verdict": verdict,
            "native": { "count": sums.natively, "total_s": sums.natively_s, "worst_s": sums.natively_worst_s },
            "green": {
                "parks": sums.parks, "parked_s": sums.parked_s, "parked_worst_s": sums.parked_worst_s,
                "kept_worker": sums.kept, "kept_s": sums.kept_s, "kept_worst_s": sums.kept_worst_s,
                "hand_overs": sums.hand_overs,
            },
        })
    });
    json!({
        "schema": SCHEMA,
        "version": env!("CARGO_PKG_VERSION"),
        "command": green.first().map_or("", |recorded| recorded.command.as_str()),
        "threshold_s": threshold_s,
        "native_s": lasted_s(native),
        "green_s": lasted_s(green),
        "hand_overs": green.iter().map(|recorded| recorded.hand_overs).sum::<u64>(),
        "calls": calls.collect::<Value>(),
    })
}

/// Sets the table in words.
pub fn text(table: &Value) -> String {
    let seconds = |value: &Value| value.as_f64().unwrap_or(0.0);
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let word = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let lines: Vec<[String; 3]> = table["calls"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            let (native, green) = (&row["native"], &row["green"]);
            let library = word(&row["library"]);
            let place =
                if library.is_empty() { String::new() } else { format!(" {library}:{}", word(&row["function"])) };
            let natively = match count(&native["count"]) {
                0 => "not seen".to_owned(),
                1 => duration(seconds(&native["total_s"])),
                times => format!(
                    "{}, ×{times}, the longest {}",
                    duration(seconds(&native["total_s"])),
                    duration(seconds(&native["worst_s"]))
                ),
            };
            let (parks, kept) = (count(&green["parks"]), count(&green["kept_worker"]));
            let mut said = Vec::new();
            if parks > 0 {
                let longest = duration(seconds(&green["parked_worst_s"]));
                said.push(if parks == 1 {
                    format!("parked {longest}")
                } else {
                    format!("parked ×{parks}, the longest {longest}")
                });
            }
            if kept > 0 {
                let times = if kept == 1 { String::new() } else { format!(" ×{kept}") };
                let kept = duration(seconds(&green["kept_s"]));
                said.push(format!("kept a worker {kept}{times}, {} handed over", count(&green["hand_overs"])));
            }
            if said.is_empty() {
                said.push("did not wait".to_owned());
            }
            [word(&row["call"]) + &place, natively, said.join("; ")]
        })
        .collect();
    let mut text = String::new();
    let _ = writeln!(
        text,
        "greenpatch audit: {}: natively ({}) beside green ({}, {} handed over)",
        word(&table["command"]),
        duration(seconds(&table["native_s"])),
        duration(seconds(&table["green_s"])),
        count(&table["hand_overs"])
    );
    if lines.is_empty() {
        let _ =
            writeln!(text, "  Nothing waited for {} or longer in either.", duration(seconds(&table["threshold_s"])));
        return text;
    }
    let heads = ["call", "natively blocked", "green"].map(str::to_owned);
    let width =
        |column: usize| lines.iter().chain([&heads]).map(|line| line[column].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    for [call, native, green] in [&heads].into_iter().chain(&lines) {
        let _ = writeln!(text, "  {call:first$}  {native:second$}  {green}");
    }
    text
}
