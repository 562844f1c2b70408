//! State and forks: each static of the library that can change says by its type what a fork child does with it, and every `after_fork` is
//! called.
//!
//! - Such a static is `Kept<…>` (src/base/kept.rs), or a struct of src that an `after_fork` takes apart (`let State { a, b: _ } = …`),
//!   without `..`: so a new field does not compile until that function says what becomes of it. The `after_fork` stands in the file of the
//!   struct or of the static. A table of such structs is taken apart by `for`.
//! - An `after_fork` is called by another one, or by the child's first function (`in_child` of src/hooks/process/fork.rs).
//!
//! A type can change if it names an atomic, a cell or the like, or a type of src that can; what is only pointed to does not count. Types
//! are known by their names: those of the same file come first, then the public ones. Thread-locals are the thread's that forks, and stay.

use crate::arrows::Arrows;
use crate::modules::{attribute, is, length_of_item, own_methods, word, Texts};
use crate::texts;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// The first function of a fork child.
const FIRST: &str = "in_child";

/// Types of std and others whose values change behind a shared reference, beside `Atomic…`.
const CHANGING: &[&str] = &[
    "UnsafeCell",
    "SyncUnsafeCell",
    "Cell",
    "RefCell",
    "OnceBox",
    "OnceCell",
    "OnceLock",
    "LazyLock",
    "Mutex",
    "RwLock",
];

#[test]
fn state_says_what_a_fork_child_does_with_it() {
    let faults = faults(&texts());
    assert!(faults.is_empty(), "state that a fork child neither keeps nor decides on\n  {}\n", faults.join("\n  "));
}

/// A type that src defines.
struct Type {
    file: String,
    is_public: bool,
    /// The names in its definition, but for what is only pointed to.
    names: BTreeSet<String>,
}

/// A static with a type of its own.
struct Static {
    file: String,
    line: usize,
    name: String,
    is_mutable: bool,
    names: BTreeSet<String>,
    /// The outermost type: of a table, its elements'.
    outermost: String,
}

/// A function that puts a fork child right.
struct AfterFork {
    file: String,
    line: usize,
    /// The type whose method it is.
    of: Option<String>,
    body: Group,
}

/// What stands in the library's files.
#[derive(Default)]
struct Found {
    types: BTreeMap<String, Vec<Type>>,
    statics: Vec<Static>,
    functions: Vec<AfterFork>,
    /// The functions that are called in a child at first.
    first: Vec<(String, Group)>,
    /// For each field and static, the names in its type.
    declared: BTreeMap<String, BTreeSet<String>>,
}

/// Tells what is wrong, a sentence each.
fn faults(texts: &Texts) -> Vec<String> {
    let mut found = Found::default();
    for (file, text) in texts.iter().filter(|(file, _)| !file.starts_with("src/bin/")) {
        let stream: TokenStream = text.parse().unwrap_or_else(|why| panic!("{file}: no Rust: {why}"));
        found.read(file, None, stream);
    }
    let changing = found.changing();
    let mut faults = Vec::new();
    for Static { file, line, name, is_mutable, names, outermost } in &found.statics {
        let changes = names.iter().any(|name| found.changes(name, file, &changing));
        if *is_mutable || changes && outermost != "Kept" && !found.is_taken_apart(outermost, file) {
            faults
                .push(format!("{file}:{line}: {name} is neither Kept<…> nor a struct that an after_fork takes apart"));
        }
    }
    let arrows = Arrows::of(texts);
    let uncalled = found.functions.iter().filter(|function| !found.is_called(function, &arrows));
    faults.extend(uncalled.map(|function| {
        let of = function.of.as_ref().map_or(String::new(), |of| format!("{of}::"));
        format!("{}:{}: no after_fork calls {of}after_fork, nor does {FIRST}", function.file, function.line)
    }));
    faults
}

