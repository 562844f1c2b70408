//! Findings of `greenpatch check`, in words and in JSON.
//!
//! The words are for a person: a line for each family of calls, as many names as fit, what is out of reach with its places, and the
//! verdict last. JSON leaves nothing out, and its names never change.
//!
//! ```text
//!    bash (run by /usr/bin/bash): 3 libraries          the subject, the program, its libraries
//!      hooked: 35                                      a heading a kind of call, with their number
//!        child      waitpid                            a line a family
//!        io         read write
//!      waits for, timed by …: child 1, ready 2     what those wait for
//!      out of reach, for it is a system call made inline: 2
//!        libx.so futex (202): wait+0x1c                the object, the call, its places
//!      note: …
//!      Everything that waits is hooked.                the verdict
//! ```

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{json, Value};

use super::instructions::{Place, ThreadState};
use super::report::{At, Report};
use crate::calls::{self, Reach};
use crate::words::{columns, short, wrap};

/// How many places are shown of each inline system call of an object. The rest is counted.
const PLACES: usize = 4;

/// The kinds of calls with their headings, in the order in which they are shown: from what is best served to what is not. Calls that need
/// nothing are not shown, and stand in JSON only.
const HEADS: [(Reach, &str); 4] = [
    (Reach::Hooked, "hooked"),
    (Reach::Entries, "inside libc, reached by its entries"),
    (Reach::HandedOver, "not hooked: it holds a kernel thread while it waits, the monitor gives the others a new one"),
    (Reach::Beyond, "out of reach"),
];

/// Sets reports in words, with an empty line between two. Lines are as wide as the terminal, names that do not fit are counted.
pub fn text(reports: &[Report]) -> String {
    let wrapped =
        |text: String| text.lines().map(|line| wrap(line, &indent(line), columns()) + "\n").collect::<String>();
    reports.iter().map(one).map(wrapped).collect::<Vec<_>>().join("\n")
}

/// Returns the indent of the lines after a long one: a little more than its own.
fn indent(line: &str) -> String {
    " ".repeat(line.len() - line.trim_start().len() + 4)
}

/// Sets one report: a refused one in a sentence, any other from the heading to the verdict. Between them stand the kinds of calls, what
/// the program defines itself, system calls made inline, thread states, missing libraries, and notes. Lines may be too wide yet.
fn one(report: &Report) -> String {
    let mut text = report.subject.clone();
    // The program is told apart from the subject where a script or PATH led to it.
    if report.program.as_os_str() != report.subject.as_str() && !report.program.as_os_str().is_empty() {
        let _ = write!(text, " (run by {})", report.program.display());
    }
    if let Some((_, sentence)) = &report.refusal {
        return format!("{text} {sentence}\n");
    }
    let libraries = report.objects.len() - 1;
    let _ = writeln!(text, ": {libraries} {}", if libraries == 1 { "library" } else { "libraries" });
    for (reach, head) in HEADS {
        // Reach and family are the key, so families come sorted under each heading.
        let families = report.imports.iter().filter(|((kind, _), _)| *kind == reach);
        let families: Vec<_> =
            families.map(|((_, family), symbols)| (*family, symbols.keys().collect::<Vec<_>>())).collect();
        if !families.is_empty() {
            let count: usize = families.iter().map(|(_, symbols)| symbols.len()).sum();
            let _ = writeln!(text, "  {head}: {count}");
        }
        for (family, symbols) in families {
            let _ = writeln!(text, "{}", row(&format!("    {family:<10} "), &symbols));
        }
    }
    text += &timed(report);
    if !report.own.is_empty() {
        let own: Vec<_> = report.own.iter().collect();
        let _ = writeln!(text, "  out of reach, for the program defines them itself: {}", own.len());
        let _ = writeln!(text, "{}", row("    ", &own));
    }
    text += &inline_calls(report);
    text += &thread_states(report);
    // A library that is missing ends the start of the program: the verdict says so, too.
    for object in report.objects.iter().filter(|object| object.path.is_none()) {
        let by = object.needed_by.map_or("", |by| short(&report.objects[by].name));
        let _ = writeln!(text, "  missing: {}, which {by} needs", object.name);
    }
    for hint in &report.hints {
        let _ = writeln!(text, "  note: {hint}");
    }
    let _ = writeln!(text, "  {}", verdict(report));
    text
}

