//! The library's options as flags of `greenpatch run`.
//!
//! A flag adds its word to GREENPATCH_OPTIONS, in place of one that was there for the same option.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};

pub const VARIABLE: &str = "GREENPATCH_OPTIONS";

/// name, placeholder of the value, meaning, default
const TABLE: [(&str, &str, &str, &str); 4] = [
    ("workers", "N", "Kernel threads that run green threads", "the processors that the process may use"),
    (
        "stack_size",
        "BYTES",
        "Stack of a green thread whose program did not choose one; K, M, G may follow",
        "as natively",
    ),
    ("stats", "PATH", "Write what happened to this file at exit, as JSON; %p becomes the process id", "none"),
    ("follow", "0|1", "Whether programs that this one executes run green as well", "1"),
];

/// The words given as flags: `name=value`, in the table's order.
pub struct Options(Vec<(&'static str, OsString)>);

impl Options {
    /// The value of GREENPATCH_OPTIONS for the program, when it `was` set already.
    pub fn merged(&self, was: Option<OsString>) -> Result<OsString, String> {
        let was = was.unwrap_or_default();
        let kept = was.as_bytes().split(|&byte| byte == b':').filter(|word| !word.is_empty() && !self.replaces(word));
        let mut words: Vec<Vec<u8>> = kept.map(<[u8]>::to_vec).collect();
        for (name, value) in &self.0 {
            if value.as_bytes().contains(&b':') {
                return Err(format!("--{}: a value cannot contain a colon, which ends it in {VARIABLE}.", flag(name)));
            }
            words.push([name.as_bytes(), b"=", value.as_bytes()].concat());
        }
        Ok(OsString::from_vec(words.join(&b':')))
    }

    fn replaces(&self, word: &[u8]) -> bool {
        let name = word.split(|&byte| byte == b'=').next();
        self.0.iter().any(|(given, _)| Some(given.as_bytes()) == name)
    }
}

/// clap wants names that live as long as the process.
fn flag(name: &str) -> &'static str {
    name.replace('_', "-").leak()
}

impl Args for Options {
    fn augment_args(command: Command) -> Command {
        command.args(TABLE.map(|(name, value, meaning, default)| {
            Arg::new(name)
                .long(flag(name))
                .value_name(value)
                .value_parser(clap::value_parser!(OsString))
                .help(format!("{meaning} [default: {default}]"))
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Options {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = TABLE.iter().filter_map(|(name, ..)| Some((*name, matches.get_one::<OsString>(name)?.clone())));
        Ok(Options(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