impl Found {
    /// Reads the items among these tokens, and inside their brackets. `of`: the type whose methods they are.
    fn read(&mut self, file: &str, of: Option<&str>, stream: TokenStream) {
        let tokens: Vec<_> = stream.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            let rest = &tokens[at..];
            if let Some((attribute, length)) = attribute(rest) {
                let is_test = attribute.stream().to_string().replace(' ', "") == "cfg(test)";
                at += length + if is_test { length_of_item(&rest[length..]) } else { 0 };
                continue;
            }
            let next = rest.get(1).and_then(word);
            match word(&rest[0]).as_deref() {
                Some("static") if !is(at.checked_sub(1).map(|before| &tokens[before]), "'") => {
                    self.add_static(file, rest)
                }
                Some("struct" | "union" | "enum" | "type") if next.is_some() => {
                    let is_public =
                        tokens[at.saturating_sub(2)..at].iter().any(|token| word(token).as_deref() == Some("pub"));
                    self.add_type(file, is_public, rest);
                }
                Some("thread_local") if is(rest.get(1), "!") => {
                    at += 3;
                    continue;
                }
                Some("impl") if of.is_none() => {
                    let length = length_of_item(rest);
                    if let (Some(name), Some(TokenTree::Group(body))) = (own_methods(rest), rest.get(length - 1)) {
                        self.read(file, Some(&name), body.stream());
                        at += length;
                        continue;
                    }
                }
                Some("fn") => self.add_function(file, of, rest),
                _ => {}
            }
            if let Some(TokenTree::Group(group)) = tokens.get(at) {
                self.read(file, of, group.stream());
            }
            at += 1;
        }
    }

    /// `static NAME: TYPE …;`
    fn add_static(&mut self, file: &str, rest: &[TokenTree]) {
        let is_mutable = rest.get(1).and_then(word).as_deref() == Some("mut");
        let at = if is_mutable { 2 } else { 1 };
        let (Some(name), true) = (rest.get(at).and_then(word), is(rest.get(at + 1), ":")) else { return };
        let length = rest[at + 2..]
            .iter()
            .position(|token| is(Some(token), "=") || is(Some(token), ";"))
            .unwrap_or(rest.len() - at - 2);
        let of = &rest[at + 2..at + 2 + length];
        let names = names(of);
        self.declared.entry(name.clone()).or_default().extend(names.iter().cloned());
        let (file, line) = (file.to_owned(), rest[0].span().start().line);
        self.statics.push(Static { file, line, name, is_mutable, names, outermost: outermost(of) });
    }

    /// A struct, union, enum or other name of a type.
    fn add_type(&mut self, file: &str, is_public: bool, rest: &[TokenTree]) {
        let Some(name) = rest.get(1).and_then(word) else { return };
        let end = rest.iter().position(|token| is(Some(token), ";")).unwrap_or(rest.len());
        let body = &rest[2..end.min(length_of_item(rest))];
        if let Some(TokenTree::Group(fields)) = body.last() {
            let fields: Vec<_> = fields.stream().into_iter().collect();
            for at in (0..fields.len()).filter(|&at| is(fields.get(at + 1), ":") && !is(fields.get(at + 2), ":")) {
                let Some(field) = word(&fields[at]).filter(|_| !is(at.checked_sub(1).map(|at| &fields[at]), ":"))
                else {
                    continue;
                };
                let of = fields[at + 2..].split(|token| is(Some(token), ",")).next().unwrap_or_default();
                self.declared.entry(field).or_default().extend(names(of));
            }
        }
        self.types.entry(name).or_default().push(Type { file: file.to_owned(), is_public, names: names(body) });
    }

    fn add_function(&mut self, file: &str, of: Option<&str>, rest: &[TokenTree]) {
        let name = rest.get(1).and_then(word).unwrap_or_default();
        let Some(TokenTree::Group(body)) = rest.get(length_of_item(rest).saturating_sub(1)) else { return };
        if name == FIRST {
            self.first.push((file.to_owned(), body.clone()));
        }
        if name == "after_fork" {
            let (file, line) = (file.to_owned(), rest[0].span().start().line);
            self.functions.push(AfterFork { file, line, of: of.map(str::to_owned), body: body.clone() });
        }
    }

    /// The types of src that can change, by file and name.
    fn changing(&self) -> BTreeSet<(String, String)> {
        let mut changing = BTreeSet::new();
        loop {
            let before = changing.len();
            for (name, all) in &self.types {
                for of in all {
                    if of.names.iter().any(|name| self.changes(name, &of.file, &changing)) {
                        changing.insert((of.file.clone(), name.clone()));
                    }
                }
            }
            if changing.len() == before {
                return changing;
            }
        }
    }

    /// Can the type that a file knows by this name change?
    fn changes(&self, name: &str, file: &str, changing: &BTreeSet<(String, String)>) -> bool {
        let is_meant = |of: &&Type| changing.contains(&(of.file.clone(), name.to_owned()));
        name.starts_with("Atomic") || CHANGING.contains(&name) || self.meant(name, file).iter().any(is_meant)
    }

    /// The types that this name may mean in a file.
    fn meant(&self, name: &str, file: &str) -> Vec<&Type> {
        let all = self.types.get(name).map_or(&[][..], Vec::as_slice);
        let own: Vec<_> = all.iter().filter(|of| of.file == file).collect();
        if own.is_empty() {
            all.iter().filter(|of| of.is_public).collect()
        } else {
            own
        }
    }

    /// Does an `after_fork` of the type's file, or of the static's, take it apart?
    fn is_taken_apart(&self, name: &str, file: &str) -> bool {
        let meant = self.meant(name, file);
        let is_near = |function: &&AfterFork| function.file == file || meant.iter().any(|of| of.file == function.file);
        !meant.is_empty() && self.functions.iter().filter(is_near).any(|function| takes_apart(&function.body, name))
    }

    /// Does an `after_fork`, or the child's first function, call this one?
    fn is_called(&self, function: &AfterFork, arrows: &Arrows) -> bool {
        let callers = self.functions.iter().map(|caller| (&caller.file, &caller.body));
        let mut callers = callers.chain(self.first.iter().map(|(file, body)| (file, body)));
        match &function.of {
            Some(of) => callers.any(|(_, body)| {
                let is_of = |name: &String| self.declared.get(name).is_some_and(|names| names.contains(of));
                receivers(body).iter().any(is_of)
            }),
            None => callers.any(|(file, body)| {
                let reasons = arrows.all.get(&(file.clone(), function.file.clone()));
                let lines = lines(body);
                reasons.is_some_and(|all| all.iter().any(|why| why.name == "after_fork" && lines.contains(&why.line)))
            }),
        }
    }
}

