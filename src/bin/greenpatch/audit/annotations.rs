//! Findings at source lines, for what reviews code: SARIF, GitHub's annotations, GitLab's code quality.
//!
//! A finding's line is that of the innermost Python frame in a file below the current folder, packages aside; where there is none, of the
//! innermost frame in any file. Findings of one identity, of several processes, are one here: the longest.

use std::env;
use std::path::{Component, Path};

use serde_json::{json, Value};

use super::findings::{Finding, Report};
use super::mends;
use super::output::{meaning, sentence};
use super::state::State;

/// A place in a source file.
struct Source {
    /// A path below the current folder, or from the root.
    file: String,
    line: u32,
}

/// Returns where a finding stands in the source; `None`: in no Python file.
fn source(finding: &Finding) -> Option<Source> {
    let here = env::current_dir().unwrap_or_default();
    let sources: Vec<_> = finding
        .worst
        .python
        .iter()
        .filter(|(file, line, _)| !file.starts_with('<') && !file.is_empty() && *line > 0)
        .map(|(file, line, _)| {
            let path = Path::new(file);
            let below = path.strip_prefix(&here).unwrap_or(path);
            Source { file: below.display().to_string(), line: *line }
        })
        .collect();
    let is_own = |source: &Source| {
        let path = Path::new(&source.file);
        let installed = |part: Component| part.as_os_str() == "site-packages" || part.as_os_str() == "dist-packages";
        path.is_relative() && !path.components().any(installed)
    };
    let at = sources.iter().position(is_own).unwrap_or(0);
    sources.into_iter().nth(at)
}

/// How grave a verdict is.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Error,
    Warning,
    /// No fault by itself.
    Note,
}

fn level(verdict: &str) -> Level {
    match verdict {
        "HOLDS_GIL" | "BLOCKS_LOOP" => Level::Error,
        "BUSY_POLLS" => Level::Warning,
        _ => Level::Note,
    }
}

/// Is a finding with this verdict a fault: does it keep others waiting?
pub fn is_fault(verdict: &str) -> bool {
    level(verdict) == Level::Error
}

/// Returns the findings, of each identity the longest, in their order.
pub fn unique(report: &Report) -> Vec<&Finding> {
    let longest = |finding: &&Finding| {
        let others = report.findings.iter().filter(|other| other.id == finding.id);
        let worst = others.max_by(|one, other| one.worst_s.total_cmp(&other.worst_s));
        worst.is_some_and(|worst| std::ptr::eq(worst, *finding))
    };
    report.findings.iter().filter(longest).collect()
}

/// Says a finding in a paragraph.
pub fn message(finding: &Finding) -> String {
    let package = finding.library.package.as_ref().map_or(String::new(), |package| format!(" ({package})"));
    let name = if finding.library.soname.is_empty() { "(unknown)" } else { &finding.library.soname };
    let advice = match level(finding.verdict) {
        Level::Note => String::new(),
        _ => format!(" What to do: {}.", mends::of(&finding.library.soname).unwrap_or(mends::ANY)),
    };
    format!("{name}{package} {}: {}.{advice}", meaning(finding.verdict), sentence(finding))
}

/// Sets the findings that have a source line in SARIF 2.1.0.
pub fn sarif(report: &Report) -> Value {
    let mut rules: Vec<&str> = Vec::new();
    let mut results = Vec::new();
    let has_known = report.findings.iter().any(|finding| finding.state == State::Known);
    for finding in unique(report) {
        let Some(source) = source(finding) else { continue };
        let rule = rules.iter().position(|known| *known == finding.verdict).unwrap_or_else(|| {
            rules.push(finding.verdict);
            rules.len() - 1
        });
        let mut result = json!({
            "ruleId": finding.verdict,
            "ruleIndex": rule,
            "level": match level(finding.verdict) { Level::Error => "error", Level::Warning => "warning", Level::Note => "note" },
            "message": { "text": message(finding) },
            "locations": [{ "physicalLocation": {
                "artifactLocation": { "uri": uri(&source.file) }, "region": { "startLine": source.line },
            } }],
            "partialFingerprints": { "greenpatch/v1": finding.id },
        });
        // Where one result has it, all must.
        if has_known {
            result["baselineState"] = json!(if finding.state == State::Known { "unchanged" } else { "new" });
        }
        if let State::Suppressed(reason) = &finding.state {
            result["suppressions"] = json!([{ "kind": "external", "justification": reason }]);
        }
        results.push(result);
    }
    let rules: Vec<_> = rules
        .into_iter()
        .map(|verdict| json!({ "id": verdict, "shortDescription": { "text": format!("The call {}.", meaning(verdict)) } }))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "greenpatch", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "results": results,
        }],
    })
}

/// Writes a path as a URI's (RFC 3986): a relative one stays relative.
fn uri(file: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let path: String =
        file.bytes().map(|byte| if plain(byte) { char::from(byte).into() } else { format!("%{byte:02X}") }).collect();
    if file.starts_with('/') {
        format!("file://{path}")
    } else {
        path
    }
}

/// Sets what is a fault, and new, in GitHub's workflow commands, a line each.
pub fn github(report: &Report) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let line = |finding: &Finding| {
        let command = match level(finding.verdict) {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => return None,
        };
        let place =
            source(finding).map_or(String::new(), |at| format!("file={},line={},", property(&at.file), at.line));
        let title = property(&format!("{} {}", finding.verdict, finding.call));
        Some(format!("::{command} {place}title={title}::{}\n", data(&message(finding))))
    };
    unique(report).into_iter().filter(|finding| finding.state == State::New).filter_map(line).collect()
}

/// Sets the findings that have a source line and are not suppressed in GitLab's form of code quality (CodeClimate's, a list).
pub fn gitlab(report: &Report) -> Value {
    let issue = |finding: &Finding| {
        let source = source(finding)?;
        Some(json!({
            "type": "issue",
            "categories": ["Performance"],
            "description": message(finding),
            "check_name": finding.verdict,
            "fingerprint": finding.id,
            "severity": match level(finding.verdict) { Level::Error => "major", Level::Warning => "minor", Level::Note => "info" },
            "location": { "path": source.file, "lines": { "begin": source.line, "end": source.line } },
        }))
    };
    let is_shown = |finding: &&Finding| !matches!(finding.state, State::Suppressed(_));
    unique(report).into_iter().filter(is_shown).filter_map(issue).collect()
}
