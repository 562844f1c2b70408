//! Small source trees, each with one fault or none, and what is said of it.

use crate::faults;
use crate::modules::Texts;

/// A tree in which `low` stands below `high`.
struct Sample {
    subject: &'static str,
    /// Files beside a `src/lib.rs` that declares `low` and `high`.
    files: &'static [(&'static str, &'static str)],
    faults: &'static [&'static str],
}

const ORDER: &[&str] = &["low", "high", "lib"];
const LIB: &str = "mod low;\nmod high;\n";

const SAMPLES: &[Sample] = &[
    Sample {
        subject: "arrows down, and a path upward in a string, a comment and a test",
        files: &[
            ("src/low.rs", "//! crate::high::f\npub fn f() -> &'static str { \"crate::high::f\" } // crate::high::f()\n\
                #[cfg(test)]\nmod tests { use crate::high::g; }\n"),
            ("src/high.rs", "use crate::low::f;\npub fn g() { f(); crate::low::f(); }\n"),
        ],
        faults: &[],
    },
    Sample {
        subject: "a use upward",
        files: &[("src/low.rs", "\nuse crate::high::f;\n"), ("src/high.rs", "pub fn f() {}\n")],
        faults: &["src/low.rs:2: f of src/high.rs, which is above"],
    },
    Sample {
        subject: "a qualified path upward",
        files: &[("src/low.rs", "fn g() {\n    let x = crate::high::f();\n}\n"), ("src/high.rs", "pub fn f() {}\n")],
        faults: &["src/low.rs:2: f of src/high.rs, which is above"],
    },
    Sample {
        subject: "a method of a type above",
        files: &[
            ("src/low.rs", "fn g() { crate::high::Thing::new::<u8>(); }\n"),
            ("src/high.rs", "pub struct Thing;\nimpl Thing { pub fn new<T>() {} }\n"),
        ],
        faults: &["src/low.rs:1: Thing::new of src/high.rs, which is above"],
    },
    Sample {
        subject: "an arrow in a macro's body",
        files: &[
            ("src/low.rs", "macro_rules! m {\n    ($x:expr) => { $crate::high::f($x) };\n}\n"),
            ("src/high.rs", "pub fn f() {}\n"),
        ],
        faults: &["src/low.rs:2: f of src/high.rs, which is above"],
    },
    Sample {
        subject: "an arrow in what a macro is given",
        files: &[("src/low.rs", "fn g() { println!(\"{}\", crate::high::f()); }\n"), ("src/high.rs", "pub fn f() {}\n")],
        faults: &["src/low.rs:1: f of src/high.rs, which is above"],
    },
    Sample {
        subject: "a grouped use",
        files: &[
            ("src/low.rs", "use crate::{\n    high::{\n        f,\n        inner::g as h,\n    },\n};\n"),
            ("src/high/mod.rs", "pub mod inner;\npub fn f() {}\n"),
            ("src/high/inner.rs", "pub fn g() {}\n"),
        ],
        faults: &[
            "src/low.rs:4: g of src/high/inner.rs, which is above",
            "src/low.rs:3: f of src/high/mod.rs, which is above",
        ],
    },
    Sample {
        subject: "super::super",
        files: &[
            ("src/low.rs", "mod inner;\n"),
            ("src/low/inner.rs", "fn g() { super::super::high::f() }\n"),
            ("src/high.rs", "pub fn f() {}\n"),
        ],
        faults: &["src/low/inner.rs:1: f of src/high.rs, which is above"],
    },
    Sample {
        subject: "a path through a module's other name, whose import alone is no arrow",
        files: &[
            ("src/low.rs", "use crate::high as up;\nuse crate::high;\n\nfn g() { up::f() }\n"),
            ("src/high.rs", "pub fn f() {}\n"),
        ],
        faults: &["src/low.rs:4: f of src/high.rs, which is above"],
    },
    Sample {
        subject: "an import in a function's body",
        files: &[
            ("src/low.rs", "fn g() {\n    use crate::high as up;\n    up::f();\n}\nfn up() {}\n"),
            ("src/high.rs", "pub fn f() {}\n"),
        ],
        faults: &["src/low.rs:3: f of src/high.rs, which is above"],
    },
    Sample {
        subject: "all names of a module",
        files: &[("src/low.rs", "use crate::high::*;\n"), ("src/high.rs", "pub fn f() {}\n")],
        faults: &["src/low.rs:1: * of src/high.rs, which is above"],
    },
    Sample {
        subject: "a re-export leads to where the item is",
        files: &[
            ("src/low.rs", "mod inner;\nmod other;\npub use inner::f;\npub use crate::high::up;\n"),
            ("src/low/inner.rs", "pub fn f() {}\n"),
            ("src/low/other.rs", "use super::f;\nfn g() { super::up() }\n"),
            ("src/high.rs", "pub fn up() {}\n"),
        ],
        faults: &[
            "src/low.rs:4: up of src/high.rs, which is above",
            "src/low/other.rs:2: up of src/high.rs, which is above",
        ],
    },
    Sample {
        subject: "a function and a module of one name",
        files: &[
            ("src/low.rs", "mod wait;\nuse wait::wait;\nfn g() { wait() }\n"),
            ("src/low/wait.rs", "pub fn wait() { super::wait::again() }\nfn again() {}\n"),
            ("src/high.rs", ""),
        ],
        faults: &[],
    },
    Sample {
        subject: "a circle of three",
        files: &[
            ("src/low.rs", "pub mod a;\npub mod b;\npub mod c;\n"),
            ("src/low/a.rs", "use super::b::f;\npub fn h() {}\n"),
            ("src/low/b.rs", "pub fn f() {\n    super::c::g()\n}\n"),
            ("src/low/c.rs", "use super::a;\npub fn g() {\n\n    a::h()\n}\n"),
            ("src/high.rs", "use crate::low::{a, b};\nfn g() { a::h(); b::f() }\n"),
        ],
        faults: &["a circle of 3 files: src/low/a.rs:1: f of src/low/b.rs; src/low/b.rs:2: g of src/low/c.rs; \
            src/low/c.rs:4: h of src/low/a.rs"],
    },
    Sample {
        subject: "a child that uses what its parent's file defines, and the parent the child",
        files: &[
            ("src/low.rs", "mod inner;\nuse inner::f;\nconst SIZE: *const usize = &1;\n"),
            ("src/low/inner.rs", "use super::SIZE;\npub fn f() {}\n"),
            ("src/high.rs", ""),
        ],
        faults: &["a circle of 2 files: src/low.rs:2: f of src/low/inner.rs; src/low/inner.rs:1: SIZE of src/low.rs"],
    },
    Sample {
        subject: "a macro of the parent's, called by its name",
        files: &[
            ("src/low.rs", "macro_rules! m { () => {} }\nmod inner;\nuse inner::f;\n"),
            ("src/low/inner.rs", "m!();\npub fn f() {}\n"),
            ("src/high.rs", ""),
        ],
        faults: &["a circle of 2 files: src/low.rs:3: f of src/low/inner.rs; src/low/inner.rs:1: m! of src/low.rs"],
    },
    Sample {
        subject: "a macro that makes paths of the modules' names in an included table",
        files: &[
            ("src/low.rs", "mod room;\nmacro_rules! rows {\n    ($($room:ident { $name:ident })*) => { $($room::$name();)* };\n}\n\
                include!(\"low/table.rs\");\npub fn g() {}\n"),
            ("src/low/room.rs", "use super::g;\n"),
            ("src/low/table.rs", "\nrows! { room { f } }\n"),
            ("src/high.rs", ""),
        ],
        faults: &["a circle of 2 files: src/low/table.rs:2: room of src/low/room.rs; src/low/room.rs:1: g of src/low.rs"],
    },
    Sample {
        subject: "names that the linker resolves",
        files: &[
            ("src/low.rs", "global_asm!(r#\"\n    call up      # other\n    ret\"#);\nmod inner;\n"),
            ("src/low/inner.rs", "extern \"C\" {\n    fn other();\n    fn elsewhere();\n}\n"),
            ("src/high.rs", "#[no_mangle]\nextern \"C\" fn up() {}\n#[unsafe(no_mangle)]\n\
                pub extern \"C\" fn other() {}\npub fn ret() {}\n"),
        ],
        faults: &[
            "src/low.rs:2: up of src/high.rs, which is above",
            "src/low/inner.rs:2: other of src/high.rs, which is above",
        ],
    },
    Sample {
        subject: "a command that shares a file with the library by #[path]",
        files: &[
            ("src/low.rs", "pub fn f() { super::high::g() }\n"),
            ("src/high.rs", "pub fn g() {}\n"),
            ("src/bin/tool/main.rs", "mod shared;\nmod high;\nfn main() { shared::low::f() }\n"),
            ("src/bin/tool/high.rs", "use crate::shared::low;\npub fn g() { low::f() }\n"),
            ("src/bin/tool/shared.rs", "#[path = \"../../low.rs\"]\npub mod low;\npub use crate::high;\n"),
        ],
        faults: &[
            "src/bin/tool/high.rs: of no wing",
            "src/bin/tool/main.rs: of no wing",
            "src/bin/tool/shared.rs: of no wing",
            "src/low.rs:1: g of src/high.rs, which is above",
            "a circle of 2 files: src/bin/tool/high.rs:2: f of src/low.rs; src/low.rs:1: g of src/bin/tool/high.rs",
        ],
    },
    Sample {
        subject: "methods in another file than their type's",
        files: &[
            ("src/low.rs", "pub struct Thing<'a>(&'a ());\nimpl<'a> Thing<'a> {}\nimpl Clone for Thing<'_> {}\n"),
            ("src/high.rs", "use crate::low::Thing;\nimpl Drop for Thing<'_> {}\nimpl<'a> Thing<'a> {}\n"),
        ],
        faults: &["src/high.rs:3: methods of Thing, a type of another file"],
    },
    Sample {
        subject: "files of no wing, of no module, and a wing without a file",
        files: &[("src/low.rs", ""), ("src/other.rs", "")],
        faults: &[
            "src/other.rs: no module and no include! names it",
            "src/other.rs: of no wing",
            "the wing high has no file",
        ],
    },
];

