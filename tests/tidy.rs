//! The house's rules, as tests: what a reviewer would otherwise have to say each time.
//!
//! Rules on a line are rows of a table, and each carries a line that breaks it, so that a rule which never bites is seen.
//! Rules on whole files, and on how files fit together, are tests of their own below.

mod support;

use object::{Object, ObjectSymbol};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use support::header::Header;
use support::hooks::{is_hook, HOOKS, NO_ENTRY};
use support::library::library;

/// A rule that each line of some files keeps.
struct Rule {
    says: &'static str,
    applies_to: fn(&str) -> bool,
    broken_by: fn(&str) -> bool,
    /// A path and a line there that break it.
    sample: (&'static str, &'static str),
}

/// Rules on the text as it stands.
const TEXT_RULES: &[Rule] = &[
    Rule {
        says: "a line has at most 140 columns",
        applies_to: is_source,
        broken_by: |line| line.chars().count() > 140,
        sample: ("src/a.rs", TOO_WIDE),
    },
    Rule {
        says: "no space ends a line",
        applies_to: is_source,
        broken_by: |line| line.ends_with([' ', '\t']),
        sample: ("c-tests/a.c", "int x; "),
    },
    Rule {
        says: "nothing is left for later",
        applies_to: is_source,
        broken_by: |line| {
            line.split(|c: char| !c.is_ascii_alphanumeric() && c != '!').any(|word| LATER.contains(&word))
        },
        sample: ("src/a.rs", concat!("// TO", "DO: the rest")),
    },
    Rule {
        says: "nothing tells where, or by whose help, it was written",
        applies_to: |path| path != "Cargo.lock",
        broken_by: |line| contains_any(&line.to_lowercase(), ELSEWHERE),
        sample: ("README.md", concat!("see /ho", "me/me/greenpatch")),
    },
];

/// Rules on code: what is left of a line without its comment, outside the unit tests.
const CODE_RULES: &[Rule] = &[
    Rule {
        says: "only sys/call.rs enters the kernel",
        applies_to: |path| in_library(path) && !ENTERS_THE_KERNEL.iter().any(|(file, _)| *file == path),
        broken_by: |code| {
            contains_any(
                code,
                &["rustix", "libc::syscall(", "system_call(", "\"syscall\"", "\"syscall\\", "\"syscall;"],
            ) || code.trim() == "syscall"
        },
        sample: ("src/runtime/a.rs", "    asm!(\"syscall\", in(\"rax\") 1);"),
    },
    Rule {
        says: "only sys/end.rs aborts",
        applies_to: |path| in_library(path) && path != "src/sys/end.rs",
        broken_by: |code| contains_any(code, &["process::abort(", "process::exit(", "libc::abort(", "libc::_exit("]),
        sample: ("src/hooks/a.rs", "std::process::abort()"),
    },
    Rule {
        says: "arrows point down: the runtime knows no hook",
        applies_to: in_runtime,
        broken_by: |code| code.contains("hooks::"),
        sample: ("src/runtime/a.rs", "use crate::hooks::real;"),
    },
    Rule {
        says: "arrows point down: the runtime calls no C function (and imports only C's types)",
        applies_to: in_runtime,
        broken_by: |code| calls_libc(code) || imports_more_than_types(code),
        sample: ("src/runtime/a.rs", "let n = unsafe { libc::read(fd, buf, 1) };"),
    },
    Rule {
        says: "arrows point down: sys.rs knows the kernel and its instruction, nothing else",
        applies_to: |path| path.starts_with("src/sys"),
        broken_by: |code| contains_any(code, &["hooks::", "runtime::", "glibc::"]) || calls_libc(code),
        sample: ("src/sys.rs", "use crate::runtime::green;"),
    },
    Rule {
        says: "in the path of somebody else's call: no printing, no std threads, no std locks",
        applies_to: in_library,
        broken_by: |code| {
            contains_any(code, &["print!(", "println!(", "dbg!(", "std::thread", "Mutex<", "Mutex::new", "Condvar"])
        },
        sample: ("src/lib.rs", "eprintln!(\"no\");"),
    },
    Rule {
        says: "nothing panics: a possible thing is a value, an impossible one aborts with a constant string",
        applies_to: in_library,
        broken_by: |code| {
            contains_any(code, &[".unwrap()", ".expect(", "panic!(", "unreachable!(", "assert!(", "assert_eq!("])
                && !contains_any(code, &["const _", "debug_assert"])
        },
        sample: ("src/runtime/a.rs", "let x = y.unwrap();"),
    },
    Rule {
        says: "nothing allocated lives across a wait, which a cancellation or a jump may leave for good",
        applies_to: |path| {
            (path.starts_with("src/hooks/") || WAITS.contains(&path)) && !ALLOCATE.iter().any(|(file, _)| *file == path)
        },
        broken_by: |code| {
            contains_any(code, &["Vec", "vec!", "Box::", "String", "format!", ".collect()", "to_vec()", "to_owned()"])
        },
        sample: ("src/hooks/a.rs", "    let waits: Vec<FdWait> = waits.collect();"),
    },
    Rule {
        says: "who links the library has its own calls hooked: neither the command nor a test names the crate",
        applies_to: |path| path.starts_with("src/bin/") || path.starts_with("tests/"),
        broken_by: |code| contains_any(code, &[concat!("use green", "patch"), concat!("extern crate green", "patch")]),
        sample: ("tests/a.rs", concat!("use green", "patch::config;")),
    },
];