/// The names in a type or a type's definition, but for what is only pointed to.
fn names(tokens: &[TokenTree]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let (mut at, mut depth, mut pointed_at) = (0, 0, None);
    while at < tokens.len() {
        let token = &tokens[at];
        let is_pointer = is(Some(token), "&")
            || is(Some(token), "*")
                && tokens.get(at + 1).and_then(word).is_some_and(|word| word == "const" || word == "mut");
        depth += i32::from(is(Some(token), "<")) - i32::from(is(Some(token), ">"));
        if is_pointer {
            pointed_at = pointed_at.or(Some(depth));
        } else if pointed_at.is_some_and(|from| is(Some(token), ",") && depth <= from || depth < from) {
            pointed_at = None;
        } else if pointed_at.is_none() {
            match token {
                TokenTree::Ident(ident) => drop(names.insert(ident.to_string())),
                TokenTree::Group(group) => {
                    names.extend(self::names(&group.stream().into_iter().collect::<Vec<_>>()));
                }
                _ => {}
            }
        }
        at += 1;
    }
    names
}

/// The last name of the path that a type begins with; of a table, of its elements' type.
fn outermost(tokens: &[TokenTree]) -> String {
    if let Some(TokenTree::Group(table)) = tokens.first() {
        return outermost(&table.stream().into_iter().collect::<Vec<_>>());
    }
    let path = tokens
        .iter()
        .take_while(|token| matches!(token, TokenTree::Ident(_)) || is(Some(token), ":") || is(Some(token), "$"));
    path.filter_map(word).last().unwrap_or_default()
}

/// Does this body hold `let NAME { … }` or `for NAME { … }`, and no `..` in it?
fn takes_apart(body: &Group, name: &str) -> bool {
    let tokens: Vec<_> = body.stream().into_iter().collect();
    let here = tokens.windows(3).any(|window| {
        let begins = word(&window[0]).is_some_and(|word| word == "let" || word == "for");
        let is_it = word(&window[1]).is_some_and(|word| word == name || word == "Self");
        begins && is_it && matches!(&window[2], TokenTree::Group(fields) if names_all(fields))
    });
    here || tokens.iter().any(|token| matches!(token, TokenTree::Group(group) if takes_apart(group, name)))
}

/// Is this the pattern of a struct, with every field?
fn names_all(fields: &Group) -> bool {
    let tokens: Vec<_> = fields.stream().into_iter().collect();
    fields.delimiter() == Delimiter::Brace
        && !tokens.windows(2).any(|pair| pair.iter().all(|token| is(Some(token), ".")))
}

/// The names before `.after_fork(…)` in a body.
fn receivers(body: &Group) -> Vec<String> {
    let tokens: Vec<_> = body.stream().into_iter().collect();
    let calls = tokens
        .windows(3)
        .filter(|window| is(Some(&window[1]), ".") && word(&window[2]).as_deref() == Some("after_fork"));
    let mut all: Vec<_> = calls.filter_map(|window| word(&window[0])).collect();
    for token in &tokens {
        if let TokenTree::Group(group) = token {
            all.extend(receivers(group));
        }
    }
    all
}

fn lines(body: &Group) -> RangeInclusive<usize> {
    body.span_open().start().line..=body.span_close().end().line
}

