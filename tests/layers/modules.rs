//! The modules of a crate as its files declare them, and every path that stands in them.
//!
//! Files are read as tokens, so that strings and comments hold no paths, and the bodies of macros do. Each `mod` line leads to the next
//! file, `#[path = …]` included; a file that two crates share is read once for each of them. What an `include!` names is read as a part of
//! the file that includes it. Names that only the linker resolves, in assembler and `extern` blocks, are paths too. Unit tests
//! (`#[cfg(test)]`) are left out.
//!
//! Types are not known here: a method's call says nothing of the file that the method stands in. So a type's own methods have to stand in
//! its file, where the value's type came from.

use proc_macro2::{Delimiter, Group, Literal, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};

/// The texts of a source tree, each by its path from the project's top, with slashes.
pub type Texts = BTreeMap<String, String>;

/// A module's number in `Modules::all`.
pub type Id = usize;

/// A module: a file, or a block of one.
#[derive(Default)]
pub struct Module {
    /// The file in which it stands.
    pub file: String,
    /// Its crate's first module.
    pub root: Id,
    /// The module that declares it; the crate's first module has none.
    pub parent: Option<Id>,
    pub children: BTreeMap<String, Id>,
    /// The names that it defines itself, macros among them. What a macro's expansion defines is not seen.
    pub items: BTreeSet<String>,
    pub imports: Vec<Import>,
    /// Modules and types all of whose names are imported (`use PATH::*`).
    pub globs: Vec<Vec<String>>,
    /// Those of them that are modules of this tree.
    pub opened: Vec<Id>,
    pub mentions: Vec<Mention>,
    /// The types whose own methods stand here (`impl TYPE { … }`), and the lines.
    pub impls: Vec<(String, usize)>,
    /// Macros that take a module's name and begin a path with it (`$room::$handler`).
    module_takers: BTreeSet<String>,
}

/// A name that a `use` brings into a module.
#[derive(Clone)]
pub struct Import {
    pub name: String,
    pub path: Vec<String>,
}

/// A place where a path stands: in a `use`, in code, in a macro's body, or in what a macro is given.
pub struct Mention {
    /// The file of the text; with `include!` it is not the module's.
    pub file: String,
    pub line: usize,
    pub path: Vec<String>,
    pub kind: MentionKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum MentionKind {
    /// A path of a `use`. A module that it names is not used by that alone.
    Use,
    /// A path in code.
    Path,
    /// The name of a macro that is called.
    Macro,
    /// The name of a module, given to a macro that begins a path with it.
    Given,
    /// A file that `include!` or `include_str!` names: the path's only part.
    Include,
    /// A name that the linker may resolve: a word of assembler, or a declaration in an `extern` block.
    Linked,
}

/// Every module of every crate of a source tree.
pub struct Modules {
    pub all: Vec<Module>,
    /// Files that a module or an `include!` names, and the crates' first files.
    pub reached: BTreeSet<String>,
    /// The items that the linker knows by their names (`#[no_mangle]`), and the files that define them.
    pub linked: BTreeMap<String, String>,
}

impl Modules {
    /// Reads the crates of a source tree: the library's `src/lib.rs`, and each command's `src/bin/NAME/main.rs`. Panics where a file is
    /// no Rust, or a `mod` line leads nowhere.
    pub fn read(texts: &Texts) -> Modules {
        let mut reader =
            Reader { texts, modules: Modules { all: Vec::new(), reached: BTreeSet::new(), linked: BTreeMap::new() } };
        let is_root = |path: &&String| {
            *path == "src/lib.rs" || path.starts_with("src/bin/") && path.ends_with("/main.rs") && parts(path) == 4
        };
        for path in texts.keys().filter(is_root) {
            let root = reader.modules.all.len();
            reader.modules.all.push(Module { file: path.clone(), root, ..Module::default() });
            reader.file(root, path, &folder(path));
        }
        reader.modules
    }
}

fn parts(path: &str) -> usize {
    path.split('/').count()
}

/// The folder of a file.
fn folder(path: &str) -> String {
    path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned()
}

/// `path`, seen from `folder`, without `..`.
fn join(folder: &str, path: &str) -> String {
    let mut all: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => drop(all.pop()),
            part => all.push(part),
        }
    }
    all.join("/")
}

