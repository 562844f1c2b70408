//! Proof that a green run was green: conditions on the statistics that the library writes when the program ends.
//!
//! A run that quietly fell through to libc agrees with the native run in everything; only this tells the two apart.

use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// The counters that a condition may name; any other name must be `hooks.SYMBOL`. `started` counts as 0 or 1.
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
    /// That the program called this hook.
    pub fn counted(symbol: &str) -> Condition {
        Condition { counter: format!("hooks.{symbol}"), operator: ">=", holds: u64::ge, bound: 1 }
    }

    /// The symbol, where the condition is on a hook's count.
    pub fn hook(&self) -> Option<&str> {
        self.counter.strip_prefix("hooks.")
    }

    /// Whether the statistics satisfy this; where not, what they say instead.
    fn check(&self, statistics: &Value) -> Result<(), String> {
        let value = match self.hook() {
            Some(symbol) => statistics["hooks"].get(symbol).map_or(Some(0), Value::as_u64),
            None => count(&statistics[&self.counter]),
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
        let known = counter.strip_prefix("hooks.").map_or(COUNTERS.contains(&counter), |symbol| !symbol.is_empty());
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

/// What the statistics fail to prove: one sentence for each condition that does not hold, none when all is proven.
pub fn missing(conditions: &[Condition], statistics: &str) -> Vec<String> {
    match serde_json::from_str::<Value>(statistics) {
        Ok(statistics) => conditions.iter().filter_map(|condition| condition.check(&statistics).err()).collect(),
        Err(why) => vec![format!("the statistics are not JSON: {why}")],
    }
}
