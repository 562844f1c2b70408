//! Where the library under test is.

use std::fs;
use std::path::{Path, PathBuf};

/// What `cargo build` made of the present sources, in the profile of this test; or the file that `GREENPATCH_LIB` names.
pub fn library() -> PathBuf {
    if let Some(library) = std::env::var_os("GREENPATCH_LIB") {
        return fs::canonicalize(library).expect("the library that GREENPATCH_LIB names");
    }
    let program = std::env::current_exe().expect("this program's path");
    let library = program.parent().and_then(Path::parent).expect("target/PROFILE").join("libgreenpatch.so");
    let time = |file: &Path| fs::metadata(file).and_then(|facts| facts.modified()).ok();
    // Cargo's list of what the library was made of. A path with a space in it is not found, and nothing is lost.
    let sources = fs::read_to_string(library.with_extension("d")).unwrap_or_default();
    let newest = sources.split_whitespace().skip(1).filter_map(|source| time(Path::new(source))).max();
    let fresh = time(&library).is_some_and(|made| Some(made) >= newest);
    assert!(fresh, "{} is missing or older than its sources: cargo build", library.display());
    library
}