/// Where the tokens stand that are read.
#[derive(Clone)]
struct Place<'a> {
    module: Id,
    /// The file of the text.
    file: &'a str,
    /// The folder in which the module's children have their files.
    folder: &'a str,
    /// True if the tokens are a module's own items, not the inside of one.
    items: bool,
    /// True if they are the declarations of an `extern` block.
    external: bool,
    /// True if they are assembler, whose strings name what the linker knows.
    assembler: bool,
    /// The macro whose body they are.
    body_of: Option<&'a str>,
    /// True if they are given to a macro that takes modules' names.
    given: bool,
    /// The imports of the blocks around.
    locals: Vec<Import>,
}

struct Reader<'a> {
    texts: &'a Texts,
    modules: Modules,
}

impl Reader<'_> {
    /// Reads a module's file.
    fn file(&mut self, module: Id, path: &str, folder: &str) {
        self.modules.reached.insert(path.to_owned());
        let place = Place {
            module,
            file: path,
            folder,
            items: true,
            external: false,
            assembler: false,
            body_of: None,
            given: false,
            locals: Vec::new(),
        };
        self.tokens(&self.parse(path), &place);
    }

    fn parse(&self, path: &str) -> Vec<TokenTree> {
        let text = self.texts.get(path).unwrap_or_else(|| panic!("{path}: there is no such file"));
        let stream: TokenStream = text.parse().unwrap_or_else(|why| panic!("{path}: no Rust: {why}"));
        stream.into_iter().collect()
    }

    fn module(&mut self, id: Id) -> &mut Module {
        &mut self.modules.all[id]
    }

    /// Reads tokens of one level, and what stands in their brackets.
    fn tokens(&mut self, tokens: &[TokenTree], place: &Place) {
        let mut at = 0;
        let (mut path_attribute, mut is_linked) = (None, false);
        while at < tokens.len() {
            let rest = &tokens[at..];
            if let Some((attribute, length)) = attribute(rest) {
                if attribute.stream().to_string().replace(' ', "") == "cfg(test)" {
                    at += length + length_of_item(&rest[length..]);
                    continue;
                }
                path_attribute = path_of(&attribute).or(path_attribute);
                is_linked |= attribute.stream().to_string().contains("no_mangle");
                self.group(&attribute, place);
                at += length;
                continue;
            }
            if let Some(name) = defined(rest).filter(|_| std::mem::take(&mut is_linked)) {
                self.modules.linked.insert(name, place.file.to_owned());
            }
            at += match word(&rest[0]).as_deref() {
                Some("use") if !is(rest.get(1), "<") => self.use_tree(rest, place),
                Some("mod") if place.items && rest.len() > 2 => self.child(rest, place, path_attribute.take()),
                Some("macro_rules") if is(rest.get(1), "!") && rest.len() > 3 => self.macro_rules(rest, place),
                Some("impl") if place.items && begins_item(tokens, at) => {
                    let line = rest[0].span().start().line;
                    self.module(place.module).impls.extend(own_methods(rest).map(|name| (name, line)));
                    1
                }
                Some("extern") if place.items => self.extern_block(rest, place),
                Some(_) => self.word(tokens, at, place),
                None => {
                    match &rest[0] {
                        TokenTree::Group(group) => self.group(group, place),
                        TokenTree::Literal(text) if place.assembler => self.assembler(text, place),
                        _ => {}
                    }
                    1
                }
            };
        }
    }

    /// Reads what stands in brackets: no items. What a block imports holds in the block.
    fn group(&mut self, group: &Group, place: &Place) {
        let tokens: Vec<_> = group.stream().into_iter().collect();
        let mut inside = Place { items: false, ..place.clone() };
        if group.delimiter() == Delimiter::Brace {
            for at in (0..tokens.len()).filter(|&at| word(&tokens[at]).as_deref() == Some("use")) {
                let leaves = leaves(&tokens[at + 1..]).0;
                let imports = leaves.into_iter().filter(|leaf| leaf.path.len() > 1 && leaf.name != "*");
                inside.locals.extend(imports.map(|leaf| Import { name: leaf.name, path: leaf.path }));
            }
        }
        self.tokens(&tokens, &inside);
    }

    /// `use …;`: what it brings in, and the paths that it names.
    fn use_tree(&mut self, rest: &[TokenTree], place: &Place) -> usize {
        let (leaves, length) = leaves(&rest[1..]);
        for leaf in leaves {
            let (file, line) = (place.file.to_owned(), leaf.line);
            let mut path = leaf.path.clone();
            let module = self.module(place.module);
            if leaf.name == "*" {
                module.globs.push(path.clone());
                path.push("*".into());
            } else if place.items {
                module.imports.push(Import { name: leaf.name, path: leaf.path });
            }
            module.mentions.push(Mention { file, line, path, kind: MentionKind::Use });
        }
        1 + length
    }

    /// `mod name;` or `mod name { … }`.
    fn child(&mut self, rest: &[TokenTree], place: &Place, file: Option<String>) -> usize {
        let Some(name) = word(&rest[1]) else { return 1 };
        let id = self.modules.all.len();
        let (root, around) = (self.module(place.module).root, self.module(place.module).file.clone());
        self.module(place.module).children.insert(name.clone(), id);
        let within = join(place.folder, &name);
        let module = Module { root, parent: Some(place.module), ..Module::default() };
        if let TokenTree::Group(block) = &rest[2] {
            self.modules.all.push(Module { file: around, ..module });
            let tokens: Vec<_> = block.stream().into_iter().collect();
            self.tokens(&tokens, &Place { module: id, folder: &within, ..place.clone() });
            return 3;
        }
        let (path, within) = match file {
            Some(file) => {
                let path = join(&folder(place.file), &file);
                let within = folder(&path);
                (path, within)
            }
            None => {
                let flat = format!("{within}.rs");
                (if self.texts.contains_key(&flat) { flat } else { format!("{within}/mod.rs") }, within)
            }
        };
        self.modules.all.push(Module { file: path.clone(), ..module });
        self.file(id, &path, &within);
        3
    }

    fn macro_rules(&mut self, rest: &[TokenTree], place: &Place) -> usize {
        let Some(name) = word(&rest[2]) else { return 1 };
        if place.items {
            self.module(place.module).items.insert(name.clone());
        }
        if let TokenTree::Group(body) = &rest[3] {
            self.group(body, &Place { body_of: Some(&name), ..place.clone() });
        }
        4
    }

    /// `extern "C" { … }`, whose declarations are items of the module; anything else that begins so is read on behind the word.
    fn extern_block(&mut self, rest: &[TokenTree], place: &Place) -> usize {
        let at = if matches!(rest.get(1), Some(TokenTree::Literal(_))) { 2 } else { 1 };
        let Some(TokenTree::Group(block)) = rest.get(at) else { return at };
        let tokens: Vec<_> = block.stream().into_iter().collect();
        self.tokens(&tokens, &Place { external: true, ..place.clone() });
        at + 1
    }

    /// A line or more of assembler: every word may be a name, up to a comment.
    fn assembler(&mut self, text: &Literal, place: &Place) {
        let begin = text.span().start().line;
        for (at, line) in text.to_string().lines().enumerate() {
            let code = line.split(" #").next().unwrap_or(line);
            let words = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.len() > 1);
            words.for_each(|word| self.mention(begin + at, vec![word.to_owned()], MentionKind::Linked, place));
        }
    }

    /// A word: an item's keyword, a path's beginning, a macro's name, or nothing of interest. Answers how many tokens it took.
    fn word(&mut self, tokens: &[TokenTree], at: usize, place: &Place) -> usize {
        let rest = &tokens[at..];
        let is_before = |symbol| at > 0 && is(tokens.get(at - 1), symbol);
        if place.items && !is_before("*") && !is_before("'") {
            if let Some(name) = defined(rest) {
                if place.external {
                    self.mention(rest[0].span().start().line, vec![name.clone()], MentionKind::Linked, place);
                }
                self.module(place.module).items.insert(name);
                return 1;
            }
        }
        let (path, length) = path(rest);
        let line = rest[0].span().start().line;
        // `>::name` and `::name` begin nothing that stands in a file of ours.
        if at > 1 && is_before(":") && is(tokens.get(at - 2), ":") {
            return length;
        }
        if is_before("$") && path[0] != "crate" {
            let goes_on = path.len() > 1 || is(rest.get(length), ":") && is(rest.get(length + 1), ":");
            if let Some(name) = place.body_of.filter(|_| goes_on) {
                self.module(place.module).module_takers.insert(name.to_owned());
            }
            return length;
        }
        let called = is(rest.get(length), "!") && matches!(rest.get(length + 1), Some(TokenTree::Group(_)));
        if called && path.len() == 1 && ["include", "include_str", "include_bytes"].contains(&&*path[0]) {
            return self.include(&path[0], &rest[length + 1], line, place).map_or(length, |()| length + 2);
        }
        // (`fd: c_int` is an argument.)
        let is_argument = is(rest.get(1), ":");
        if place.given && path.len() == 1 && !is_argument && self.module(place.module).children.contains_key(&path[0]) {
            self.mention(line, path.clone(), MentionKind::Given, place);
        }
        if called || path.len() > 1 {
            let kind = if called { MentionKind::Macro } else { MentionKind::Path };
            self.mention(line, path.clone(), kind, place);
        }
        if called {
            let TokenTree::Group(group) = &rest[length + 1] else { return length };
            let takes = path.len() == 1 && self.module(place.module).module_takers.contains(&path[0]);
            let assembler = place.assembler || path.last().is_some_and(|name| name.ends_with("asm"));
            self.group(group, &Place { given: place.given || takes, assembler, ..place.clone() });
            return length + 2;
        }
        length
    }

    fn mention(&mut self, line: usize, mut path: Vec<String>, kind: MentionKind, place: &Place) {
        if let Some(local) = place.locals.iter().rev().find(|import| import.name == path[0]) {
            path.splice(..1, local.path.iter().cloned());
        }
        self.module(place.module).mentions.push(Mention { file: place.file.to_owned(), line, path, kind });
    }

    /// `include!("…")` of a file of the tree. None: the file is none of it, or no plain string names it.
    fn include(&mut self, how: &str, arguments: &TokenTree, line: usize, place: &Place) -> Option<()> {
        let TokenTree::Group(arguments) = arguments else { return None };
        let path = join(&folder(place.file), &text_of(&arguments.stream().into_iter().next()?)?);
        if !self.texts.contains_key(&path) {
            return None;
        }
        self.modules.reached.insert(path.clone());
        self.mention(line, vec![path.clone()], MentionKind::Include, place);
        if how == "include" {
            self.tokens(&self.parse(&path), &Place { file: &path, ..place.clone() });
        }
        Some(())
    }
}

