//! Other libraries that are preloaded anyway, by LD_PRELOAD or /etc/ld.so.preload: do they go together with this one?
//!
//! Two libraries that put themselves in front of the same functions can work one behind the other, if the second passes on what it gets.
//! A library that keeps threads or sockets of its own does not. In this order:
//!
//! - greenpatch itself, named there already: a fact.
//!
//! - a library that `calls::NEIGHBOURS` knows by name: fine, or a conflict.
//!
//! - a library behind greenpatch that hooks a function of `PASSED_BY`: programs stay native, for calls would pass it by.
//!
//! - any other that exports hooked functions: it may conflict.

use std::env;
use std::fs;

use object::{Object, ObjectSymbol};

use super::probe::{Probe, State};
use crate::calls;
use crate::elf::Elf;
use crate::library::LIBRARY;
use crate::shared::config;
use crate::words::short;

/// The system's own list of preloaded libraries.
const SYSTEMS: &str = "/etc/ld.so.preload";
/// How many functions are named at the most.
const NAMED: usize = 5;

/// Tells of every preloaded library, LD_PRELOAD's first, or that there is none. The lists are read as the loader reads them: words
/// between spaces, colons and line ends, in the file up to a `#`.
pub fn all() -> Vec<Probe> {
    let own = env::var("LD_PRELOAD").unwrap_or_default();
    let systems = fs::read_to_string(SYSTEMS).unwrap_or_default();
    let systems: String =
        systems.lines().map(|line| line.split('#').next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    let words = |text: &str| {
        text.split([' ', ':', '\t', '\n']).filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    // The loader takes LD_PRELOAD's libraries first. A library behind greenpatch there would be behind it in a program, too.
    let mut behind = false;
    let mut probes = Vec::new();
    for (place, text) in [("LD_PRELOAD", &own), (SYSTEMS, &systems)] {
        for path in words(text) {
            behind |= short(&path) == LIBRARY;
            probes.push(one(place, &path, behind));
        }
    }
    if probes.is_empty() {
        probes.push(Probe::new(State::Fact, "other preloads", "none"));
    }
    probes
}

/// Judges one library. `behind`: greenpatch stands before it.
fn one(place: &str, path: &str, behind: bool) -> Probe {
    let probe = |state, says: String| Probe::new(state, "other preloads", format!("{path} ({place}) {says}"));
    let known = calls::NEIGHBOURS.iter().find(|(start, _)| short(path).starts_with(start));
    match known {
        _ if short(path) == LIBRARY => return probe(State::Fact, "is greenpatch itself".into()),
        Some((_, Ok(()))) => return probe(State::Fact, "is fine beside greenpatch".into()),
        Some((_, Err(why))) => return probe(State::Bad, format!("conflicts: {why}")),
        None => {}
    }
    // A file that cannot be read exports nothing here; the loader will say what is wrong with it.
    let shared = exported(path).unwrap_or_default();
    let passed_by = |name: &String| config::PASSED_BY.iter().any(|own| own.to_bytes() == name.as_bytes());
    if let Some(name) = shared.iter().find(|name| behind && passed_by(name)) {
        let why = format!("puts itself in front of {name} from behind greenpatch: programs stay native; put it first");
        return probe(State::Bad, why);
    }
    match shared.len() {
        0 => probe(State::Fact, "touches no hooked function".into()),
        count => {
            let named = shared[..count.min(NAMED)].join(" ");
            probe(
                State::Limit,
                format!("also puts itself in front of {count} hooked functions ({named} …): it may conflict"),
            )
        }
    }
}

/// Lists the hooked functions that a library exports. None: the file is not readable, or no library.
fn exported(path: &str) -> Option<Vec<String>> {
    let data = fs::read(path).ok()?;
    let elf = Elf::parse(&*data).ok()?;
    let defined = elf.dynamic_symbols().filter(|symbol| symbol.is_definition());
    let names = defined.filter_map(|symbol| symbol.name().ok()).filter(|name| calls::is_hooked(name));
    Some(names.map(str::to_owned).collect())
}
