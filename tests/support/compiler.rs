//! The compilers whose warnings are errors. A newer one, or another, may warn of what nobody has seen yet: that is for whoever raises
//! the number below to look at, and no reason for a test to fail where somebody runs it.

use std::collections::HashMap;
use std::process::Command;
use std::sync::Mutex;

/// The newest version of gcc that has compiled all of it without a warning.
const NEWEST_KNOWN: u32 = 16;

/// `-Werror` where this compiler's warnings are known, else no word more.
pub fn strictness(compiler: &str) -> &'static [&'static str] {
    static KNOWN: Mutex<Option<HashMap<String, bool>>> = Mutex::new(None);
    let mut known = KNOWN.lock().expect("no thread panicked");
    let known = known.get_or_insert_default().entry(compiler.to_owned()).or_insert_with(|| {
        let ask = |word: &str| {
            let output = Command::new(compiler).arg(word).output();
            output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
        };
        is_known(&ask("--version"), &ask("-dumpversion"))
    });
    if *known {
        &["-Werror"]
    } else {
        &[]
    }
}

/// Is it a gcc that is not newer than those that were tried? From what it says of itself, and of its version.
pub fn is_known(introduction: &str, version: &str) -> bool {
    let major = version.trim().split('.').next().and_then(|number| number.parse::<u32>().ok());
    introduction.contains("Free Software Foundation") && major.is_some_and(|major| major <= NEWEST_KNOWN)
}
