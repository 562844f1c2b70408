//! Other libraries that are preloaded anyway, by LD_PRELOAD or /etc/ld.so.preload: do they go together with this one?
//!
//! Two libraries that put themselves in front of the same functions can work one behind the other, if the second passes on what
//! it gets. One that keeps threads or sockets of its own does not. Known ones are judged by name (`calls::NEIGHBOURS`), others by what
//! they export.

use std::env;
use std::fs;

use object::{Object, ObjectSymbol};

use crate::calls;
use crate::check::instructions::Elf;
use crate::check::short;
use crate::config;
use crate::doctor::{Finding, State};
use crate::run;

const SYSTEMS: &str = "/etc/ld.so.preload";
/// As many functions are named.
const NAMED: usize = 5;

pub fn all() -> Vec<Finding> {
    let own = env::var("LD_PRELOAD").unwrap_or_default();
    let systems = fs::read_to_string(SYSTEMS).unwrap_or_default();
    let systems: String =
        systems.lines().map(|line| line.split('#').next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    let words = |text: &str| {
        text.split([' ', ':', '\t', '\n']).filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    // The loader takes LD_PRELOAD's first. What is behind greenpatch there would be behind it in a program, too.
    let mut behind = false;
    let mut findings = Vec::new();
    for (place, text) in [("LD_PRELOAD", &own), (SYSTEMS, &systems)] {
        for path in words(text) {
            behind |= short(&path) == run::LIBRARY;
            findings.push(one(place, &path, behind));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::new(State::Fact, "other preloads", "none"));
    }
    findings
}

fn one(place: &str, path: &str, behind: bool) -> Finding {
    let finding = |state, says: String| Finding::new(state, "other preloads", format!("{path} ({place}) {says}"));
    let known = calls::NEIGHBOURS.iter().find(|(start, _)| short(path).starts_with(start));
    match known {
        _ if short(path) == run::LIBRARY => return finding(State::Fact, "is greenpatch itself".into()),
        Some((_, Ok(()))) => return finding(State::Fact, "is fine beside greenpatch".into()),
        Some((_, Err(why))) => return finding(State::Bad, format!("conflicts: {why}")),
        None => {}
    }
    let shared = exported(path).unwrap_or_default();
    let passed_by = |name: &String| config::PASSED_BY.iter().any(|own| own.to_bytes() == name.as_bytes());
    if let Some(name) = shared.iter().find(|name| behind && passed_by(name)) {
        let why = format!("puts itself in front of {name} from behind greenpatch: programs stay native; put it first");
        return finding(State::Bad, why);
    }
    match shared.len() {
        0 => finding(State::Fact, "touches no hooked function".into()),
        count => {
            let named = shared[..count.min(NAMED)].join(" ");
            finding(
                State::Limit,
                format!("also puts itself in front of {count} hooked functions ({named} …): it may conflict"),
            )
        }
    }
}

/// The hooked functions that a library exports; nothing if it is not to be read.
fn exported(path: &str) -> Option<Vec<String>> {
    let data = fs::read(path).ok()?;
    let elf = Elf::parse(&*data).ok()?;
    let defined = elf.dynamic_symbols().filter(|symbol| symbol.is_definition());
    let names = defined.filter_map(|symbol| symbol.name().ok()).filter(|name| calls::is_hooked(name));
    Some(names.map(str::to_owned).collect())
}