/// A library's one file beside `src/lib.rs`, which calls its `after_fork`, and what is said of it.
const SAMPLES: &[(&str, &str, &[&str])] = &[
    (
        "what is kept, what is taken apart, and what does not change",
        "static A: Kept<AtomicU32> = Kept::new(AtomicU32::new(0));\nstatic B: crate::kept::Kept<[Cell<u8>; 2]> = f();\n\
            struct State { a: AtomicU32, b: Vec<u8> }\nstatic C: State = State { a: g(), b: h() };\n\
            static D: u32 = 1;\nstatic E: &'static AtomicU32 = &A;\nstruct P { at: *const Cell<u8>, n: u8 }\nstatic F: P = p();\n\
            pub fn after_fork() {\n    let State { a, b: _ } = &C;\n    a.store(0);\n}\n",
        &[],
    ),
    (
        "a bare atomic",
        "pub static A: AtomicU32 = AtomicU32::new(0);\npub fn after_fork() { A.store(0); }\n",
        &["src/low.rs:1: A is neither Kept<…> nor a struct that an after_fork takes apart"],
    ),
    (
        "a struct that is taken apart with `..`, and one that is only used",
        "struct State { a: AtomicU32, b: AtomicU32 }\nstatic A: State = f();\nstruct Other(Locked);\nstruct Locked(UnsafeCell<u8>);\n\
            static B: Other = g();\npub fn after_fork() {\n    let State { a, .. } = &A;\n    B.0.clear();\n}\n",
        &[
            "src/low.rs:2: A is neither Kept<…> nor a struct that an after_fork takes apart",
            "src/low.rs:5: B is neither Kept<…> nor a struct that an after_fork takes apart",
        ],
    ),
    (
        "a struct that another function takes apart",
        "struct State { a: AtomicU32 }\nstatic A: State = f();\nfn g() { let State { a } = &A; }\npub fn after_fork() { A.a.store(0); }\n",
        &["src/low.rs:2: A is neither Kept<…> nor a struct that an after_fork takes apart"],
    ),
    (
        "statics in a macro's argument, in a function, and in a thread-local",
        "table! { static A: [Bucket; 8] = f(); }\nstruct Bucket { n: Alias }\ntype Alias = AtomicU8;\n\
            fn g() { static B: OnceBox<u8> = OnceBox::new(); }\nthread_local! { static C: Cell<u8> = h(); }\n\
            #[cfg(test)]\nmod tests { static D: AtomicU8 = i(); }\npub fn after_fork() {}\n",
        &[
            "src/low.rs:1: A is neither Kept<…> nor a struct that an after_fork takes apart",
            "src/low.rs:4: B is neither Kept<…> nor a struct that an after_fork takes apart",
        ],
    ),
    (
        "a table that is taken apart one by one, and static mut",
        "table! { static A: [Bucket; 8] = f(); }\nstruct Bucket { n: AtomicU8 }\nstatic mut B: u8 = 0;\n\
            pub fn after_fork() {\n    for Bucket { n } in A.iter() { n.store(0); }\n}\n",
        &["src/low.rs:3: B is neither Kept<…> nor a struct that an after_fork takes apart"],
    ),
    (
        "methods, one that is called and one that is not",
        "struct Shelf { n: AtomicU8 }\nimpl Shelf { fn after_fork(&self) { let Shelf { n } = self; n.store(0); } }\n\
            static A: Shelf = f();\nstruct Other { n: AtomicU8 }\n\
            impl Other {\n    fn after_fork(&self) { let Self { n } = self; n.store(0); }\n}\n\
            static B: Other = f();\npub fn after_fork() { A.after_fork(); }\nfn g() { B.after_fork(); }\n",
        &["src/low.rs:6: no after_fork calls Other::after_fork, nor does in_child"],
    ),
];

#[test]
fn every_sample_of_state_is_told_as_it_is() {
    for (subject, text, expected) in SAMPLES {
        let lib = "mod low;\nfn in_child() {\n    low::after_fork();\n}\n";
        let texts = Texts::from([("src/lib.rs".into(), lib.into()), ("src/low.rs".into(), text.to_string())]);
        assert_eq!(faults(&texts), *expected, "{subject}");
    }
}

#[test]
fn a_function_that_only_others_call_is_not_called() {
    let texts = |lib: &str| {
        Texts::from([("src/lib.rs".into(), lib.into()), ("src/low.rs".into(), "\npub fn after_fork() {}\n".into())])
    };
    let fault = "src/low.rs:2: no after_fork calls after_fork, nor does in_child";
    assert_eq!(faults(&texts("mod low;\nfn in_child() {}\nfn start() {\n    low::after_fork();\n}\n")), [fault]);
    let by_another = "mod low;\nfn after_fork() {\n    low::after_fork();\n}\nfn in_child() { after_fork() }\n";
    assert_eq!(faults(&texts(by_another)), ["src/lib.rs:2: no after_fork calls after_fork, nor does in_child"]);
}
