//! The verdict on a green run: in what it differs from the native one, and what it fails to prove.

use super::header::Header;
use super::hooks;
use super::proof::{self, Condition};
use super::run::Outcome;

/// Everything that is wrong with a green run; nothing when it passes.
pub fn faults(header: &Header, native: &Outcome, green: &Outcome, statistics: Option<&str>) -> Vec<String> {
    let mut faults = differences(header, native, green);
    faults.extend(unproven(header, statistics));
    faults
}

/// In what a run differs from the native one.
pub fn differences(header: &Header, native: &Outcome, green: &Outcome) -> Vec<String> {
    let mut faults = Vec::new();
    if native.ending != green.ending {
        faults.push(format!("ended with {}, natively with {}", green.ending, native.ending));
    }
    if native.stdout != green.stdout {
        let lines = differing_lines(&native.stdout, &green.stdout);
        faults.push(format!("standard output differs (- native, + green)\n{lines}"));
    }
    if header.stderr_differs.is_none() && native.stderr != green.stderr {
        let lines = differing_lines(&native.stderr, &green.stderr);
        faults.push(format!("standard error differs (- native, + green)\n{lines}"));
    }
    faults
}

/// Whatever ends a program, the statistics are there: a signal that ends it by default has them written first.
fn unproven(header: &Header, statistics: Option<&str>) -> Vec<String> {
    let Some(statistics) = statistics else {
        return vec!["no statistics were written: nothing proves that the run was green".into()];
    };
    let mut faults = proof::missing(&conditions(header), statistics);
    if !header.bounds_kernel_threads() {
        faults.extend(proof::too_many_hand_overs(statistics));
    }
    faults
}

/// The header's conditions; and each covered hook has served a call, unless the header says something else of it.
fn conditions(header: &Header) -> Vec<Condition> {
    let among = |symbols: &[String], symbol: &str| symbols.iter().any(|it| it == symbol);
    let named = |symbol: &str| {
        among(&header.uncounted, symbol) || header.proof.iter().any(|condition| condition.hook() == Some(symbol))
    };
    let covered = header.covers.iter().filter(|symbol| hooks::is_hook(symbol) && !named(symbol));
    let covered = covered.map(|symbol| match among(&header.passes, symbol) {
        true => Condition::came(&format!("{symbol}>=1")).expect("a condition"),
        false => Condition::served(symbol),
    });
    header.proof.iter().chain(&header.came).cloned().chain(covered).collect()
}

/// Both texts from the first line in which they differ.
fn differing_lines(native: &[u8], green: &[u8]) -> String {
    const SHOWN: usize = 20;
    let (native, green) = (String::from_utf8_lossy(native), String::from_utf8_lossy(green));
    let same = native.lines().zip(green.lines()).take_while(|(a, b)| a == b).count();
    let from_there = |sign: &str, text: &str| -> String {
        text.lines().skip(same).take(SHOWN).map(|line| format!("{sign} {line}\n")).collect()
    };
    format!("after {same} equal lines:\n{}{}", from_there("-", &native), from_there("+", &green))
}

/// The reason that a program prints as its last line when it cannot be run here.
pub fn last_line(output: &[u8]) -> String {
    String::from_utf8_lossy(output).lines().last().unwrap_or("it does not say why").to_owned()
}
