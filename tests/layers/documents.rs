//! Public items say what they are for: in each wing, nine of ten have a doc comment.

use crate::modules::Texts;
use crate::{texts, wing, ORDER};
use std::collections::BTreeMap;

/// The share in percent of a wing's public items that has a doc comment, at the least.
const LEAST: usize = 90;

/// Wings that are not rebuilt yet, with fewer. None is added; one that has enough is taken out.
const FEWER: &[&str] = &[];

#[test]
fn public_items_have_contracts() {
    let faults = faults(&texts(), ORDER, FEWER);
    assert!(faults.is_empty(), "wings with too few doc comments, or now with enough\n  {}\n", faults.join("\n  "));
}

/// The wings with too few documented items, and those of `fewer` that have enough.
fn faults(texts: &Texts, order: &[&str], fewer: &[&str]) -> Vec<String> {
    let mut wings: BTreeMap<usize, Vec<(String, bool)>> = BTreeMap::new();
    for (file, text) in texts {
        let Some(wing) = wing(file, order) else { continue };
        let items = public_items(text).into_iter().map(|(line, has)| (format!("{file}:{line}"), has));
        wings.entry(wing).or_default().extend(items);
    }
    let mut faults = Vec::new();
    for (wing, items) in wings {
        let (name, bare) = (order[wing], items.iter().filter(|(_, has)| !has).map(|(place, _)| place.as_str()));
        let bare: Vec<_> = bare.collect();
        let enough = (items.len() - bare.len()) * 100 >= items.len() * LEAST;
        match (enough, fewer.contains(&name)) {
            (true, true) => faults.push(format!("{name} has enough: take it out of FEWER")),
            (false, false) => {
                faults.push(format!("{name}: {} of {} have none: {}", bare.len(), items.len(), bare.join(" ")))
            }
            _ => {}
        }
    }
    let gone = fewer.iter().filter(|name| !order.contains(name));
    faults.extend(gone.map(|name| format!("{name} is no wing: take it out of FEWER")));
    faults
}

/// The lines at which public items begin, and whether a doc comment stands above each and its attributes. Modules and fields do not
/// count, nor does what a unit test has.
fn public_items(text: &str) -> Vec<(usize, bool)> {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    let lines: Vec<_> = code.lines().map(str::trim_start).collect();
    let documented = |at: usize| {
        let above = lines[..at].iter().rev().find(|line| !line.starts_with("#[") || line.starts_with("#[doc"));
        above.is_some_and(|line| ["///", "#[doc", "$(#["].iter().any(|doc| line.starts_with(doc)))
    };
    let public = (0..lines.len()).filter(|&at| is_public_item(lines[at]));
    public.map(|at| (at + 1, documented(at))).collect()
}

fn is_public_item(line: &str) -> bool {
    const KINDS: [&str; 8] = ["fn", "struct", "enum", "union", "trait", "type", "const", "static"];
    const BEFORE: [&str; 4] = ["unsafe", "async", "extern", "\"C\""];
    let mut words = line.split_whitespace().skip_while(|word| BEFORE.contains(word));
    let is_public = words.next().is_some_and(|word| word == "pub" || word.starts_with("pub("));
    is_public && words.find(|word| !BEFORE.contains(word)).is_some_and(|word| KINDS.contains(&word))
}

#[test]
fn items_are_told_from_what_is_none() {
    let text =
        "/// Does.\n#[inline]\npub fn a() {}\npub unsafe extern \"C\" fn b() {}\npub mod c;\n    pub field: u8,\n\
        pub(crate) const D: u8 = 0;\npub use e::F;\n#[cfg(test)]\nmod tests { \npub fn g() {}\n";
    assert_eq!(public_items(text), [(3, true), (4, false), (7, false)]);
    let texts =
        Texts::from([("src/low.rs".into(), text.into()), ("src/high.rs".into(), "/// H.\npub fn h() {}\n".into())]);
    assert_eq!(faults(&texts, &["low", "high"], &["low"]), [""; 0]);
    let said = ["low: 2 of 3 have none: src/low.rs:4 src/low.rs:7", "high has enough: take it out of FEWER"];
    assert_eq!(faults(&texts, &["low", "high"], &["high"]), said);
    assert_eq!(faults(&texts, &["high"], &["low"]), ["low is no wing: take it out of FEWER"]);
}
