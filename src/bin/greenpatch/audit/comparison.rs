//! Two reports beside each other: what is new, what is gone, what has become slower.
//!
//! Findings are the same by their identity. Slower is one whose calls take more than a quarter longer than they did, on average.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{json, Value};

use super::phrases::duration;

/// The form of the JSON.
const SCHEMA: &str = "greenpatch.comparison/1";
/// How many times as long slower calls take.
const SLOWER: f64 = 1.25;

/// A finding, as far as it is compared.
struct Known {
    /// Verdict, call and library.
    name: String,
    count: f64,
    total_s: f64,
}

impl Known {
    fn mean_s(&self) -> f64 {
        self.total_s / self.count.max(1.0)
    }
}

/// Finds a report's findings (in JSON) by identity; several of one identity are one.
fn by_identity(report: &Value) -> BTreeMap<String, Known> {
    let mut all: BTreeMap<String, Known> = BTreeMap::new();
    for finding in report["findings"].as_array().into_iter().flatten() {
        let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        let (verdict, call) = (word(&finding["verdict"]), word(&finding["call"]));
        let name = format!("{verdict} {call} in {}", word(&finding["library"]["soname"]));
        let known = all.entry(word(&finding["id"])).or_insert(Known { name, count: 0.0, total_s: 0.0 });
        known.count += finding["count"].as_f64().unwrap_or(0.0);
        known.total_s += finding["total_s"].as_f64().unwrap_or(0.0);
    }
    all
}

/// Compares two reports in JSON, the later one and the one before. Returns the comparison in JSON.
pub fn json(later: &Value, before: &Value) -> Value {
    let (later, before) = (by_identity(later), by_identity(before));
    let only = |these: &BTreeMap<String, Known>, others: &BTreeMap<String, Known>| {
        let missing = these.iter().filter(|(id, _)| !others.contains_key(*id));
        missing.map(|(id, known)| json!({ "id": id, "name": known.name, "mean_s": known.mean_s() })).collect::<Value>()
    };
    let slower = later.iter().filter_map(|(id, known)| {
        let then = before.get(id)?.mean_s();
        let now = known.mean_s();
        (now > then * SLOWER).then(|| json!({ "id": id, "name": known.name, "mean_s": now, "before_s": then }))
    });
    json!({
        "schema": SCHEMA, "new": only(&later, &before), "gone": only(&before, &later), "slower": slower.collect::<Value>(),
    })
}

/// Sets a comparison in words.
pub fn text(comparison: &Value) -> String {
    let mut text = String::new();
    for word in ["new", "gone", "slower"] {
        for entry in comparison[word].as_array().into_iter().flatten() {
            let name = |field: &str| entry[field].as_str().unwrap_or("?");
            let then = entry["before_s"].as_f64().map_or(String::new(), |then| format!(", before {}", duration(then)));
            let mean = duration(entry["mean_s"].as_f64().unwrap_or(0.0));
            let _ = writeln!(text, "{word}: {} {mean}{then} [{}]", name("name"), name("id"));
        }
    }
    if text.is_empty() {
        text += "nothing is new, gone or slower\n";
    }
    text
}
