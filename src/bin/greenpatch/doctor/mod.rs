//! `greenpatch doctor`: what this system gives greenpatch, what would be on and off here, and why.
//!
//! Each line is a `Finding`, and each finding is one probe: it asks the kernel for the very thing that the library would ask for,
//! takes it back, and says what came of it. The last probe is the proof: this command runs itself with the library, makes threads
//! that wait, and reads in the statistics whether they were green.

mod preloads;
mod system;

use std::ffi::c_int;

use serde_json::json;

use crate::words::{columns, wrap};
use crate::{run, Failure, FAILED};

pub const EXIT_STATUS: &str = "\
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

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Used here.
    On,
    /// Not to be had, and done without.
    Off,
    /// Worth knowing.
    Fact,
    /// It sets a limit that a program may meet.
    Limit,
    /// Nothing is green with this.
    Bad,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::On => "on",
            State::Off => "off",
            State::Fact => "",
            State::Limit => "limit",
            State::Bad => "BAD",
        }
    }
}

pub struct Finding {
    pub state: State,
    pub subject: &'static str,
    pub says: String,
}

impl Finding {
    pub fn new(state: State, subject: &'static str, says: impl Into<String>) -> Self {
        Finding { state, subject, says: says.into() }
    }

    /// On, or off with what that costs.
    pub fn switch(on: bool, subject: &'static str, with: impl Into<String>, without: impl Into<String>) -> Self {
        if on {
            Self::new(State::On, subject, with)
        } else {
            Self::new(State::Off, subject, without)
        }
    }
}

pub fn doctor(arguments: Arguments) -> Result<c_int, Failure> {
    if arguments.proof {
        system::wait_in_threads();
        return Ok(0);
    }
    let library = run::library(None);
    let mut findings = system::system();
    findings.extend(system::limits());
    findings.extend(preloads::all());
    findings.push(match &library {
        Ok(path) => system::library(path),
        Err(Failure(_, sentence)) => Finding::new(State::Bad, "library", sentence.as_str()),
    });
    findings.extend(library.ok().map(|path| system::proof(&path)));
    let bad = findings.iter().any(|finding| finding.state == State::Bad);
    let text = if arguments.json { as_json(&findings, bad) } else { as_text(&findings, bad) };
    crate::print(&text).map_err(|why| Failure(FAILED, why.to_string()))?;
    Ok(bad.into())
}

fn as_text(findings: &[Finding], bad: bool) -> String {
    let row = |finding: &Finding| {
        let row = format!("{:<6}{:<22}{}", finding.state.name(), finding.subject, finding.says);
        wrap(&row, &" ".repeat(28), columns()) + "\n"
    };
    let lines = findings.iter().map(row);
    let verdict =
        if bad { "Programs would not run green here: see the lines marked BAD." } else { "Programs run green here." };
    format!("{}\n{verdict}\n", lines.collect::<String>())
}

fn as_json(findings: &[Finding], bad: bool) -> String {
    let state = |finding: &Finding| {
        if finding.state == State::Fact {
            "fact".into()
        } else {
            finding.state.name().to_lowercase()
        }
    };
    let list: Vec<_> = findings
        .iter()
        .map(|finding| json!({ "state": state(finding), "subject": finding.subject, "says": finding.says }))
        .collect();
    format!("{:#}\n", json!({ "green": !bad, "findings": list }))
}
