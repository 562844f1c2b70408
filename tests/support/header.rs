//! The header of a c-test: the first comment of `c-tests/*.c`, which says what the program shows and how that is judged.
//!
//! ```text
//! /* One sentence: what is shown.
//!  * covers: recv setsockopt              symbols that this test calls
//!  * proof: parks>=2 hooks.recv>=3        conditions on the green run's statistics (see proof.rs), all must hold
//!  * came: recv>=100: why                 such a bound on calls that came, served or not, and why it is not on those served
//!  * passes: kill sigqueue: why           covered symbols whose calls here all go on to libc
//!  * uncounted: _exit                     covered symbols that the statistics cannot show, being called in a child only
//!  * no_park: why                         the proof does not bound parks from below, and why it cannot
//!  * cflags: -D_FORTIFY_SOURCE=2 -O2      added to the compiler's default flags
//!  * options: inline=1                   added to the green run's GREENPATCH_OPTIONS
//!  * processors: 4                        both runs have so many at the most: a number of kernel threads depends on them
//!  * needs: pku                           what the machine must have (needs.rs), else the test is skipped
//!  * library: yes                         also compiled into PROGRAM.so, with LIBRARY defined
//!  * stress: no                           left out of the stress mode
//!  * native: again                        libc itself fails in it now and then: the native run has more than one try
//!  * exit: signal 6                       how the program ends, natively and green (default: exit: 0)
//!  * stderr: why                          standard error is not compared, and why it may differ
//!  */
//! ```
//!
//! What a proof must contain: each covered hook has served a call (`passes` and `uncounted` name the exceptions); threads have parked
//! (`parks>=N`, else `no_park`); and hand-overs or kernel threads are few: without a condition of its own on `hand_overs` or
//! `kernel_threads_peak` from above, a test has at most one hand-over and one more for each ten calls of hooks.
//!
//! Lines before the first key are prose. A line without a key continues the value above it.

use super::needs;
use super::proof::Condition;
use super::run::Ending;

#[derive(Debug)]
pub struct Header {
    pub sentence: String,
    pub covers: Vec<String>,
    pub uncounted: Vec<String>,
    pub proof: Vec<Condition>,
    /// Bounds on calls that came, served or not.
    pub came: Vec<Condition>,
    pub passes: Vec<String>,
    pub no_park: Option<String>,
    pub cflags: Vec<String>,
    pub options: Vec<String>,
    pub processors: Option<usize>,
    pub needs: Vec<String>,
    pub library: bool,
    pub stress: bool,
    pub native_again: bool,
    pub ending: Ending,
    /// Why standard error may differ from the native run's.
    pub stderr_differs: Option<String>,
}

impl Header {
    pub fn parse(source: &str) -> Result<Header, String> {
        let comment = source
            .strip_prefix("/*")
            .and_then(|rest| rest.split_once("*/"))
            .ok_or("does not begin with a /* comment */")?
            .0;
        let mut header = Header {
            sentence: String::new(),
            covers: Vec::new(),
            uncounted: Vec::new(),
            proof: Vec::new(),
            came: Vec::new(),
            passes: Vec::new(),
            no_park: None,
            cflags: Vec::new(),
            options: Vec::new(),
            processors: None,
            needs: Vec::new(),
            library: false,
            stress: true,
            native_again: false,
            ending: Ending::Exited(0),
            stderr_differs: None,
        };
        for (key, value) in fields(comment) {
            header.set(&key, value.trim()).map_err(|why| format!("{key}: {why}"))?;
        }
        let lacking = [
            (header.sentence.is_empty(), "no sentence says what the test shows"),
            (header.covers.is_empty(), "no `covers:` line"),
            (header.proof.is_empty(), "no `proof:` line"),
            (
                header.parks_unbounded() && header.no_park.is_none(),
                "neither `parks>=N` in the proof nor a `no_park:` line",
            ),
            (!header.parks_unbounded() && header.no_park.is_some(), "`parks` in the proof, and a `no_park:` line"),
        ];
        match lacking.iter().find(|(lacks, _)| *lacks) {
            Some((_, what)) => Err(what.to_string()),
            None => Ok(header),
        }
    }

    /// Does the proof hold where nobody parked?
    fn parks_unbounded(&self) -> bool {
        !self.proof.iter().any(|it| it.counter == "parks" && it.excludes(0))
    }

