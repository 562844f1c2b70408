//! What drivers showed, in words and in JSON: a line a cell, and the matrix of drivers and ways.

use serde_json::{json, Value};

use super::drivers::{Cell, Driver, Table, Ticking, Verdict, Way};
use crate::audit::Waited;

/// The form of the JSON.
pub const SCHEMA: &str = "greenpatch.drivers/1";

fn seconds(ns: u64) -> String {
    format!("{:.2} s", ns as f64 / 1e9)
}

/// Says a driver's name with the versions of what is installed for it.
pub fn title(driver: &Driver) -> String {
    let versions: Vec<String> = driver.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    if versions.is_empty() {
        return driver.name.clone();
    }
    format!("{} ({})", driver.name, versions.join(", "))
}

/// Says a call: what it is, whose, how long, and what it held.
fn call(waited: &Waited) -> String {
    let lock = match waited.gil {
        "none" => String::new(),
        gil => format!(", GIL {gil}"),
    };
    let library = if waited.library.is_empty() { String::new() } else { format!(" in {}", waited.library) };
    format!("{}{library}, {:.2} s{lock}", waited.call, waited.total_s)
}

/// Says a cell's verdict, with the call where one did not yield.
pub fn words(cell: &Cell) -> String {
    let words = cell.verdict.words();
    match (cell.verdict, &cell.waited) {
        (Verdict::NotPossible, _) => format!("{words}: {}", cell.ended),
        (Verdict::BlocksLoop | Verdict::HoldsGil | Verdict::Partly, Some(waited)) => {
            format!("{words} ({})", call(waited))
        }
        _ => words.to_owned(),
    }
}

/// Sets a cell: the verdict, and what it rests on.
pub fn line(cell: &Cell) -> String {
    let what = words(cell);
    if cell.verdict == Verdict::NotPossible {
        return what;
    }
    format!(
        "{what}; {} ticks in {}, the longest gap {}; the library's own {}, {}",
        cell.own.ticks,
        seconds(cell.wait_ns),
        seconds(cell.own.gap_ns),
        cell.control.ticks,
        seconds(cell.control.gap_ns)
    )
}

/// Says in one sentence what a driver showed.
pub fn verdict(driver: &Driver, cells: &[Cell]) -> String {
    let parts: Vec<String> = cells.iter().map(|cell| format!("{} it {}", under(cell.way), short(cell))).collect();
    format!("at a stub of a server ({}), {}: {}.", driver.tarpit, driver.name, parts.join(", "))
}

fn under(way: Way) -> String {
    match way {
        Way::Run => "green, one worker,".to_owned(),
        way => format!("under {}", way.name()),
    }
}

fn short(cell: &Cell) -> String {
    match (cell.verdict, &cell.waited) {
        (Verdict::NotPossible, _) => "cannot be asked".to_owned(),
        (Verdict::Unclear, _) => "is unclear, for the machine was too busy".to_owned(),
        (Verdict::BlocksLoop, Some(waited)) => format!("blocks the loop in {}", waited.call),
        (verdict, _) => verdict.words().to_owned(),
    }
}

fn ticking(ticking: &Ticking) -> Value {
    json!({ "ticks": ticking.ticks, "longest_gap_s": ticking.gap_ns as f64 / 1e9, "missing": ticking.missing })
}

/// Sets a cell in JSON.
fn cell(cell: &Cell) -> Value {
    let waited = cell.waited.as_ref().map(|waited| {
        json!({
            "call": waited.call, "library": waited.library, "package": waited.package, "worst_s": waited.seconds, "total_s": waited.total_s,
            "gil": waited.gil, "about": waited.about, "stack": waited.stack,
        })
    });
    json!({
        "verdict": cell.verdict.name(), "words": words(cell), "api": cell.api, "wait_s": cell.wait_ns as f64 / 1e9,
        "ticker": ticking(&cell.own), "control": ticking(&cell.control), "waited": waited, "ended": cell.ended,
    })
}

/// Sets a driver with its cells in JSON.
pub fn driver(of: &Driver, cells: &[Cell]) -> Value {
    let cells: serde_json::Map<String, Value> =
        cells.iter().map(|one| (one.way.name().to_owned(), cell(one))).collect();
    let versions: serde_json::Map<String, Value> =
        of.versions.iter().map(|(name, version)| (name.clone(), json!(version))).collect();
    json!({
        "name": of.name, "tarpit": of.tarpit, "stub": true, "install": of.install, "packages": of.packages,
        "versions": versions, "missing": of.missing, "cells": cells,
    })
}

/// Sets what was asked in JSON: which Python, which libraries, how long, how many ticks a second, whether loops lent their wait, and the
/// drivers.
pub fn json(table: &Table, (seconds, hz, bridged): (f64, u32, bool), drivers: Vec<Value>) -> Value {
    json!({
        "schema": SCHEMA, "version": env!("CARGO_PKG_VERSION"), "python": table.python, "gevent": table.gevent,
        "eventlet": table.eventlet, "greenpatch": table.package, "bridged": bridged, "seconds": seconds, "ticks_per_second": hz,
        "drivers": drivers,
    })
}