/// Counts the imported functions that `greenpatch audit` times, by what they wait for.
fn timed(report: &Report) -> String {
    let symbols = report.imports.values().flat_map(|symbols| symbols.keys());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for waits_for in symbols.filter_map(|symbol| calls::call(symbol)?.waits_for) {
        *counts.entry(waits_for).or_default() += 1;
    }
    if counts.is_empty() {
        return String::new();
    }
    let counts: Vec<_> = counts.iter().map(|(waits_for, count)| format!("{waits_for} {count}")).collect();
    format!("  waits for, timed by `greenpatch audit`: {}\n", counts.join(", "))
}

/// Room for `… 100 more`, in columns.
const MORE: usize = 10;

/// Sets as many names as fit into a line behind `head`, and how many are left. At least one line comes out, even if nothing fits.
fn row(head: &str, names: &[&String]) -> String {
    let mut line = head.to_owned();
    for (at, name) in names.iter().enumerate() {
        if line.chars().count() + name.len() + MORE > columns() {
            let _ = write!(line, "… {} more", names.len() - at);
            return line;
        }
        let _ = write!(line, "{name} ");
    }
    line.trim_end().to_owned()
}

/// Sets the system calls that are out of reach because they are made inline, and whose the option `inline` would reach.
fn inline_calls(report: &Report) -> String {
    if report.inline.is_empty() {
        return String::new();
    }
    let mut text = format!("  out of reach, for it is a system call made inline: {}\n", report.inline.len());
    text += &grouped(report, report.inline.iter().map(|(at, place)| (*at, place)));
    let _ = writeln!(text, "    inline=1 would catch them (Linux 6.17): {}", with_inline(report).join(" "));
    text
}

/// Sets the objects whose instructions set, or ask for, a thread's state: by Go's note, or with their places. A note says what follows
/// from that.
fn thread_states(report: &Report) -> String {
    let mut text = String::new();
    for (at, state) in &report.thread_states {
        let _ = write!(text, "  sets, or asks for, a thread's state by instructions of its own: ");
        let _ = writeln!(text, "{}", short(&report.objects[*at].name));
        if state.is_go {
            text += "    it has Go's note\n";
        }
        text += &grouped(report, state.places.iter().map(|place| (*at, place)));
    }
    text
}

/// Sets a line for each call of an object, in the order of objects and names: the object, the call, and its first places.
fn grouped<'a>(report: &Report, found: impl Iterator<Item = (At, &'a Place)>) -> String {
    let mut groups: BTreeMap<(At, String), Vec<&Place>> = BTreeMap::new();
    for (at, place) in found {
        groups.entry((at, name(place))).or_default().push(place);
    }
    let mut text = String::new();
    for ((at, name), places) in groups {
        let shown: Vec<_> = places.iter().take(PLACES).map(|place| stands(place)).collect();
        // A library may make the same call at hundreds of places: the first few tell where to look.
        let more = places.len().saturating_sub(PLACES);
        let more = if more > 0 { format!(" … {more} more") } else { String::new() };
        let _ = writeln!(text, "    {} {name}: {}{more}", short(&report.objects[at].name), shown.join(" "));
    }
    text
}

/// Lists the objects whose system calls the option `inline` would bring within reach, each once.
fn with_inline(report: &Report) -> Vec<&str> {
    let mut objects: Vec<_> = report.inline.iter().map(|(at, _)| *at).collect();
    objects.dedup();
    objects.into_iter().map(|at| short(&report.objects[at].name)).collect()
}

/// Names the system call of a place, with its number.
fn name(place: &Place) -> String {
    match place.number {
        Some(number) => format!("{} ({number})", called(number).unwrap_or_default()),
        None => "of unknown number".into(),
    }
}

/// Names a system call that waits, or that sets a thread's state. None: it does neither, and no place has it.
fn called(number: u64) -> Option<&'static str> {
    calls::waiting(number).or_else(|| calls::of_a_thread(number))
}