fn texts(files: &[(&str, &str)]) -> Texts {
    let mut texts: Texts = files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect();
    let has_high = files.iter().any(|(path, _)| path.starts_with("src/high"));
    texts.insert("src/lib.rs".into(), if has_high { LIB } else { "mod low;\n" }.into());
    texts
}

#[test]
fn every_sample_is_told_as_it_is() {
    for Sample { subject, files, faults: expected } in SAMPLES {
        assert_eq!(faults(&texts(files), ORDER, &[]), *expected, "{subject}");
    }
}

#[test]
fn a_longer_entry_is_a_wing_of_its_own() {
    let files = [("src/low.rs", "mod top;\nuse top::f;\n"), ("src/low/top.rs", "pub fn f() {}\n"), ("src/high.rs", "")];
    assert!(faults(&texts(&files), ORDER, &[]).is_empty());
    let order = ["low", "high", "low/top", "lib"];
    assert_eq!(faults(&texts(&files), &order, &[]), ["src/low.rs:2: f of src/low/top.rs, which is above"]);
}

#[test]
fn circles_that_are_known_are_passed_over_until_they_are_gone() {
    let up = ("src/low.rs", "use crate::high::g;\npub fn f() {}\n");
    let circle = [up, ("src/high.rs", "use crate::low::f;\npub fn g() {}\n")];
    assert!(faults(&texts(&circle), ORDER, &["low", "high"]).is_empty());
    let known = "a circle of 2 files: src/high.rs:1: f of src/low.rs; src/low.rs:1: g of src/high.rs";
    assert_eq!(faults(&texts(&circle), ORDER, &["low"]), ["src/low.rs:1: g of src/high.rs, which is above", known]);
    let straight = [up, ("src/high.rs", "pub fn g() {}\n")];
    assert_eq!(
        faults(&texts(&straight), ORDER, &["high"]),
        ["src/low.rs:1: g of src/high.rs, which is above", "high has no circle: take it out of STILL"]
    );
}
