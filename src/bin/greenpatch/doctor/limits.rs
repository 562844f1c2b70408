//! How much the kernel allows: kernel threads, descriptors, mappings, address space.
//!
//! Green threads need no kernel threads, but stacks; workers need a few of all. A limit is told as such (`State::Limit`) only where it is
//! lower than nearly everywhere, or of a kind that makes every stack count in full.

use std::fs;
use std::path::Path;

use super::probe::{Probe, State};

/// So many mappings a process may have nearly everywhere, the kernel's default; fewer are told as a limit.
const FEW_MAPPINGS: u64 = 65530;
/// So many kernel threads a process may have nearly everywhere; fewer are told as a limit.
const FEW_THREADS: u64 = 256;
/// So many descriptors a process may have nearly everywhere; fewer are told as a limit.
const FEW_FILES: u64 = 1024;

/// Tells every limit, in the order in which they are shown. A limit that the kernel does not tell is shown as none. Address space and
/// overcommit have a line only where they are limited.
pub fn all() -> Vec<Probe> {
    // The lowest of three limits counts, and is named.
    let threads = [
        ("the user's processes (ulimit -u)", resource(libc::RLIMIT_NPROC)),
        ("the cgroup's tasks (pids.max)", pids_max()),
        ("the system's threads (threads-max)", number("/proc/sys/kernel/threads-max")),
    ];
    let most = threads.into_iter().filter_map(|(name, limit)| Some((limit?, name))).min();
    let row = |subject, limit: Option<u64>, few: u64, what: &str| {
        let state = if limit.is_some_and(|limit| limit < few) { State::Limit } else { State::Fact };
        Probe::new(state, subject, format!("{} {what}", limit.map_or("no limit:".into(), |limit| limit.to_string())))
    };
    let kernel_threads = most
        .map_or("kernel threads".into(), |(_, name)| format!("kernel threads, by {name}; green ones are not counted"));
    // The size for threads whose program asks for none (pthread_attr_setstacksize).
    let stack = resource(libc::RLIMIT_STACK).map_or("unlimited: 2 MiB".into(), |bytes| format!("{} KiB", bytes >> 10));
    let mut rows = vec![
        row("kernel threads", most.map(|(limit, _)| limit), FEW_THREADS, &kernel_threads),
        row(
            "descriptors",
            resource(libc::RLIMIT_NOFILE),
            FEW_FILES,
            "descriptors (ulimit -n), of which the library takes some of the highest",
        ),
        row("mappings", most_mappings(), FEW_MAPPINGS, "mappings (vm.max_map_count)"),
        Probe::new(
            State::Fact,
            "stacks",
            format!("{stack} of address space each, unless the program says otherwise (ulimit -s)"),
        ),
    ];
    // Stacks are reserved in full and used in part: where reserved memory counts, they count in full.
    if let Some(bytes) = resource(libc::RLIMIT_AS) {
        rows.push(Probe::new(
            State::Limit,
            "address space",
            format!("{} MiB (ulimit -v): every stack counts in full", bytes >> 20),
        ));
    }
    // Strict accounting: what is reserved counts, whether it is used or not.
    if number("/proc/sys/vm/overcommit_memory") == Some(2) {
        rows.push(Probe::new(State::Limit, "overcommit", "vm.overcommit_memory is 2: every stack counts in full"));
    }
    rows
}

/// Asks for this process's soft limit of a kind, which programs started here inherit. None: there is none.
fn resource(kind: libc::__rlimit_resource_t) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit fills the structure.
    let known = unsafe { libc::getrlimit(kind, &mut limit) } == 0;
    (known && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// Reads the smallest pids.max of the cgroups that this process is in, and of those around them, of either version. None: none has a
/// limit, or no cgroup is to be seen.
fn pids_max() -> Option<u64> {
    let cgroups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let folders = cgroups.lines().filter_map(|line| {
        // A line: hierarchy, controllers (none in version 2), path.
        let (_, rest) = line.split_once(':')?;
        match rest.split_once(':')? {
            ("", path) => Some(format!("/sys/fs/cgroup{path}")),
            ("pids", path) => Some(format!("/sys/fs/cgroup/pids{path}")),
            _ => None,
        }
    });
    // A group's own limit, and those of all groups around it.
    let limit = |folder: String| {
        Path::new(&folder).ancestors().filter_map(|folder| number(folder.join("pids.max").to_str()?)).min()
    };
    folders.filter_map(limit).min()
}

/// Reads how many mappings a process may have (vm.max_map_count). None: the kernel does not tell.
pub fn most_mappings() -> Option<u64> {
    number("/proc/sys/vm/max_map_count")
}

/// Reads a file that holds one number. None: there is no such file, or it holds something else.
fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