pub fn word(token: &TokenTree) -> Option<String> {
    match token {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    }
}

pub fn is(token: Option<&TokenTree>, symbol: &str) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if symbol.starts_with(punct.as_char()))
}

fn text_of(literal: &TokenTree) -> Option<String> {
    let TokenTree::Literal(literal) = literal else { return None };
    let text = literal.to_string();
    Some(text.strip_prefix('"')?.strip_suffix('"')?.to_owned())
}

/// `#[…]` or `#![…]` at the beginning, and how many tokens that is.
pub fn attribute(tokens: &[TokenTree]) -> Option<(Group, usize)> {
    if !is(tokens.first(), "#") {
        return None;
    }
    let at = if is(tokens.get(1), "!") { 2 } else { 1 };
    match tokens.get(at) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket => Some((group.clone(), at + 1)),
        _ => None,
    }
}

/// The file that `#[path = "…"]` names.
fn path_of(attribute: &Group) -> Option<String> {
    let tokens: Vec<_> = attribute.stream().into_iter().collect();
    (word(tokens.first()?)? == "path").then(|| text_of(tokens.get(2)?)).flatten()
}

/// How many tokens an item takes: up to its block, or its semicolon.
pub fn length_of_item(tokens: &[TokenTree]) -> usize {
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        token => is(Some(token), ";"),
    };
    tokens.iter().position(ends).map_or(tokens.len(), |end| end + 1)
}

