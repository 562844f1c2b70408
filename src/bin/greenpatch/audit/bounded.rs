//! A report in JSON, of bounded size: what has no room is left out, the mildest first, and told as such.
//!
//! ```text
//!   step  where the report is larger than MOST_BYTES                         told by
//!   1     a line an entry, in place of a line a field
//!   2     libraries and loops beyond LIBRARIES and LOOPS, series beyond SERIES   left_out
//!   3     stacks of 16, 8, then 4 frames                                      native_left_out, python_left_out
//!   4     findings, but their identities, for baselines know by them          left_out, unseen
//! ```
//!
//! A recording has a fixed size, and many processes add theirs: so an hour's report is not larger than a minute's, and both fit.

use serde_json::{json, Value};

use super::findings::Report;
use super::output;

/// The most bytes that a report has.
pub const MOST_BYTES: usize = 200 << 10;

/// How many libraries and loops are told where there is no room for all, how many of the loops with their series, and how many identities
/// of findings that are left out.
const LIBRARIES: usize = 64;
const LOOPS: usize = 64;
const SERIES: usize = 32;
const IDENTITIES: usize = 2000;

/// Sets a report in JSON text of at most `MOST_BYTES`.
pub fn text(report: &Report) -> String {
    let whole = output::json(report);
    let pretty = format!("{whole:#}\n");
    if pretty.len() <= MOST_BYTES {
        return pretty;
    }
    lines(&within(whole))
}

/// Returns a report in JSON that has at most `MOST_BYTES` in lines.
pub fn json(report: &Report) -> Value {
    within(output::json(report))
}

/// Writes an object in lines: a field, or an entry of a list, a line.
fn lines(value: &Value) -> String {
    let field = |(key, value): (&String, &Value)| match value.as_array() {
        Some(list) if list.iter().any(Value::is_object) => {
            let entries: Vec<String> = list.iter().map(Value::to_string).collect();
            format!("{}: [\n{}\n]", Value::from(key.as_str()), entries.join(",\n"))
        }
        _ => format!("{}: {value}", Value::from(key.as_str())),
    };
    let fields: Vec<String> = value.as_object().into_iter().flatten().map(field).collect();
    format!("{{\n{}\n}}\n", fields.join(",\n"))
}

fn fits(value: &Value) -> bool {
    lines(value).len() <= MOST_BYTES
}

fn list<'a>(value: &'a mut Value, field: &str) -> &'a mut Vec<Value> {
    if !value[field].is_array() {
        value[field] = json!([]);
    }
    value[field].as_array_mut().expect("it was made one")
}

/// Adds to what was left out before.
fn note(value: &mut Value, field: &str, count: usize) {
    let before = value["left_out"][field].as_u64().unwrap_or(0);
    value["left_out"][field] = json!(before + count as u64);
}

fn within(mut value: Value) -> Value {
    if fits(&value) {
        return value;
    }
    let count = list(&mut value, "libraries").len().saturating_sub(LIBRARIES);
    list(&mut value, "libraries").truncate(LIBRARIES);
    note(&mut value, "libraries", count);
    let loops = list(&mut value, "loops");
    loops.sort_by(|one, other| {
        let lag = |known: &Value| known["lag_max_s"].as_f64().unwrap_or(0.0);
        lag(other).total_cmp(&lag(one))
    });
    let count = loops.len().saturating_sub(LOOPS);
    loops.truncate(LOOPS);
    let cut = loops.iter_mut().skip(SERIES).filter(|known| known["lag_series"]["worst_us"] != json!([]));
    let series = cut.map(|known| known["lag_series"]["worst_us"] = json!([])).count();
    note(&mut value, "loops", count);
    note(&mut value, "series", series);
    for frames in [16, 8, 4] {
        if fits(&value) {
            return value;
        }
        list(&mut value, "findings").iter_mut().for_each(|finding| shorten(finding, frames));
    }
    if fits(&value) {
        return value;
    }
    // The most findings that fit: none is known to, all are known not to.
    let all = std::mem::take(list(&mut value, "findings"));
    let (mut fit, mut too_many) = (0, all.len());
    while too_many - fit > 1 {
        let middle = fit.midpoint(too_many);
        if fits(&first(&value, &all, middle)) {
            fit = middle;
        } else {
            too_many = middle;
        }
    }
    first(&value, &all, fit)
}

/// Keeps the innermost frames of a finding's stacks.
fn shorten(finding: &mut Value, frames: usize) {
    for (stack, left_out) in [("native_stack", "native_left_out"), ("python_stack", "python_left_out")] {
        let count = list(finding, stack).len().saturating_sub(frames);
        list(finding, stack).truncate(frames);
        finding[left_out] = json!(finding[left_out].as_u64().unwrap_or(0) + count as u64);
    }
}

/// Returns the report with its first findings, and the identities of the others.
fn first(report: &Value, all: &[Value], count: usize) -> Value {
    let mut value = report.clone();
    let (kept, others) = all.split_at(count);
    value["findings"] = kept.into();
    let room = IDENTITIES.saturating_sub(list(&mut value["left_out"], "identities").len());
    let identities = others.iter().map(|finding| finding["id"].clone()).take(room);
    list(&mut value["left_out"], "identities").extend(identities);
    note(&mut value, "findings", others.len());
    let words =
        format!("{} findings, the mildest, for which a report has no room: `left_out` has identities", others.len());
    list(&mut value, "unseen").push(words.into());
    value
}
