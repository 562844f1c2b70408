//! The order of the house: which part of src may know which. An arrow (file A names something of file B) leads down in the list below or
//! stays inside one of its parts, and no arrows lead round.
//!
//! `modules` reads the files, `arrows` finds where each path leads, and `samples` proves on small trees that faults are found.
//! `documents` asks by the same wings whether public items have contracts, and `state` whether each static says what a fork child does
//! with it.

mod arrows;
mod documents;
mod modules;
mod samples;
mod state;

use arrows::Arrows;
use modules::Texts;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The wings of src from the ground up: a file without `.rs`, or a folder with all that is in it. A file belongs to its longest entry.
const ORDER: &[&str] = &[
    "figures",
    "ticks",
    "why",
    "dump",
    "config",
    "base/kept",
    "arch",
    "sys",
    "arch/segment",
    "base",
    "hooks/table",
    "hooks/inside/no_entry",
    "rows",
    "glibc",
    "environment",
    "audit/format",
    "audit",
    "runtime/news/peer",
    "runtime/news/waiter",
    "runtime/news/poller",
    "runtime/news",
    "runtime/machine",
    "runtime/sched",
    "runtime/signal",
    "runtime/waiting",
    "runtime/trap",
    "runtime/kernel",
    "runtime/births",
    "runtime/monitor",
    "runtime/table",
    "runtime/dump",
    "runtime/start",
    "runtime",
    "report",
    "statistics",
    "dumper",
    "hooks/answer",
    "hooks/real",
    "hooks/audited",
    "hooks/memory",
    "hooks/moment",
    "hooks/named",
    "hooks/sync",
    "hooks/inside",
    "hooks/signal",
    "hooks/time",
    "hooks/thread",
    "hooks/proc",
    "hooks/io",
    "hooks/process",
    "hooks/number",
    "hooks/door",
    "hooks",
    "bridge",
    "ticker",
    "lib",
    // The command: what is shared with the library, what its subcommands share (each wing may know those before it), the subcommands.
    "bin/greenpatch/shared",
    "bin/greenpatch/words",
    "bin/greenpatch/failure",
    "bin/greenpatch/elf",
    "bin/greenpatch/mount",
    "bin/greenpatch/calls",
    "bin/greenpatch/privilege",
    "bin/greenpatch/preloadable",
    "bin/greenpatch/start",
    "bin/greenpatch/loaded",
    "bin/greenpatch/glibc",
    "bin/greenpatch/library",
    "bin/greenpatch/options",
    "bin/greenpatch/run",
    "bin/greenpatch/process",
    "bin/greenpatch/statistics",
    "bin/greenpatch/threads",
    "bin/greenpatch/demo",
    "bin/greenpatch/check",
    "bin/greenpatch/audit",
    "bin/greenpatch/ticker",
    "bin/greenpatch/doctor",
    "bin/greenpatch/main",
];

/// Wings that still have circles, and arrows upward in them. None is added; one without circles is taken out.
const STILL: &[&str] = &[];

#[test]
fn arrows_point_down_and_never_round() {
    let faults = faults(&texts(), ORDER, STILL);
    assert!(faults.is_empty(), "the order of tests/layers/main.rs is broken\n  {}\n", faults.join("\n  "));
}

#[test]
#[ignore = "prints every arrow: FILE:LINE: NAME of FILE"]
fn print_arrows() {
    let arrows = Arrows::of(&texts());
    for (from, to) in arrows.all.keys() {
        println!("{}", arrows.shown(from, to));
    }
}

#[test]
#[ignore = "prints what is passed over for STILL: a shortest circle of each group, and arrows upward"]
fn print_circles() {
    faults(&texts(), ORDER, &[]).iter().for_each(|fault| println!("{}", fault.replace("; ", "\n    ")));
}

/// The Rust files of src.
fn texts() -> Texts {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Texts::new();
    let mut folders = vec![top.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of src") {
            let path = entry.expect("its entries").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(top).expect("it lies below the top").to_string_lossy().into_owned();
                texts.insert(name, fs::read_to_string(&path).expect("a source file"));
            }
        }
    }
    texts
}

/// The place in `order` of the wing that a file belongs to.
fn wing(file: &str, order: &[&str]) -> Option<usize> {
    let name = file.strip_prefix("src/")?.strip_suffix(".rs")?;
    let holds = |wing: &str| name.strip_prefix(wing).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    (0..order.len()).filter(|&at| holds(order[at])).max_by_key(|&at| order[at].len())
}

/// Tells what is wrong with a source tree, a sentence each. Circles inside the wings of `still`, and arrows upward in them, are passed
/// over.
fn faults(texts: &Texts, order: &[&str], still: &[&str]) -> Vec<String> {
    let arrows = Arrows::of(texts);
    let mut faults = Vec::new();
    faults.extend(arrows.unreached.iter().map(|file| format!("{file}: no module and no include! names it")));
    faults.extend(texts.keys().filter(|file| wing(file, order).is_none()).map(|file| format!("{file}: of no wing")));
    faults.extend(arrows.strange_impls.iter().cloned());
    let inhabited: BTreeSet<_> = texts.keys().filter_map(|file| wing(file, order)).collect();
    let empty = (0..order.len()).filter(|at| !inhabited.contains(at));
    faults.extend(empty.map(|at| format!("the wing {} has no file", order[at])));

    let name = |file: &String| wing(file, order).map_or("", |at| order[at]);
    let circles = arrows.circles();
    let is_known = |circle: &BTreeSet<String>| circle.iter().all(|file| still.contains(&name(file)));
    let in_known = |from: &String, to: &String| {
        circles.iter().any(|circle| circle.contains(from) && circle.contains(to) && is_known(circle))
    };
    let upward = |from: &String, to: &String| wing(from, order).is_some_and(|from| Some(from) < wing(to, order));
    for (from, to) in arrows.all.keys().filter(|(from, to)| upward(from, to) && !in_known(from, to)) {
        faults.push(format!("{}, which is above", arrows.shown(from, to)));
    }
    for circle in circles.iter().filter(|circle| !is_known(circle)) {
        let way = arrows.shortest(circle);
        let next = |at: usize| &way[(at + 1) % way.len()];
        let steps: Vec<_> = (0..way.len()).map(|at| arrows.shown(&way[at], next(at))).collect();
        let among = if circle.len() > way.len() { format!(" (of {} in circles)", circle.len()) } else { String::new() };
        faults.push(format!("a circle of {} files{among}: {}", way.len(), steps.join("; ")));
    }
    let round: BTreeSet<_> = circles.iter().flatten().map(name).collect();
    let straight = still.iter().filter(|wing| !round.contains(**wing));
    faults.extend(straight.map(|wing| format!("{wing} has no circle: take it out of STILL")));
    faults
}
