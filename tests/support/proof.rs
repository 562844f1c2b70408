//! Proof that a green run was green: conditions on the statistics that the library writes when the program ends.
//!
//! A run that quietly fell through to libc agrees with the native run in everything; only this tells the two apart.

use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// The counters that a condition may name; any other name must be `hooks.SYMBOL`, the calls that the library served (the statistics'
/// `served`). A header's `came:` line bounds those that came, served or not (`hooks` in the statistics). `started` counts as 0 or 1.
const COUNTERS: [&str; 12] = [
    "started",
    "workers",
    "green_threads",
    "green_threads_peak",
    "parks",
    "switches",
    "hand_overs",
    "false_alarms",
    "kernel_threads_peak",
    "entries",
    "inline",
    "inline_calls",
];

/// What a condition's counter begins with that is on a hook's calls.
const SERVED: &str = "hooks.";
const CAME: &str = "came.";

type Holds = fn(&u64, &u64) -> bool;

/// The longer operators first: `>=` must not be read as `>`.
const OPERATORS: [(&str, Holds); 5] =
    [(">=", u64::ge), ("<=", u64::le), ("==", u64::eq), (">", u64::gt), ("<", u64::lt)];

/// One condition, such as `parks>=1` or `hooks.recv>=3`.
#[derive(Clone)]
pub struct Condition {
    pub counter: String,
    operator: &'static str,
    holds: Holds,
    bound: u64,
}

impl Condition {
    /// That the library served a call of this hook.
    pub fn served(symbol: &str) -> Condition {
        Condition { counter: format!("{SERVED}{symbol}"), operator: ">=", holds: u64::ge, bound: 1 }
    }

    /// That a call of the hook came, such as `recv>=3`.
    pub fn came(text: &str) -> Result<Condition, String> {
        format!("{SERVED}{text}")
            .parse()
            .map(|it: Condition| Condition { counter: it.counter.replacen(SERVED, CAME, 1), ..it })
    }

    /// The symbol, where the condition is on a hook's served calls.
    pub fn hook(&self) -> Option<&str> {
        self.counter.strip_prefix(SERVED)
    }

    /// Does the condition not hold for this value?
    pub fn excludes(&self, value: u64) -> bool {
        !(self.holds)(&value, &self.bound)
    }

    /// Whether the statistics satisfy this; where not, what they say instead.
    fn check(&self, statistics: &Value) -> Result<(), String> {
        let of_hook = |key: &str, symbol: &str| statistics[key].get(symbol).map_or(Some(0), Value::as_u64);
        let value = match (self.hook(), self.counter.strip_prefix(CAME)) {
            (Some(symbol), _) => of_hook("served", symbol),
            (None, Some(symbol)) => of_hook("hooks", symbol),
            (None, None) => count(&statistics[&self.counter]),
        };
        match value {
            None => Err(format!("the statistics have no counter {}", self.counter)),
            Some(value) if (self.holds)(&value, &self.bound) => Ok(()),
            Some(value) => Err(format!("proof {self} does not hold: it is {value}")),
        }
    }
}

fn count(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_bool().map(u64::from))
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Condition, String> {
        let (operator, holds, at) = OPERATORS
            .iter()
            .find_map(|&(operator, holds)| Some((operator, holds, text.find(operator)?)))
            .ok_or_else(|| format!("{text:?} has no comparison"))?;
        let counter = &text[..at];
        let known = counter.strip_prefix(SERVED).map_or(COUNTERS.contains(&counter), |symbol| !symbol.is_empty());
        if !known {
            return Err(format!("{counter:?} is no counter"));
        }
        let bound = text[at + operator.len()..].parse().map_err(|_| format!("{text:?} does not end in a number"))?;
        Ok(Condition { counter: counter.to_owned(), operator, holds, bound })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}{}{}", self.counter, self.operator, self.bound)
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the statistics say where slots changed hands too often: more than once, and once more for each ten calls of hooks.
pub fn too_many_hand_overs(statistics: &str) -> Option<String> {
    let statistics: Value = serde_json::from_str(statistics).ok()?;
    let calls: u64 = statistics["hooks"].as_object()?.values().filter_map(Value::as_u64).sum();
    let (hand_overs, most) = (statistics["hand_overs"].as_u64()?, 1 + calls / 10);
    (hand_overs > most)
        .then(|| format!("{hand_overs} hand-overs in {calls} calls: the header allows no more than {most}"))
}

/// What the statistics fail to prove: one sentence for each condition that does not hold, none when all is proven.
pub fn missing(conditions: &[Condition], statistics: &str) -> Vec<String> {
    match serde_json::from_str::<Value>(statistics) {
        Ok(statistics) => conditions.iter().filter_map(|condition| condition.check(&statistics).err()).collect(),
        Err(why) => vec![format!("the statistics are not JSON: {why}")],
    }
}