/// What waits are made of, beside the hooks.
const WAITS: &[&str] = &[
    "src/runtime/waiting/wait.rs",
    "src/runtime/news/lot.rs",
    "src/runtime/waiting/readiness.rs",
    "src/runtime/waiting/cancel.rs",
    "src/runtime/waiting/call.rs",
    "src/runtime/waiting/pin.rs",
];

/// Those in which something is allocated all the same, and why.
const ALLOCATE: &[(&str, &str)] = &[
    ("src/hooks/inside/entries.rs", "at the start, when there is one thread"),
    ("src/hooks/inside/resolver.rs", "a context's question, which the thread that asks has and frees"),
    ("src/hooks/proc/task_file.rs", "the text of a file that the kernel has not, made and written without a wait"),
    ("src/hooks/proc/task_list.rs", "a list of threads, made and written without a wait"),
    ("src/hooks/thread/written_names.rs", "a list of pipes, under a lock, without a wait"),
    ("src/runtime/waiting/readiness.rs", "many waits at once, given back before the wait returns"),
];

/// The files of the library in which the instruction that enters the kernel may stand, and why.
const ENTERS_THE_KERNEL: &[(&str, &str)] = &[
    ("src/sys/call.rs", "the door to the kernel"),
    ("src/arch.rs", "the instruction itself, and a farewell that may touch no stack"),
    ("src/arch/inline.rs", "the program's own calls, made from here"),
    ("src/arch/vfork.rs", "vfork's returns twice on one stack"),
];

/// A comment of 141 columns.
const TOO_WIDE: &str = "// \
    123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 \
    123456789 123456789 123456789 12345678";

/// Words that promise instead of doing. Split, because this file keeps the rule too.
const LATER: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("unimpl", "emented!")];

/// Paths of one machine, hosts of registries, helpers. Split for the same reason.
const ELSEWHERE: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/tmp", "/gp"),
    concat!("index.crates", ".io"),
    concat!("pypi", ".org"),
    concat!("deb.debian", ".org"),
    concat!("registry.npm", "js"),
    concat!("clau", "de"),
    concat!("chat", "gpt"),
    concat!("copi", "lot"),
];

