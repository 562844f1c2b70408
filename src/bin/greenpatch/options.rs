//! The library's options as flags of `greenpatch run`.
//!
//! Nothing about an option is written here: its name, its meaning and the check of its value come from the table that the library itself
//! reads. So a new row there is a new flag here. A flag is one more word at the end of GREENPATCH_OPTIONS, where the last word for an
//! option counts: what the variable holds already stays, and is checked with the rest.

use std::env::{self, VarError};
use std::os::unix::ffi::OsStrExt;

use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};

use crate::shared::config::{self, Wrong};
use crate::words::wrap;

/// The width in columns of an option's meaning, beside the flags.
const HELP_COLUMNS: usize = 48;

/// The variable of the environment in which the library looks for its options.
pub const VARIABLE: &str = "GREENPATCH_OPTIONS";

/// The flags that were given, each an option's name and its value.
pub struct Options(Vec<(&'static str, String)>);

impl Options {
    /// Makes the value of GREENPATCH_OPTIONS for the program: what it was, then the flags. Fails with a sentence for the user where a
    /// word is none that the library takes.
    pub fn merged(&self) -> Result<String, String> {
        let mut words = match env::var(VARIABLE) {
            Ok(words) => vec![words],
            Err(VarError::NotPresent) => vec![],
            Err(VarError::NotUnicode(words)) => return Err(format!("{VARIABLE} is no UTF-8 text: {words:?}.")),
        };
        for (name, value) in &self.0 {
            // A colon would end the value.
            let value = value.replace(':', "%3A");
            if *name == AUDIT {
                words.push(format!("{name}={}{value}:{GREEN}=1", folder_before(&value)));
            } else {
                words.push(format!("{name}={value}"));
            }
        }
        // An empty value stays empty: the variable is set only if there is something to say.
        let words = words.join(":");
        match config::parse(&words) {
            Ok(_) => Ok(words),
            Err(wrong) => Err(sentence(wrong)),
        }
    }
}

/// Says in a sentence what the library would find wrong.
fn sentence(wrong: Wrong) -> String {
    match wrong {
        Wrong::NoValue(word) => format!("{VARIABLE}: “{word}” has no value: write {word}=VALUE."),
        Wrong::Value { key, value, expects } => format!("option {key}: “{value}” is not {expects}."),
        Wrong::UnknownKey(key) => {
            let names: Vec<_> = config::HELP.iter().map(|(name, ..)| *name).collect();
            format!("{VARIABLE}: there is no option “{key}”; there are {}.", names.join(", "))
        }
        Wrong::Alone { key, needs } => format!("option {key}=1 is for {needs}=PATH, which is not set."),
        Wrong::Key => unreachable!("parse names the key"),
    }
}

/// The option that records, which as a flag means: what keeps a worker, for what is run is green. Its value may be left out.
const AUDIT: &str = "audit";
/// The option that goes with it, and is no flag.
const GREEN: &str = "green";
/// Where `run --audit` records, in the folder that it was called in.
const RECORDING: &str = "greenpatch.audit.%p";
/// What `run --audit` does, for its help.
const AUDIT_MEANING: &str =
    "record what keeps a worker into FILE (default: greenpatch.audit.%p; %p becomes the process id), for `greenpatch report`";

/// Returns what is to stand before a path that is relative, so that it means the same in a process that has changed its folder.
fn folder_before(path: &str) -> String {
    let here = if path.starts_with('/') { None } else { env::current_dir().ok() };
    here.map_or(String::new(), |here| config::escape(here.as_os_str().as_bytes()) + "/")
}

/// Lists the table's rows that are flags here. clap has a `--help` of its own.
fn rows() -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
    config::HELP.iter().filter(|(name, ..)| !["help", GREEN].contains(name))
}

/// Names an option's flag. clap wants names that live as long as the process.
fn flag(name: &str) -> &'static str {
    name.replace('_', "-").leak()
}

impl Args for Options {
    /// Gives clap a flag a row, with the row's meaning as its help.
    fn augment_args(command: Command) -> Command {
        command.args(rows().map(|(name, value, meaning)| {
            let argument = Arg::new(name).long(flag(name));
            if *name == AUDIT {
                let argument = argument.value_name("FILE").num_args(0..=1).require_equals(true);
                return argument.default_missing_value(RECORDING).help(wrap(AUDIT_MEANING, "", HELP_COLUMNS));
            }
            argument.value_name(value).help(wrap(meaning, "", HELP_COLUMNS))
        }))
    }

    /// Gives clap the flags of an update, which are the same.
    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Options {
    /// Takes the flags that were given, in the table's order.
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(Options(rows().filter_map(|(name, ..)| Some((*name, matches.get_one::<String>(name)?.clone()))).collect()))
    }

    /// Replaces all flags by the ones given now.
    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