/// Says where a place stands: the nearest symbol and the distance from it, without symbols the address. Both can be looked up in a
/// disassembly.
fn stands(place: &Place) -> String {
    match &place.symbol {
        Some((symbol, offset)) => format!("{symbol}+{offset:#x}"),
        None => format!("{:#x}", place.address),
    }
}

/// Says in a sentence what the exit status means. The caller has dealt with refusals.
fn verdict(report: &Report) -> &'static str {
    match report.status() {
        // Calls that are handed over wait without a hook, and are within reach all the same.
        0 if report.imports.keys().any(|(reach, _)| *reach == Reach::HandedOver) => {
            "Everything that waits is hooked, or handed over by the monitor."
        }
        0 => "Everything that waits is hooked.",
        1 => "Something that waits is out of reach: it holds a kernel thread while it waits, the others go on.",
        _ => "It cannot be started: a library is missing.",
    }
}

/// Sets reports as a JSON array, an object a report. Nothing is left out: every symbol with the objects that import it, every place.
pub fn json(reports: &[Report]) -> String {
    let list: Vec<_> = reports.iter().map(object).collect();
    format!("{:#}\n", Value::from(list))
}

/// Sets one report as a JSON object:
///
/// ```text
/// file, program            as `Report::subject` and `Report::program`
/// status, refusal          the exit status; a sentence or null
/// objects                  [{ name, path or null, needed_by: a name or null }]
/// hooked, entries, handed_over, needs_none, out_of_reach
///                          [{ symbol, family, waits_for, by: names }]: a list for each `Reach::name`; waits_for is null where
///                          `greenpatch audit` does not time the call
/// inline                   [{ object, address, symbol, offset, number, call }]: null where it is not known
/// thread_state             [{ object, go, calls: as inline }]
/// reached_with_inline      names of objects
/// defined_by_the_program   symbols
/// notes                    clauses, as in the text
/// ```
fn object(report: &Report) -> Value {
    // In JSON an object is its name as it was asked for, with folders.
    let name = |at: &At| report.objects[*at].name.clone();
    let names = |by: &[At]| by.iter().map(name).collect::<Vec<_>>();
    let imports = |reach: Reach| -> Vec<Value> {
        let families = report.imports.iter().filter(|((kind, _), _)| *kind == reach);
        let calls = families.flat_map(|((_, family), symbols)| symbols.iter().map(move |symbol| (family, symbol)));
        calls
            .map(|(family, (symbol, by))| {
                let waits_for = calls::call(symbol).and_then(|call| call.waits_for);
                json!({ "symbol": symbol, "family": family, "waits_for": waits_for, "by": names(by) })
            })
            .collect()
    };
    let place = |at: &At, place: &Place| {
        json!({
            "object": name(at),
            "address": place.address,
            "symbol": place.symbol.as_ref().map(|(symbol, _)| symbol),
            "offset": place.symbol.as_ref().map(|(_, offset)| offset),
            "number": place.number,
            "call": place.number.and_then(called),
        })
    };
    let objects = report.objects.iter().map(|object| {
        let path = object.path.as_ref().map(|path| path.display().to_string());
        json!({ "name": object.name, "path": path, "needed_by": object.needed_by.as_ref().map(name) })
    });
    let thread_state = |(at, state): &(At, ThreadState)| {
        let calls: Vec<_> = state.places.iter().map(|found| place(at, found)).collect();
        json!({ "object": name(at), "go": state.is_go, "calls": calls })
    };
    let mut all = json!({
        "file": report.subject,
        "program": report.program.display().to_string(),
        "status": report.status(),
        "refusal": report.refusal.as_ref().map(|(_, sentence)| sentence),
        "objects": objects.collect::<Vec<_>>(),
        "inline": report.inline.iter().map(|(at, found)| place(at, found)).collect::<Vec<_>>(),
        "thread_state": report.thread_states.iter().map(thread_state).collect::<Vec<_>>(),
        "reached_with_inline": with_inline(report),
        "defined_by_the_program": report.own,
        "notes": report.hints,
    });
    for reach in [Reach::Hooked, Reach::Entries, Reach::HandedOver, Reach::NeedsNone, Reach::Beyond] {
        all[reach.name()] = imports(reach).into();
    }
    all
}
