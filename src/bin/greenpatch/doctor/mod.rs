//! `greenpatch doctor`: what this system gives greenpatch, what would be on and off here, and why.
//!
//! Each line is the result of one `Probe`: it asks the kernel for the very thing that the library would ask for, takes it back, and says
//! what came of it. `system` asks what there is, `limits` how much of it, `preloads` what else is preloaded. The last is the `proof`: this
//! command runs itself with the library, makes threads that wait, and reads in the statistics whether they were green.

mod limits;
mod preloads;
mod probe;
mod proof;
mod system;

use std::ffi::c_int;

use serde_json::json;

use self::probe::{Probe, State};
use crate::failure::{Failure, FAILED};
use crate::library;
use crate::words::{columns, print, wrap};

/// The end of `--help`.
const EXIT_STATUS: &str = "\
Exit status:
    0  programs run green here; what is off is said, with what that costs
    1  programs would run natively, or something conflicts
  125  greenpatch failed: a wrong option";

/// Say what would be on and off on this system, and why
#[derive(clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub struct Arguments {
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    /// Make threads that wait, for the proof: not for people
    #[arg(long, hide = true)]
    proof: bool,
}

/// Makes every probe, and prints what they found. Returns 1 where a program would not run green here, else 0.
pub fn doctor(arguments: Arguments) -> Result<c_int, Failure> {
    // The other half of `proof::run`: this process has the library.
    if arguments.proof {
        proof::wait_in_threads();
        return Ok(0);
    }
    // Without a library the probes still tell what it would have, and the last line that it is missing.
    let library = library::find(None);
    let mut probes = system::all();
    probes.extend(limits::all());
    probes.extend(preloads::all());
    probes.push(match &library {
        Ok(path) => proof::library(path),
        Err(Failure(_, sentence)) => Probe::new(State::Bad, "library", sentence.as_str()),
    });
    probes.extend(library.ok().map(|path| proof::run(&path)));
    let bad = probes.iter().any(|probe| probe.state == State::Bad);
    let text = if arguments.json { as_json(&probes, bad) } else { as_text(&probes, bad) };
    print(&text).map_err(|why| Failure(FAILED, why.to_string()))?;
    Ok(bad.into())
}

/// Sets a line a probe, its state before the subject, and a verdict behind an empty line.
fn as_text(probes: &[Probe], bad: bool) -> String {
    // State and subject have columns of their own; what wraps stands below the answer.
    let row = |probe: &Probe| {
        let row = format!("{:<6}{:<22}{}", probe.state.name(), probe.subject, probe.says);
        wrap(&row, &" ".repeat(28), columns()) + "\n"
    };
    let lines = probes.iter().map(row);
    let verdict =
        if bad { "Programs would not run green here: see the lines marked BAD." } else { "Programs run green here." };
    format!("{}\n{verdict}\n", lines.collect::<String>())
}

/// Sets a JSON object of the verdict and all results. Scripts know its names, so they stay:
///
/// ```text
/// green      true, if no result is bad
/// findings   [{ state: "on", "off", "fact", "limit" or "bad", subject, says }]
/// ```
fn as_json(probes: &[Probe], bad: bool) -> String {
    let state = |probe: &Probe| {
        if probe.state == State::Fact {
            "fact".into()
        } else {
            probe.state.name().to_lowercase()
        }
    };
    let list: Vec<_> = probes
        .iter()
        .map(|probe| json!({ "state": state(probe), "subject": probe.subject, "says": probe.says }))
        .collect();
    format!("{:#}\n", json!({ "green": !bad, "findings": list }))
}
