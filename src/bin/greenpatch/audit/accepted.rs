//! Findings that are known or accepted: a baseline, and suppressions.
//!
//! A baseline is a report in JSON: what it has, by identity, is known. Suppressions are lines:
//!
//! ```text
//!   # WHAT            UNTIL       REASON
//!   205bcc9adcebd20d  2027-03-31  psycopg 3 comes with the next release
//!   libpq.so.*/poll   2027-03-31  the same, at any line
//! ```
//!
//! WHAT is a finding's identity, or LIBRARY/CALL, in which `*` stands for any text and `?` for any character. A line holds through the day
//! of its date (UTC). A line that has expired, or that fits nothing, is warned of.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use super::findings::Report;
use super::saved;
use super::state::State;
use super::symbols::Library;
use crate::failure::{Failure, FAILED};
use crate::words::shown;

/// Where to read what is known and what is accepted.
#[derive(clap::Args)]
pub struct Arguments {
    /// What this report (JSON) has is known, and not new
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// What these lines name is accepted: WHAT YYYY-MM-DD REASON
    #[arg(long, value_name = "FILE")]
    suppressions: Option<PathBuf>,
}

/// What is known and what is accepted.
pub struct Accepted {
    known: BTreeSet<String>,
    rules: Vec<Rule>,
}

/// A line of the suppressions.
struct Rule {
    /// The file and the line, for sentences.
    place: String,
    what: What,
    until: Date,
    reason: String,
}

enum What {
    Identity(String),
    /// Patterns of a library's name and of a call's.
    Call(String, String),
}

/// Year, month, day.
type Date = (i32, u32, u32);

fn failed(sentence: String) -> Failure {
    Failure(FAILED, sentence)
}

/// Reads what is known and what is accepted. Fails with a sentence that names the file and the line.
pub fn read(arguments: &Arguments) -> Result<Accepted, Failure> {
    let mut known = BTreeSet::new();
    if let Some(file) = &arguments.baseline {
        let report = saved::value(file)?;
        let findings = ["findings", "open"].into_iter().flat_map(|list| report[list].as_array().into_iter().flatten());
        let findings = findings.map(|finding| &finding["id"]);
        let others = report["left_out"]["identities"].as_array().into_iter().flatten();
        known.extend(findings.chain(others).filter_map(|id| id.as_str().map(str::to_owned)));
    }
    let mut rules = Vec::new();
    if let Some(file) = &arguments.suppressions {
        let name = shown(file);
        let text = fs::read_to_string(file).map_err(|error| failed(format!("{name}: {error}.")))?;
        for (number, line) in text.lines().enumerate() {
            if !line.trim().is_empty() && !line.trim().starts_with('#') {
                let place = format!("{name}:{}", number + 1);
                rules.push(rule(&place, line).map_err(|why| failed(format!("{place}: {why}.")))?);
            }
        }
    }
    Ok(Accepted { known, rules })
}

/// Reads a line. Fails with a clause.
fn rule(place: &str, line: &str) -> Result<Rule, String> {
    let mut words = line.split_whitespace();
    let what = words.next().unwrap_or_default();
    let is_identity = what.len() == 16 && what.bytes().all(|byte| byte.is_ascii_hexdigit());
    let what = match what.rsplit_once('/') {
        Some((library, call)) => What::Call(library.to_owned(), call.to_owned()),
        None if is_identity => What::Identity(what.to_ascii_lowercase()),
        None => return Err(format!("`{what}` is neither a finding's identity nor LIBRARY/CALL")),
    };
    let until = words.next().ok_or("the date is missing: WHAT YYYY-MM-DD REASON")?;
    let until = date(until).ok_or_else(|| format!("`{until}` is no date: YYYY-MM-DD"))?;
    let reason = words.collect::<Vec<_>>().join(" ");
    if reason.is_empty() {
        return Err("the reason is missing: WHAT YYYY-MM-DD REASON".to_owned());
    }
    Ok(Rule { place: place.to_owned(), what, until, reason })
}

/// Reads a date.
fn date(text: &str) -> Option<Date> {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = text.split('-').filter(|part| digits(part)).collect();
    let [year, month, day] = parts[..] else { return None };
    if [year.len(), month.len(), day.len()] != [4, 2, 2] || text.len() != 10 {
        return None;
    }
    let (year, month, day): (i32, u32, u32) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (1..=days).contains(&day).then_some((year, month, day))
}

/// Returns today's date, UTC.
fn today() -> Date {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()) as libc::time_t;
    // SAFETY: all zero is a value of this structure.
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: reads the one and fills the other.
    unsafe { libc::gmtime_r(&seconds, &mut parts) };
    (parts.tm_year + 1900, parts.tm_mon as u32 + 1, parts.tm_mday as u32)
}

/// Does a text fit a pattern with `*` and `?`?
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.first(), text.first()) {
        (None, None) => true,
        (Some(b'*'), _) => fits(&pattern[1..], text) || (!text.is_empty() && fits(pattern, &text[1..])),
        (Some(b'?'), Some(_)) => fits(&pattern[1..], &text[1..]),
        (Some(one), Some(other)) if one == other => fits(&pattern[1..], &text[1..]),
        _ => false,
    }
}

impl Rule {
    /// Does it name the finding, or the call that is not over, of this identity, library and call?
    fn names(&self, identity: &str, library: &Library, name: &str) -> bool {
        match &self.what {
            What::Identity(id) => identity == *id,
            What::Call(soname, call) => {
                fits(soname.as_bytes(), library.soname.as_bytes()) && fits(call.as_bytes(), name.as_bytes())
            }
        }
    }
}

impl Accepted {
    /// Marks what is known and what is accepted. Returns warnings, a sentence each.
    pub fn mark(&self, report: &mut Report) -> Vec<String> {
        let mut warnings = Vec::new();
        let open = report.open.iter_mut().map(|open| (&open.id, &mut open.state));
        for (id, state) in report.findings.iter_mut().map(|finding| (&finding.id, &mut finding.state)).chain(open) {
            if self.known.contains(id) {
                *state = State::Known;
            }
        }
        let today = today();
        for rule in &self.rules {
            let Rule { place, until: (year, month, day), reason, .. } = rule;
            if rule.until < today {
                warnings.push(format!(
                    "{place}: expired on {year:04}-{month:02}-{day:02}, and suppresses no more: {reason}."
                ));
                continue;
            }
            let all = report.findings.iter_mut();
            let open = report.open.iter_mut();
            let mut named = all
                .filter(|finding| rule.names(&finding.id, &finding.library, &finding.call))
                .map(|finding| &mut finding.state)
                .chain(
                    open.filter(|open| rule.names(&open.id, &open.library, &open.long.name))
                        .map(|open| &mut open.state),
                )
                .peekable();
            if named.peek().is_none() {
                warnings.push(format!("{place}: fits no finding, and may be taken out: {reason}."));
            }
            named.for_each(|state| *state = State::Suppressed(reason.clone()));
        }
        warnings
    }
}