fn is_source(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.') {
        Some((_, extension)) => ["rs", "c", "h", "cpp", "py", "sh", "toml"].contains(&extension),
        None => path.starts_with("scripts/") || path.starts_with(".ci/"),
    }
}

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

fn in_library(path: &str) -> bool {
    path.starts_with("src/") && !path.starts_with("src/bin/")
}

fn in_runtime(path: &str) -> bool {
    path.starts_with("src/runtime/")
}

fn contains_any(text: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| text.contains(part))
}

/// Whether a function of the libc crate is called: `libc::` and a lower-case name before a parenthesis.
/// (Its upper-case ones only compute.)
fn calls_libc(code: &str) -> bool {
    code.match_indices("libc::").any(|(at, name)| {
        let rest = &code[at + name.len()..];
        let ours = code[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        !ours && rest[end..].starts_with('(') && !rest[..end].bytes().any(|byte| byte.is_ascii_uppercase())
    })
}

/// Whether something of the libc crate is imported that may be a function: neither a type's name nor a constant's.
fn imports_more_than_types(code: &str) -> bool {
    let Some(names) = code.trim_start().strip_prefix("use libc::") else { return false };
    let names = names.split(|c: char| !c.is_ascii_alphanumeric() && !"_*".contains(c)).filter(|name| !name.is_empty());
    let type_or_constant = |name: &str| {
        name.starts_with("c_")
            || name.ends_with("_t")
            || name.bytes().all(|byte| !byte.is_ascii_lowercase() && byte != b'*')
    };
    !names.into_iter().all(type_or_constant)
}

/// The line without its comment.
fn code(line: &str) -> &str {
    match line.find("//") {
        Some(at) if !line[..at].ends_with(':') => &line[..at],
        _ => line,
    }
}

/// A file of the project: its path from the top, with slashes, and its text.
struct File {
    path: String,
    text: String,
}

impl File {
    /// The lines that are not in the unit tests, which are the last module of a file.
    fn lines_of_code(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.text.find("#[cfg(test)]\nmod ").unwrap_or(self.text.len());
        self.text[..end].lines().map(code).enumerate()
    }

    fn read(path: &str) -> File {
        let text = fs::read_to_string(top().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"));
        File { path: path.into(), text }
    }
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file of the project that satisfies the condition, in order.
fn files(wanted: impl Fn(&str) -> bool) -> Vec<File> {
    let mut files = Vec::new();
    let mut folders = vec![top().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("its entries").path();
            let name = path.strip_prefix(top()).expect("it lies below the top").to_string_lossy().into_owned();
            if ["target", ".git", "__pycache__"].contains(&name.rsplit('/').next().unwrap_or("")) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if wanted(&name) {
                // What is not text is nobody's to read.
                files.extend(fs::read_to_string(&path).ok().map(|text| File { path: name, text }));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// The c-tests and what their headers say.
fn c_tests() -> Vec<(File, Header)> {
    files(|path| path.starts_with("c-tests/") && path.ends_with(".c"))
        .into_iter()
        .map(|file| {
            let header = Header::parse(&file.text).unwrap_or_else(|why| panic!("{}: {why}", file.path));
            (file, header)
        })
        .collect()
}

#[track_caller]
fn none(rule: &str, faults: impl IntoIterator<Item = String>) {
    let faults: Vec<_> = faults.into_iter().collect();
    assert!(faults.is_empty(), "{rule}\n  {}\n", faults.join("\n  "));
}

#[test]
fn every_line_keeps_the_rules() {
    let files = files(|_| true);
    let mut faults = Vec::new();
    for file in &files {
        let place = |line: usize, rule: &Rule| format!("{}:{}: {}", file.path, line + 1, rule.says);
        for rule in TEXT_RULES.iter().filter(|rule| (rule.applies_to)(&file.path)) {
            let broken = file.text.lines().enumerate().filter(|(_, line)| (rule.broken_by)(line));
            faults.extend(broken.map(|(line, _)| place(line, rule)));
        }
        for rule in CODE_RULES.iter().filter(|rule| is_rust(&file.path) && (rule.applies_to)(&file.path)) {
            let broken = file.lines_of_code().filter(|(_, code)| (rule.broken_by)(code));
            faults.extend(broken.map(|(line, _)| place(line, rule)));
        }
    }
    none("lines that break a rule", faults);
}

#[test]
fn every_rule_bites() {
    for rule in TEXT_RULES.iter().chain(CODE_RULES) {
        let (path, line) = rule.sample;
        assert!((rule.applies_to)(path) && (rule.broken_by)(line), "{}: not broken by {line:?}", rule.says);
    }
    assert!(!calls_libc("let a: libc::pollfd = libc::pollfd { fd: libc::AT_FDCWD }; libc::WIFEXITED(status)"));
    assert!(!calls_libc("glibc::join_thread(thread)"));
    assert!(imports_more_than_types("use libc::{c_int, read};") && imports_more_than_types("use libc::*;"));
    assert!(!imports_more_than_types("use libc::{c_int, siginfo_t, EINVAL};"));
    assert_eq!(code("a(); // libc::read()"), "a(); ");
    assert_eq!(undocumented(UNDOCUMENTED), [1, 5]);
}

#[test]
fn every_file_says_what_it_is() {
    let headless = files(is_source).into_iter().filter(|file| {
        let text =
            file.text.strip_prefix("#!").and_then(|rest| rest.split_once('\n')).map_or(&*file.text, |(_, rest)| rest);
        file.path != "Cargo.toml" && !["//", "/*", "#", "\"\"\""].iter().any(|mark| text.starts_with(mark))
    });
    none("files that do not begin with a comment", headless.map(|file| file.path));
}

/// The longest that a file may be, in lines.
const LONGEST: usize = 600;

/// Files and folders in which files are longer, and why. One that has no longer file any more is taken out.
const LONGER: &[(&str, &str)] = &[
    ("c-tests/race_random.c", "one program of many random steps, each a few lines"),
    ("tests/bad_input/calls.c", "a row of bad input for each hook"),
];

#[test]
fn no_file_is_long() {
    let long: Vec<_> = files(is_source).into_iter().filter(|file| file.text.lines().count() > LONGEST).collect();
    let in_list = |file: &&File| !LONGER.iter().any(|(place, _)| file.path.starts_with(place));
    let faults = long.iter().filter(in_list).map(|file| format!("{}: {}", file.path, file.text.lines().count()));
    none("files of more than 600 lines", faults);
    let needless = LONGER.iter().filter(|(place, _)| !long.iter().any(|file| file.path.starts_with(place)));
    none("in LONGER, and no longer long", needless.map(|(place, _)| place.to_string()));
}

#[test]
fn every_unsafe_block_gives_its_reason() {
    let faults = files(is_rust).into_iter().flat_map(|file| {
        undocumented(&file.text.lines().collect::<Vec<_>>())
            .into_iter()
            .map(|line| format!("{}:{line}", file.path))
            .collect::<Vec<_>>()
    });
    none("unsafe blocks without a SAFETY comment", faults);
    let lint = "undocumented_unsafe_blocks";
    assert!(
        File::read("Cargo.toml").text.contains(lint) || File::read("src/lib.rs").text.contains(lint),
        "{lint} is off"
    );
}

/// The numbers of the lines with an unsafe block that no comment explains, in the line or above its statement.
fn undocumented(lines: &[&str]) -> Vec<usize> {
    let explained = |at: usize| {
        let statement =
            lines[..at].iter().rev().take_while(|line| !is_comment(line) && !line.ends_with([';', '{', '}', ',']));
        let begin = at - statement.count();
        let mut comment = lines[..begin].iter().rev().take_while(|line| is_comment(line));
        lines[at].contains("SAFETY:") || comment.any(|line| line.contains("SAFETY:"))
    };
    (0..lines.len()).filter(|&at| opens_unsafe_block(lines[at]) && !explained(at)).map(|at| at + 1).collect()
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

fn opens_unsafe_block(line: &str) -> bool {
    let code = code(line);
    let quoted = code.find("unsafe {").is_some_and(|at| code[..at].matches('"').count() % 2 == 1);
    code.contains("unsafe {") && !quoted
}

const UNDOCUMENTED: &[&str] = &[
    "unsafe { a() };",
    "// SAFETY: b is sound.",
    "let x =",
    "    unsafe { b() };",
    "fn f() { unsafe { c() } }",
    "// SAFETY: d is",
    "// sound.",
    "unsafe { d() };",
];

/// What ARCHITECTURE.md says of the files of `folder`: from the heading, or the bold words, that name it to the next.
fn said_of<'a>(map: &'a str, folder: &str) -> &'a str {
    let marks = [format!("### {folder}:"), format!("**{folder}**:")];
    let Some(at) = marks.iter().find_map(|mark| map.find(mark)) else { return "" };
    let rest = &map[at + 1..];
    let next = ["\n### ", "\n## ", "\n**src/"].iter().filter_map(|mark| rest.find(mark)).min();
    &rest[..next.unwrap_or(rest.len())]
}

#[test]
fn the_map_names_every_file() {
    let map = File::read("ARCHITECTURE.md").text;
    let is_unnamed = |path: &String| {
        let (folder, name) = path.rsplit_once('/').expect("a file of src");
        let said = said_of(&map, folder);
        said.is_empty() || name != "mod.rs" && !said.contains(&format!("`{}`", name.trim_end_matches(".rs")))
    };
    let paths = files(|path| path.starts_with("src/") && is_rust(path)).into_iter().map(|file| file.path);
    none("files that ARCHITECTURE.md does not name where it tells of their folder", paths.filter(is_unnamed));
    assert_eq!(said_of("### src/a: b\n`c`\n**src/a/d**: `e`\n\n## f", "src/a/d"), "*src/a/d**: `e`\n");
    let lines = map.lines().count();
    assert!(lines < 450, "ARCHITECTURE.md has {lines} lines");
}

#[test]
fn every_document_named_is_there() {
    let word = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let faults = files(|path| path != "Cargo.lock").into_iter().flat_map(|file| {
        let named = file.text.split(|c| !word(c)).filter(|name| name.ends_with(".md") && name.len() > ".md".len());
        let missing = named.filter(|name| !top().join(name.trim_start_matches('/')).exists());
        missing.map(|name| format!("{}: {name}", file.path)).collect::<Vec<_>>()
    });
    none("documents that are not there", faults);
}

#[test]
fn what_has_no_entry_is_a_hook() {
    none("no hooks", NO_ENTRY.iter().filter(|(symbol, _)| !is_hook(symbol)).map(|(symbol, _)| symbol.to_string()));
}

#[test]
fn every_hook_has_a_c_test() {
    let covered: BTreeSet<String> = c_tests().into_iter().flat_map(|(_, header)| header.covers).collect();
    let bare = HOOKS.iter().filter(|hook| !covered.contains(hook.symbol));
    none("hooks that no c-test covers", bare.map(|hook| format!("{} ({})", hook.symbol, hook.room)));
}

/// Hooks whose system call, made by its number, does not come to them, and why.
const NUMBER_IS_THE_KERNELS: &[(&str, &str)] = &[
    ("mq_notify", "libc makes SIGEV_THREAD of a thread of its own and another notification; by its number there is no such thread"),
    ("signalfd", "the call of that number has no flags, and its third argument is the mask's size"),
];

#[test]
fn every_hook_has_its_number() {
    let numbered: Vec<File> =
        files(|path| path.starts_with("src/hooks/number/") || path == "src/hooks/process/task.rs");
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let has_row: BTreeSet<&str> = numbered
        .iter()
        .flat_map(|file| file.text.split(|c| !word(c)))
        .filter_map(|it| it.strip_prefix("SYS_"))
        .collect();
    let kernels = system_calls();
    assert!(kernels.contains("read"), "the compiler's <sys/syscall.h> names no system calls");
    let is_excused = |symbol: &str| NUMBER_IS_THE_KERNELS.iter().any(|(name, _)| *name == symbol);
    let bare = HOOKS.iter().map(|hook| hook.symbol).filter(|symbol| kernels.contains(*symbol));
    let bare = bare.filter(|symbol| !has_row.contains(symbol) && !is_excused(symbol));
    none("hooks whose number has no row in src/hooks/number", bare.map(str::to_owned));
    let needless = NUMBER_IS_THE_KERNELS.iter().filter(|(name, _)| has_row.contains(name) || !is_hook(name));
    none("excused, and yet it has a row, or is no hook", needless.map(|(name, _)| name.to_string()));
}

/// The names of the system calls, from the C compiler's headers.
fn system_calls() -> BTreeSet<String> {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let ask = Command::new(compiler).args(["-E", "-dM", "-include", "sys/syscall.h", "-xc", "/dev/null"]).output();
    let macros = String::from_utf8(ask.expect("a C compiler").stdout).expect("text");
    macros.lines().filter_map(|line| Some(line.strip_prefix("#define __NR_")?.split_once(' ')?.0.to_owned())).collect()
}

#[test]
fn c_tests_are_in_order() {
    const FAMILIES: &[&str] = &[
        "io", "net", "poll", "fd", "time", "thread", "sync", "process", "signal", "stdio", "entries", "file", "ipc",
        "name", "live", "inline", "race", "bad",
    ];
    let c_tests = c_tests();
    assert!(c_tests.len() >= 60, "only {} c-tests", c_tests.len());
    let mut faults = Vec::new();
    for (file, header) in &c_tests {
        let family = file.path["c-tests/".len()..].split('_').next().unwrap_or("");
        if !FAMILIES.contains(&family) {
            faults.push(format!("{}: {family} is no family", file.path));
        }
        for symbol in header.proof.iter().filter_map(|condition| condition.hook()).filter(|symbol| !is_hook(symbol)) {
            faults.push(format!("{}: proof: {symbol} is no hook", file.path));
        }
        if header.counts_kernel_threads() && header.processors.is_none() {
            faults.push(format!("{}: it counts kernel threads without `processors:`", file.path));
        }
        let came = header.came.iter().filter_map(|condition| condition.counter.strip_prefix("came."));
        let exceptions = [header.uncounted.iter().map(String::as_str).collect::<Vec<_>>(), came.collect()].concat();
        let passes: Vec<_> = header.passes.iter().map(String::as_str).collect();
        for symbol in exceptions.iter().chain(&passes).filter(|symbol| !header.covers.iter().any(|it| it == *symbol)) {
            faults.push(format!("{}: {symbol} is an exception, and not covered", file.path));
        }
        for symbol in passes.iter().filter(|symbol| !is_hook(symbol)) {
            faults.push(format!("{}: passes: {symbol} is no hook", file.path));
        }
    }
    none("c-tests out of order", faults);
}

#[test]
fn the_library_answers_for_every_required_symbol() {
    let exported = exported_symbols();
    let (needless, pending) = (explained("Calls that need no hook"), explained("Calls that have no hook yet"));
    let list = File::read("tests/required_symbols.txt").text;
    let required = list.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace);
    let required: BTreeSet<String> = required.map(str::to_owned).collect();
    let answered = |symbol: &str| [&exported, &needless, &pending].iter().any(|set| set.contains(symbol));
    let missing = required.iter().filter(|symbol| !answered(symbol));
    none("neither exported nor in docs/reach.md with a reason", missing.cloned());
    none("needs no hook, says docs/reach.md, and yet exported", needless.intersection(&exported).cloned());
    let unexplained = left_out().into_iter().filter(|symbol| required.contains(symbol) && !needless.contains(symbol));
    none("required, left out in the table, but not in docs/reach.md", unexplained);
}

#[test]
fn the_library_exports_its_hooks_and_nothing_else() {
    let hooks: BTreeSet<String> = HOOKS.iter().map(|hook| hook.symbol.to_owned()).collect();
    let exported = exported_symbols();
    none("hooks that are not exported", hooks.difference(&exported).cloned());
    let promised: BTreeSet<String> = File::read("include/greenpatch.h").text.lines().filter_map(promised).collect();
    none("promised by the header, and not exported", promised.difference(&exported).cloned());
    let beside: Vec<_> = BESIDE_THE_TABLE.iter().map(|(symbol, _)| *symbol).collect();
    let stray =
        exported.difference(&hooks).filter(|symbol| !beside.contains(&symbol.as_str()) && !promised.contains(*symbol));
    none("exports that are no hook", stray.cloned());
}

/// The function that a line of the header declares.
fn promised(line: &str) -> Option<String> {
    line.strip_prefix("GP_WEAK ")?.split('(').next()?.rsplit([' ', '*']).next().map(str::to_owned)
}

/// What the library exports beside the rows of its table and what its header promises, and why.
const BESIDE_THE_TABLE: &[(&str, &str)] = &[
    ("greenpatch_figures", "the statistics of a running process, and the mark of this library: src/figures.rs"),
    ("greenpatch_threads", "the green threads of a running process: src/dump/table.rs"),
    ("io_uring_setup", "liburing's, which makes its system calls by itself: src/hooks/process/ring.rs"),
    ("io_uring_queue_init", "the same"),
    ("io_uring_queue_init_params", "the same"),
    ("io_uring_queue_init_mem", "the same"),
    ("io_uring_enable_rings", "the same"),
    ("io_uring_register_ring_fd", "the same"),
    ("vfork", "returns twice, which only assembly may: src/arch/vfork.rs"),
    ("__vfork", "the same"),
    ("swapcontext", "the same"),
];

/// The symbols that the built library defines for others.
fn exported_symbols() -> BTreeSet<String> {
    let data = fs::read(library()).expect("the library");
    let elf = object::File::parse(&*data).expect("an ELF file");
    let defined = elf.dynamic_symbols().filter(|symbol| symbol.is_definition() && symbol.is_global());
    defined.map(|symbol| symbol.name().expect("a symbol's name").to_owned()).collect()
}

/// The symbols that docs/reach.md names below a heading: rows ``| `SYMBOL` … | reason |``.
fn explained(heading: &str) -> BTreeSet<String> {
    let text = File::read("docs/reach.md").text;
    let Some((_, rest)) = text.split_once(&format!("\n## {heading}\n")) else { return BTreeSet::new() };
    let rows = rest.lines().take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| `"));
    let symbols = rows.flat_map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert!(cells.len() == 2 && cells[1].len() > 20, "no reason: {row}");
        cells[0].split_whitespace().map(|symbol| symbol.trim_matches('`'))
    });
    symbols.map(str::to_owned).collect()
}

/// The symbols that the table leaves out on purpose: `// left out: SYMBOL…: reason`.
fn left_out() -> BTreeSet<String> {
    let table = File::read("src/hooks/table.rs").text;
    let rows = table.lines().filter_map(|line| line.trim_start().strip_prefix("// left out: "));
    let symbols = rows.flat_map(|row| {
        let (symbols, reason) = row.split_once(": ").unwrap_or_else(|| panic!("left out without a reason: {row}"));
        assert!(!reason.trim().is_empty(), "left out without a reason: {row}");
        symbols.split_whitespace()
    });
    symbols.map(str::to_owned).collect()
}
