//! The same list in gdb, by the script that is shipped, of a process and of the kernel's core file.

use crate::{is_complete, until, Running};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use crate::support::needs::{skip, skips_without_programs};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/gdb/greenpatch-gdb.py");

/// What gdb prints: the list, then the stack of the thread that waits for a condition variable.
fn gdb(program: &Running, words: &[&str]) -> String {
    let stack = format!("green-thread {} bt", program.said["cond"].0);
    let source = format!("source {SCRIPT}");
    let mut gdb = Command::new("gdb");
    gdb.args(["-q", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set auto-load no"]);
    gdb.args(words);
    for command in [&source, "info green-threads", "echo THE STACK\\n", &stack, "green-thread 5 bt", "bt"] {
        gdb.args(["-ex", command]);
    }
    let output = gdb.output().expect("gdb");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn is_right(program: &Running, text: &str) -> Result<(), String> {
    let (list, rest) = text.split_once("THE STACK\n").ok_or_else(|| text.to_owned())?;
    is_complete(program, list, true)?;
    let frames: Vec<_> = rest.lines().filter(|line| line.starts_with('#')).collect();
    let at = |name: &str| frames.iter().position(|frame| frame.contains(name));
    match (at("#0 "), at("waits_cond ("), at("run_cond ("), at("start_thread"), at(" main (")) {
        (Some(0), Some(waits), Some(runs), Some(starts), Some(own))
            if waits < runs && runs < starts && starts < own =>
        {
            Ok(())
        }
        found => Err(format!("{found:?} in {rest}")),
    }
}

#[test]
fn gdb_lists_the_same_of_a_process() {
    if skips_without_programs(&["gdb"]) {
        return;
    }
    let program = Running::start("waits", "workers=2");
    let pid = program.pid().to_string();
    until("gdb", || is_right(&program, &gdb(&program, &["-p", &pid])));
    assert_eq!(program.end(), Some(0));
}

/// gdb's own gcore leaves out what lies around a guard, so the kernel makes the file.
#[test]
fn gdb_lists_the_same_of_a_core_file() {
    if skips_without_programs(&["gdb"]) {
        return;
    }
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    if pattern.starts_with(['|', '/']) || pattern.contains('%') {
        return skip("the kernel writes core files to elsewhere (core_pattern)");
    }
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel fills the structure.
    unsafe { libc::getrlimit(libc::RLIMIT_CORE, &mut limit) };
    if limit.rlim_max != libc::RLIM_INFINITY {
        return skip("the size of core files is limited (ulimit -H -c)");
    }
    let mut program = Running::start("waits", "workers=2");
    until("the command", || is_complete(&program, &crate::stdout(&program.dump(&[])), false));
    program.signal(libc::SIGABRT);
    let status = program.child.wait().expect("it ends");
    // SAFETY: kill touches no memory; the program's child is left alone by its end.
    unsafe { libc::kill(program.said["child"].1 as i32, libc::SIGKILL) };
    assert!(status.core_dumped(), "{status}");
    let folder = fs::read_dir(program.scratch.path(".")).expect("a folder");
    let names = folder.filter_map(|entry| Some(entry.ok()?.path()));
    let is_core = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("core"));
    let core = names.into_iter().find(|path| is_core(path)).expect("the core file").display().to_string();
    let executable = program.scratch.path("waits").display().to_string();
    is_right(&program, &gdb(&program, &[&executable, &core])).expect("of the core");
}
