//! Reports in JSON, read: what `output::json` wrote, as a report again.
//!
//! It has no single calls, so nothing along the time can be set of it. A field that is missing, or is of another kind, is as if nothing
//! were known of it: only the form's name and the findings must be there.

use std::fs;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::findings::{Finding, Green, Judged, Lags, LeftOut, Looping, Report};
use super::open::{End, Open};
use super::output::SCHEMA;
use super::recording::{Holder, Long, WaitsFor};
use super::state::State;
use super::symbols::{Library, Place};
use super::verdicts::VERDICTS;
use crate::failure::{Failure, FAILED};
use crate::shared::audit_format::{keeps, kind, NO_TIMEOUT, UNKNOWN_TIMEOUT};
use crate::words::shown;

/// The most bytes that a recording or a report may have: neither has a hundredth of it.
const MOST: u64 = 1 << 30;

fn failed(sentence: String) -> Failure {
    Failure(FAILED, sentence)
}

/// Asks whether a file may be read to its end. Fails with a sentence: it is a FIFO or a device, which may have none, or far too large.
pub fn may_be_read(file: &Path) -> Result<(), Failure> {
    let name = shown(file);
    let known = fs::metadata(file).map_err(|error| failed(format!("{name}: {error}.")))?;
    if known.is_file() && known.len() <= MOST {
        return Ok(());
    }
    let why = if known.is_file() { "is far too large to be a recording or a report" } else { "is no file" };
    Err(failed(format!("{name} {why}: name recordings (`greenpatch audit --keep FOLDER`), or a report in JSON.")))
}