    /// Does the proof bound hand-overs, or kernel threads, from above?
    pub fn bounds_kernel_threads(&self) -> bool {
        let counts = |it: &&Condition| ["kernel_threads_peak", "hand_overs"].contains(&it.counter.as_str());
        self.proof.iter().filter(counts).any(|it| it.excludes(u64::MAX))
    }

    /// Does the proof count kernel threads, of which there are more on more processors?
    pub fn counts_kernel_threads(&self) -> bool {
        self.proof.iter().any(|it| ["kernel_threads_peak", "hand_overs"].contains(&it.counter.as_str()))
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let words = || value.split_whitespace().map(str::to_owned);
        match (key, value) {
            (PROSE, _) => self.sentence = value.to_owned(),
            ("covers", _) => self.covers.extend(words()),
            ("uncounted", _) => self.uncounted.extend(words()),
            ("cflags", _) => self.cflags.extend(words()),
            ("options", _) => self.options.extend(words()),
            ("processors", _) => self.processors = Some(value.parse().map_err(|_| format!("{value:?} is no number"))?),
            ("needs", _) => {
                self.needs.extend(words());
                if let Some(unknown) = self.needs.iter().find(|word| needs::named(word).is_none()) {
                    return Err(format!("{unknown:?} is nothing that can be needed"));
                }
            }
            ("proof", _) => {
                for word in words() {
                    self.proof.push(word.parse()?);
                }
            }
            ("came", _) => {
                for word in reasoned(value)?.0.split_whitespace() {
                    self.came.push(Condition::came(word)?);
                }
            }
            ("passes", _) => self.passes.extend(reasoned(value)?.0.split_whitespace().map(str::to_owned)),
            ("no_park" | "stderr", "") => return Err("does not say why".into()),
            ("no_park", _) => self.no_park = Some(value.to_owned()),
            ("stderr", _) => self.stderr_differs = Some(value.to_owned()),
            ("library", "yes" | "no") => self.library = value == "yes",
            ("stress", "yes" | "no") => self.stress = value == "yes",
            ("native", "again") => self.native_again = true,
            ("exit", _) => self.ending = ending(value)?,
            ("library" | "stress", _) => return Err(format!("{value:?} is neither yes nor no")),
            ("native", _) => return Err(format!("{value:?} is not `again`")),
            _ => return Err("unknown key".into()),
        }
        Ok(())
    }
}

/// The name under which `fields` yields the lines before the first key.
const PROSE: &str = "sentence";
/// The keys one of which ends the prose; after that any word with a colon is a key, so that a misspelt one is seen.
const KEYS: [&str; 15] = [
    "covers",
    "uncounted",
    "proof",
    "came",
    "passes",
    "no_park",
    "cflags",
    "options",
    "processors",
    "needs",
    "library",
    "stress",
    "native",
    "exit",
    "stderr",
];

/// The comment's lines as keys and values, in order.
fn fields(comment: &str) -> Vec<(String, String)> {
    let mut fields = vec![(PROSE.to_owned(), String::new())];
    for line in comment.lines() {
        let line = line.trim_start().trim_start_matches('*').trim();
        let key = line.split_once(':').filter(|(key, _)| {
            KEYS.contains(key) || fields.len() > 1 && !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase())
        });
        match key {
            Some((key, value)) => fields.push((key.to_owned(), value.trim().to_owned())),
            None => {
                let value = &mut fields.last_mut().expect("never empty").1;
                value.push(' ');
                value.push_str(line);
            }
        }
    }
    fields
}

/// `WORDS: why`, both not empty.
fn reasoned(value: &str) -> Result<(&str, &str), String> {
    let parts = value.split_once(':').map(|(words, why)| (words.trim(), why.trim()));
    parts
        .filter(|(words, why)| !words.is_empty() && !why.is_empty())
        .ok_or_else(|| format!("{value:?} does not say why"))
}

/// `3` is an exit status, `signal 6` a signal.
fn ending(text: &str) -> Result<Ending, String> {
    let number = |digits: &str| digits.trim().parse().map_err(|_| format!("{text:?} is neither N nor signal N"));
    match text.strip_prefix("signal ") {
        Some(signal) => number(signal).map(Ending::Signalled),
        None => number(text).map(Ending::Exited),
    }
}
