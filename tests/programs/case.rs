//! A case: one folder, one library, and a program that is run in three worlds that must not differ.
//!
//! The worlds are the native one, green on one worker, and green on the default number of workers. A case is judged as a
//! c-test is: what it must prove is said in the same words (tests/support/header.rs).

use crate::server::{free_port, Server};
use crate::support::header::Header;
use crate::support::library::library;
use crate::support::needs;
use crate::support::run::{self, Ending, Outcome, Scratch};
use crate::support::verdict;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The green worlds and their options. One worker first: what hangs anywhere hangs there, and with less to look at.
const GREEN: [(&str, &str); 2] = [("one worker", "workers=1"), ("default workers", "")];

pub struct Case {
    scratch: Scratch,
}

/// What a world adds to the environment: nothing natively.
type World = Vec<(&'static str, OsString)>;

impl Case {
    /// Other users may write into the folder: servers that refuse to be root's put their data there, and a preloaded program
    /// that gave up its rights its statistics. They must be able to read the library as well, hence the copy.
    pub fn new() -> Case {
        let case = Case { scratch: Scratch::new() };
        fs::set_permissions(case.path(""), Permissions::from_mode(0o1777)).expect("a folder for everybody");
        let copy = case.path("libgreenpatch.so");
        fs::copy(library(), &copy).expect("a copy of the library");
        fs::set_permissions(copy, Permissions::from_mode(0o755)).expect("a library for everybody");
        case
    }

    /// The same where these programs and files are installed; where one is not, the test is skipped, and says so.
    pub fn with(programs: &[&str]) -> Option<Case> {
        (!needs::skips_without_programs(programs)).then(Case::new)
    }

    pub fn path(&self, name: &str) -> String {
        self.scratch.path(name).to_str().expect("TMPDIR in UTF-8").to_owned()
    }

    /// Runs something that is not under test, which must end well.
    pub fn prepare(&self, line: &str) {
        prepare(&mut command(line));
    }

    /// Runs the program in all worlds; answers the output, which is the same in all of them.
    pub fn compare(&self, line: &str, judgement: &str) -> Vec<u8> {
        self.judge(judgement, |world| self.run(line, world))
    }

    /// The same for a program whose output differs from run to run, but not what `tidy` leaves of it.
    pub fn compare_tidied(&self, line: &str, tidy: impl Fn(String) -> String, judgement: &str) -> String {
        let output = self.judge(judgement, |world| {
            let mut outcome = self.run(line, world);
            outcome.stdout = tidy(String::from_utf8_lossy(&outcome.stdout).into_owned()).into_bytes();
            outcome
        });
        String::from_utf8(output).expect("what tidy made")
    }

    /// Runs a server in all worlds, each time under the same native load. What is compared is the load's output, and how
    /// the server ended when it was told to. Both commands are made from the port.
    pub fn compare_server(&self, server: impl Fn(u16) -> String, load: impl Fn(u16) -> String, judgement: &str) {
        self.judge(judgement, |world| {
            let port = free_port();
            let mut command = command(&server(port));
            let server = Server::start(self, command.envs(world.iter().cloned()), port, || true);
            let load = self.run(&load(port), &World::new());
            assert_eq!(load.ending, Ending::Exited(0), "the load: {}", String::from_utf8_lossy(&load.stderr));
            let (ending, stderr) = server.end();
            Outcome { ending, stderr, ..load }
        });
    }

    fn run(&self, line: &str, world: &World) -> Outcome {
        let mut command = command(line);
        run::run(command.envs(world.iter().cloned()), &self.scratch).unwrap_or_else(|why| panic!("{line}: {why}"))
    }

    fn judge(&self, judgement: &str, run: impl Fn(&World) -> Outcome) -> Vec<u8> {
        let header = Header::parse(&format!("/* A real program.\n{judgement} */")).expect("a case's judgement");
        let native = run(&World::new());
        assert_eq!(native.ending, header.ending, "natively: {}", String::from_utf8_lossy(&native.stderr));
        let reports = GREEN.map(|(name, options)| {
            let file = self.scratch.path("statistics");
            let green = run(&self.green_world(&file, options));
            let statistics = fs::read_to_string(&file).ok();
            let _ = fs::remove_file(&file);
            let faults = verdict::faults(&header, &native, &green, statistics.as_deref());
            report(name, &faults, &green, statistics.as_deref())
        });
        let report = reports.concat();
        assert!(report.is_empty(), "\n{report}");
        native.stdout
    }

    fn green_world(&self, statistics: &Path, options: &str) -> World {
        let options = format!("stats={}:{options}", statistics.display());
        vec![
            ("LD_PRELOAD", self.path("libgreenpatch.so").into()),
            ("GREENPATCH_OPTIONS", options.trim_end_matches(':').into()),
        ]
    }
}

/// Runs a command to its end, which must be a good one.
pub fn prepare(command: &mut Command) {
    let output = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}; {INSTALL}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// What to do where a command is not there.
pub const INSTALL: &str = "are the packages of scripts/packages.txt installed?";

/// A command, its words separated by spaces, in the native world and in one language.
pub fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().expect("a command"));
    command
        .args(words)
        .env("PATH", needs::places())
        .env("LC_ALL", "C.UTF-8")
        .env_remove("LD_PRELOAD")
        .env_remove("GREENPATCH_OPTIONS");
    command
}

/// Everything that helps to understand the faults of a green run; nothing where there are none.
fn report(world: &str, faults: &[String], green: &Outcome, statistics: Option<&str>) -> String {
    if faults.is_empty() {
        return String::new();
    }
    let errors = String::from_utf8_lossy(&green.stderr);
    let lines: Vec<_> = errors.lines().collect();
    let last = lines[lines.len().saturating_sub(20)..].join("\n");
    let (faults, stuck) = (faults.join("\n"), green.stuck.as_deref().unwrap_or_default());
    format!("{world}: {faults}\nstandard error: {last}\nstatistics: {}\n{stuck}\n", statistics.unwrap_or("none"))
}