/// Returns the first byte of a file that is no space; `None`: there is none among the first few.
fn first_byte(file: &Path) -> Option<u8> {
    let mut first = [0; 64];
    may_be_read(file).ok()?;
    let count = fs::File::open(file).ok()?.read(&mut first).ok()?;
    first[..count].iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

/// Is this file JSON by its begin? A recording begins otherwise.
pub fn is_report(file: &Path) -> bool {
    first_byte(file) == Some(b'{')
}

/// May this file lie in a folder of recordings and be none: a report in JSON, or one that is about to be written?
pub fn is_beside(file: &Path) -> bool {
    let is_hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    is_hidden || is_report(file) || fs::metadata(file).is_ok_and(|known| known.is_file() && known.len() == 0)
}

/// Reads a report in JSON, as it is. Fails with a sentence: it is none, or one of another form.
pub fn value(file: &Path) -> Result<Value, Failure> {
    let name = shown(file);
    may_be_read(file)?;
    let bytes = fs::read(file).map_err(|error| failed(format!("{name}: {error}.")))?;
    let report: Value = serde_json::from_slice(&bytes).map_err(|error| {
        failed(if is_report(file) && error.is_eof() {
            format!("{name} is cut off: it begins as JSON does, and does not end so. Write the report again.")
        } else {
            format!("{name} is no report in JSON: `greenpatch audit -o FILE` writes one.")
        })
    })?;
    let of_ours = SCHEMA.rsplit_once('/').map_or("", |(form, _)| form);
    match report["schema"].as_str() {
        Some(SCHEMA) if report["findings"].is_array() => Ok(report),
        Some(other) if other != SCHEMA && other.rsplit_once('/').is_some_and(|(form, _)| form == of_ours) => {
            Err(failed(format!(
                "{name} has the form {other}, and this greenpatch ({}) reads {SCHEMA}: read it with the greenpatch that made it.",
                env!("CARGO_PKG_VERSION")
            )))
        }
        Some(other) if other != SCHEMA => Err(failed(format!("{name} has the form {other}, not {SCHEMA}."))),
        _ => Err(failed(format!("{name} is no report of greenpatch's: `greenpatch audit -o FILE` writes one."))),
    }
}

/// Reads a report in JSON, as a report.
pub fn report(file: &Path) -> Result<Report, Failure> {
    value(file).map(|value| of(&value))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> f64 {
    value.as_f64().filter(|number| number.is_finite() && *number >= 0.0).unwrap_or(0.0)
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn small<T: TryFrom<u64> + Default>(value: &Value) -> T {
    T::try_from(count(value)).unwrap_or_default()
}

fn ns(value: &Value) -> u64 {
    (number(value) * 1e9).round() as u64
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Finds a word among those that are known; else the last of them.
fn word(value: &Value, known: &'static [&'static str]) -> &'static str {
    let all = known.iter().copied();
    all.clone().find(|word| value.as_str() == Some(word)).or(all.last()).unwrap_or("")
}

fn of(value: &Value) -> Report {
    let findings: Vec<Finding> = list(&value["findings"]).iter().map(finding).collect();
    Report {
        program: text(&value["program"]),
        command: text(&value["command"]),
        duration_s: number(&value["duration_s"]),
        threshold_s: number(&value["threshold_s"]),
        processes: small(&value["processes"]),
        calls: count(&value["calls"]),
        green: value["green"].is_object().then(|| Green {
            hand_overs: count(&value["green"]["hand_overs"]),
            parks: count(&value["green"]["parks"]),
            parked_s: number(&value["green"]["parked_s"]),
        }),
        no_cpu: count(&value["no_processor"]["calls"]),
        no_cpu_s: number(&value["no_processor"]["total_s"]),
        libraries: list(&value["libraries"]).iter().map(judged).collect(),
        loops: list(&value["loops"]).iter().map(looping).collect(),
        open: list(&value["open"]).iter().map(open).collect(),
        unseen: list(&value["unseen"]).iter().map(text).collect(),
        left_out: LeftOut {
            findings: count(&value["left_out"]["findings"]),
            identities: list(&value["left_out"]["identities"]).iter().map(text).collect(),
            libraries: count(&value["left_out"]["libraries"]),
            loops: count(&value["left_out"]["loops"]),
            series: count(&value["left_out"]["series"]),
        },
        began_ns: 0,
        began_real_ns: (number(&value["began_unix_s"]) * 1e6).round() as u64 * 1_000,
        latest: None,
        long_calls: findings.iter().map(|finding| finding.count).sum(),
        findings,
    }
}

fn library(value: &Value) -> Library {
    Library {
        soname: text(&value["soname"]),
        path: text(&value["path"]),
        build_id: text(&value["build_id"]),
        package: value["package"].as_str().map(str::to_owned),
    }
}

fn judged(value: &Value) -> Judged {
    Judged {
        library: library(value),
        verdict: word(&value["verdict"], &VERDICTS),
        calls: count(&value["calls"]),
        total_s: number(&value["total_s"]),
        worst_s: number(&value["worst_s"]),
        // One a library, and the command ends soon.
        advice: value["advice"].as_str().map(|advice| &*advice.to_owned().leak()),
    }
}

fn looping(value: &Value) -> Looping {
    let series = &value["lag_series"];
    Looping {
        process: small(&value["process"]),
        thread: small(&value["thread"]),
        name: text(&value["name"]),
        kind: text(&value["kind"]),
        turns: count(&value["turns"]),
        p50_s: number(&value["lag_p50_s"]),
        p99_s: number(&value["lag_p99_s"]),
        longest_s: number(&value["lag_max_s"]),
        blocked_s: number(&value["blocked_s"]),
        computing_s: number(&value["computing_s"]),
        no_cpu_s: number(&value["no_cpu_s"]),
        lags: Lags {
            from_s: number(&series["from_s"]),
            part_s: number(&series["part_s"]),
            worst_us: list(&series["worst_us"]).iter().map(small).collect(),
        },
    }
}

fn finding(value: &Value) -> Finding {
    let native = list(&value["native_stack"]);
    let python = |frame: &Value| (text(&frame["file"]), small(&frame["line"]), text(&frame["function"]));
    let fd = &value["fd"];
    let holder = &value["holder"];
    let holder_frames = || list(&holder["native_stack"]).iter();
    let state = match value["state"].as_str() {
        Some("known") => State::Known,
        Some("suppressed") => State::Suppressed(text(&value["suppressed_because"])),
        _ => State::New,
    };
    Finding {
        verdict: word(&value["verdict"], &VERDICTS),
        call: text(&value["call"]),
        library: library(&value["library"]),
        count: count(&value["count"]),
        total_s: number(&value["total_s"]),
        no_cpu_s: number(&value["no_cpu_s"]),
        worst_s: number(&value["worst_s"]),
        p50_s: number(&value["p50_s"]),
        p99_s: number(&value["p99_s"]),
        slices: count(&value["slices"]),
        held: small(&value["gil_held"]),
        released: small(&value["gil_released"]),
        reacquire_worst_s: number(&value["gil_reacquire_s"]),
        kept_worker: value["kept_worker"].as_bool(),
        hand_overs: small(&value["hand_overs"]),
        threads: small(&value["threads"]),
        stack: native.iter().map(|frame| place(frame, &value["library"])).collect(),
        holder_stack: holder_frames().map(|frame| place(frame, &value["library"])).collect(),
        process: small(&value["process"]),
        id: text(&value["id"]),
        state,
        classes: Vec::new(),
        left_out: [count(&value["native_left_out"]), count(&value["python_left_out"])],
        worst: Long {
            call: 0,
            name: text(&value["call"]),
            thread: small(&value["thread"]["tid"]),
            thread_name: text(&value["thread"]["name"]),
            ended_ns: 0,
            duration_ns: ns(&value["worst_s"]),
            no_cpu_ns: ns(&value["worst_no_cpu_s"]),
            slices: small(&value["worst_slices"]),
            timeout_ns: match value["timeout_s"].as_f64() {
                Some(_) => ns(&value["timeout_s"]) as i64,
                None if value["may_wait_for_ever"] == true => NO_TIMEOUT,
                None => UNKNOWN_TIMEOUT,
            },
            result: value["result"].as_i64().unwrap_or(0),
            errno: small(&value["errno"]),
            fd: fd["number"].as_i64().and_then(|number| i32::try_from(number).ok()).unwrap_or(-1),
            fd_kind: kind::NAMES.iter().copied().find(|name| fd["kind"] == *name).unwrap_or(kind::NAMES[0]),
            gil: word(&value["gil"], &["released", "held", "none"]),
            keeps: match (value["kept_worker"].as_bool(), value["gil"].as_str()) {
                (Some(true), _) => keeps::WORKER,
                (Some(false), Some("held")) => keeps::NONE,
                _ => keeps::OWN,
            },
            local: text(&fd["local"]),
            peer: text(&fd["peer"]),
            path: text(&fd["path"]),
            frames: native.iter().map(|frame| count(&frame["address"])).collect(),
            python: list(&value["python_stack"]).iter().map(python).collect(),
            holder: holder.is_object().then(|| Holder {
                thread: small(&holder["tid"]),
                name: text(&holder["name"]),
                frames: holder_frames().map(|frame| count(&frame["address"])).collect(),
            }),
        },
    }
}

/// Reads a call that is not over. What it shares with a finding stands in it by the same names.
fn open(value: &Value) -> Open {
    let Finding { verdict, library, worst, stack, process, id, .. } = finding(value);
    let waits = &value["waits_for"];
    Open {
        process,
        end: match (&value["process_ended"], &value["in_order"]) {
            (Value::Bool(true), Value::Bool(true)) => End::InOrder,
            (Value::Bool(true), _) => End::Otherwise,
            _ => End::Lives,
        },
        verdict,
        library,
        for_s: number(&value["for_s"]),
        long: worst,
        stack,
        seen: value["seen"] == true,
        waits_for: waits.is_object().then(|| WaitsFor {
            kind: word(&waits["kind"], &["mutex", "rwlock", "thread"]),
            address: count(&waits["address"]),
            thread: small(&waits["thread"]),
        }),
        deadlock: value["deadlock"].as_u64().map(|number| number as usize),
        is_loops: false,
        id,
        state: State::New,
    }
}

/// Reads a frame. Of the objects only the finding's library has a build id in JSON.
fn place(frame: &Value, library: &Value) -> Option<Place> {
    let is_librarys = frame["path"] == library["path"];
    Some(Place {
        soname: frame["soname"].as_str()?.to_owned(),
        path: text(&frame["path"]),
        build_id: if is_librarys { text(&library["build_id"]) } else { String::new() },
        address: 0,
        function: text(&frame["function"]),
        offset: count(&frame["offset"]),
        exported: false,
    })
}