/// The name that an item's keyword at the beginning defines.
fn defined(tokens: &[TokenTree]) -> Option<String> {
    const KEYWORDS: [&str; 8] = ["fn", "struct", "enum", "union", "trait", "type", "const", "static"];
    let keyword = word(&tokens[0]).filter(|keyword| KEYWORDS.contains(&&**keyword))?;
    let is_mutable = keyword == "static" && tokens.get(1).and_then(word).as_deref() == Some("mut");
    let name = word(tokens.get(if is_mutable { 2 } else { 1 })?)?;
    (!["fn", "unsafe", "extern", "async"].contains(&&*name)).then_some(name)
}

/// Tells whether an item may begin at this place: behind another's end, an attribute or `unsafe`.
fn begins_item(tokens: &[TokenTree], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|before| &tokens[before]) else { return true };
    let ends = matches!(before, TokenTree::Group(group) if group.delimiter() != Delimiter::Parenthesis);
    ends || is(Some(before), ";") || word(before).as_deref() == Some("unsafe")
}

/// The type whose own methods the `impl` at the beginning has. None: it is a trait's, or the type no plain name.
pub fn own_methods(tokens: &[TokenTree]) -> Option<String> {
    let head = &tokens[1..length_of_item(tokens) - 1];
    let mut depth = 0;
    let mut names = head.iter().filter(|token| {
        depth += i32::from(is(Some(token), "<")) - i32::from(is(Some(token), ">"));
        depth == 0 && !is(Some(token), ">")
    });
    let name = word(names.next()?)?;
    names.all(|token| word(token).is_none_or(|word| word != "for")).then_some(name)
}

/// The path at the beginning, as far as it goes without generic arguments, and how many tokens that is.
fn path(tokens: &[TokenTree]) -> (Vec<String>, usize) {
    let mut path = vec![word(&tokens[0]).unwrap_or_default()];
    let mut length = 1;
    while is(tokens.get(length), ":") && is(tokens.get(length + 1), ":") {
        let Some(next) = tokens.get(length + 2).and_then(word) else { break };
        path.push(next);
        length += 3;
    }
    (path, length)
}

/// A name at the end of a `use` tree.
struct Leaf {
    path: Vec<String>,
    /// The name by which it is known here; `*` for all names of the path.
    name: String,
    line: usize,
}

/// The names of a `use` tree, from behind the word `use`, and how many tokens it takes with its semicolon.
fn leaves(tokens: &[TokenTree]) -> (Vec<Leaf>, usize) {
    let length = tokens.iter().position(|token| is(Some(token), ";")).unwrap_or(tokens.len());
    let mut all = Vec::new();
    tree(&tokens[..length], &[], &mut all);
    (all, (length + 1).min(tokens.len()))
}

fn tree(tokens: &[TokenTree], prefix: &[String], all: &mut Vec<Leaf>) {
    let mut path = prefix.to_vec();
    let mut at = 0;
    while at < tokens.len() {
        let line = tokens[at].span().start().line;
        match &tokens[at] {
            TokenTree::Group(group) => {
                let inside: Vec<_> = group.stream().into_iter().collect();
                inside.split(|token| is(Some(token), ",")).for_each(|part| tree(part, &path, all));
                return;
            }
            // All names; or, in a macro's body, one that is not known here.
            token if is(Some(token), "*") || is(Some(token), "$") && !is_crate(tokens.get(at + 1)) => {
                return all.push(Leaf { path, name: "*".into(), line });
            }
            TokenTree::Ident(ident) if ident == "as" => break,
            TokenTree::Ident(ident) if ident == "self" && !path.is_empty() && at == 0 => {}
            TokenTree::Ident(ident) => path.push(ident.to_string()),
            _ => {}
        }
        at += 1;
    }
    let Some(last) = path.last().filter(|_| !tokens.is_empty()) else { return };
    let name = tokens.get(at + 1).and_then(word).unwrap_or_else(|| last.clone());
    all.push(Leaf { path, name, line: tokens[0].span().start().line });
}

fn is_crate(token: Option<&TokenTree>) -> bool {
    token.and_then(word).as_deref() == Some("crate")
}
