//! Which file imports what from which file, and the circles of such arrows.
//!
//! An arrow goes from the file in which a path stands to the file in which the named item really is: imports are followed, so that a
//! re-export hides nothing. A `mod` line is no arrow, nor is the import of a whole module; the paths that begin with its name are.

use crate::modules::{Id, Import, Mention, MentionKind, Module, Modules, Texts};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How deep imports of imports are followed. Rust itself forbids circles among them; a text that is no program may have one.
const DEEPEST: usize = 16;

/// Where an arrow begins, and what it names there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    pub file: String,
    pub line: usize,
    pub name: String,
}

/// The arrows of a source tree.
pub struct Arrows {
    /// From file to file, for these reasons.
    pub all: BTreeMap<(String, String), BTreeSet<Reason>>,
    /// Files that no module and no `include!` names.
    pub unreached: Vec<String>,
    /// Own methods of types that are not of the same file, in words: calls of them would be arrows that are not seen.
    pub strange_impls: Vec<String>,
}

/// The target of a path: something of this module; without a name, the module itself.
struct Found {
    module: Id,
    item: Vec<String>,
}

impl Arrows {
    pub fn of(texts: &Texts) -> Arrows {
        let mut modules = Modules::read(texts);
        modules.open_globs();
        let mut all: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (id, module) in modules.all.iter().enumerate() {
            for mention in &module.mentions {
                let Some((file, name)) = modules.target(id, mention).filter(|(file, _)| *file != module.file) else {
                    continue;
                };
                let reason = Reason { file: mention.file.clone(), line: mention.line, name };
                all.entry((module.file.clone(), file)).or_default().insert(reason);
            }
        }
        let unreached = texts.keys().filter(|path| !modules.reached.contains(*path)).cloned().collect();
        Arrows { all, unreached, strange_impls: modules.strange_impls() }
    }

    /// An arrow in words: `FILE:LINE: NAME of FILE`, where it stands first.
    pub fn shown(&self, from: &str, to: &str) -> String {
        let reason = self.all.get(&(from.to_owned(), to.to_owned())).and_then(BTreeSet::first);
        reason.map_or_else(String::new, |Reason { file, line, name }| format!("{file}:{line}: {name} of {to}"))
    }

    /// Groups of files of which each is reached from each other along arrows.
    pub fn circles(&self) -> Vec<BTreeSet<String>> {
        let files: BTreeSet<_> = self.all.keys().map(|(from, _)| from.clone()).collect();
        let reached: BTreeMap<_, _> = files.iter().map(|file| (file, self.reached_from(file))).collect();
        let mut circles = BTreeSet::new();
        for (&file, from_here) in &reached {
            let back = |other: &&String| reached.get(other).is_some_and(|from_there| from_there.contains(file));
            if from_here.contains(file) {
                circles.insert(from_here.iter().filter(back).cloned().collect());
            }
        }
        circles.into_iter().collect()
    }

    fn reached_from(&self, file: &str) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut open = vec![file.to_owned()];
        while let Some(from) = open.pop() {
            open.extend(self.targets(&from).filter(|to| reached.insert(to.to_string())).map(str::to_owned));
        }
        reached
    }

    fn targets<'a>(&'a self, from: &'a str) -> impl Iterator<Item = &'a str> {
        let first = (from.to_owned(), String::new());
        self.all.range(first..).take_while(move |((file, _), _)| file == from).map(|((_, to), _)| &**to)
    }

    /// A shortest way round through files of a group, from its first file by name on. Empty, if the group is no circle.
    pub fn shortest(&self, circle: &BTreeSet<String>) -> Vec<String> {
        let rounds = circle.iter().filter_map(|file| self.round(file));
        rounds.min_by_key(Vec::len).unwrap_or_default()
    }

    /// A shortest way from a file back to itself.
    fn round(&self, start: &str) -> Option<Vec<String>> {
        let mut came_from: BTreeMap<String, String> = BTreeMap::new();
        let mut open = VecDeque::from([start.to_owned()]);
        while let Some(from) = open.pop_front() {
            for to in self.targets(&from) {
                if to == start {
                    let mut way = vec![from.clone()];
                    while way.last().is_some_and(|last| last != start) {
                        way.push(came_from[&way[way.len() - 1]].clone());
                    }
                    way.reverse();
                    return Some(way);
                }
                if !came_from.contains_key(to) {
                    came_from.insert(to.to_owned(), from.clone());
                    open.push_back(to.to_owned());
                }
            }
        }
        None
    }
}

impl Modules {
    /// Finds the modules all of whose names are imported, before anything is looked for in them.
    fn open_globs(&mut self) {
        let opened = |(id, module): (Id, &Module)| -> Vec<Id> {
            let found = module.globs.iter().filter_map(|path| self.find(id, path, 0));
            found.filter(|found| found.item.is_empty() && found.module != id).map(|found| found.module).collect()
        };
        let all: Vec<_> = self.all.iter().enumerate().map(opened).collect();
        self.all.iter_mut().zip(all).for_each(|(module, opened)| module.opened = opened);
    }

    fn strange_impls(&self) -> Vec<String> {
        let defined: BTreeSet<_> =
            self.all.iter().flat_map(|module| module.items.iter().map(|name| (&module.file, name))).collect();
        let impls =
            self.all.iter().flat_map(|module| module.impls.iter().map(|(name, line)| (&module.file, name, line)));
        let strange: BTreeSet<_> = impls.filter(|(file, name, _)| !defined.contains(&(*file, *name))).collect();
        strange
            .iter()
            .map(|(file, name, line)| format!("{file}:{line}: methods of {name}, a type of another file"))
            .collect()
    }

    /// Finds the file and the name that a mention leads to. None: nothing of this tree, or a module as such.
    fn target(&self, id: Id, mention: &Mention) -> Option<(String, String)> {
        let path = &mention.path;
        match mention.kind {
            MentionKind::Include => return Some((path[0].clone(), "all".into())),
            MentionKind::Given => {
                return Some((self.all[self.all[id].children[&path[0]]].file.clone(), path[0].clone()))
            }
            MentionKind::Linked => return self.linked.get(&path[0]).map(|file| (file.clone(), path[0].clone())),
            MentionKind::Macro if path.len() == 1 => return self.macro_above(id, &path[0]),
            // A path that begins with an imported item belongs to that import's arrow.
            MentionKind::Path if self.begins_with_import(id, path) => return None,
            _ => {}
        }
        let found = self.find(id, path, 0)?;
        let file = self.all[found.module].file.clone();
        (!found.item.is_empty()).then(|| (file, found.item.join("::")))
    }

    /// Tells whether a path begins with an imported name that is no module's.
    fn begins_with_import(&self, id: Id, path: &[String]) -> bool {
        let import = self.import(id, &path[0]);
        import.is_some_and(|import| self.find(id, &import.path, 1).is_some_and(|found| !found.item.is_empty()))
    }

    /// A macro called by its bare name, which a module around may define: macros are known in the modules that follow them.
    fn macro_above(&self, id: Id, name: &str) -> Option<(String, String)> {
        if self.import(id, name).is_some() {
            return None;
        }
        let mut above = Some(id);
        while let Some(module) = above {
            if self.all[module].items.contains(name) {
                return Some((self.all[module].file.clone(), format!("{name}!")));
            }
            above = self.all[module].parent;
        }
        None
    }

    fn import(&self, id: Id, name: &str) -> Option<&Import> {
        self.all[id].imports.iter().find(|import| import.name == name)
    }

    /// Finds what a path names, seen from a module. None: nothing of this tree.
    fn find(&self, from: Id, path: &[String], depth: usize) -> Option<Found> {
        let first = path.first()?;
        match &**first {
            "crate" => self.below(self.all[from].root, &path[1..], depth),
            "self" => self.below(from, &path[1..], depth),
            "super" => self.find_above(self.all[from].parent?, &path[1..], depth),
            _ => self.known(from, path, depth),
        }
    }

    /// Finds what a path names behind `super`.
    fn find_above(&self, above: Id, path: &[String], depth: usize) -> Option<Found> {
        match path.first() {
            Some(first) if first == "super" => self.find_above(self.all[above].parent?, &path[1..], depth),
            _ => self.below(above, path, depth),
        }
    }

    /// Finds what a path names that begins in this module. A name that is not seen there comes from a macro's expansion, so it is the
    /// module's.
    fn below(&self, id: Id, path: &[String], depth: usize) -> Option<Found> {
        let in_module = || Some(Found { module: id, item: path.to_vec() });
        match path.first() {
            None => in_module(),
            Some(first) if self.import(id, first).is_some() => self.known(id, path, depth),
            Some(_) => self.known(id, path, depth).or_else(in_module),
        }
    }

    /// Finds what a path names that begins with a name known in this module: a child, an item, an import, or one of a glob import. Before
    /// more names a child or an import comes first, for a function may have the same name.
    fn known(&self, id: Id, path: &[String], depth: usize) -> Option<Found> {
        if depth > DEEPEST {
            return None;
        }
        let (module, name) = (&self.all[id], &path[0]);
        let item = || module.items.contains(name).then(|| Found { module: id, item: path.to_vec() });
        let child = || module.children.get(name).and_then(|&child| self.below(child, &path[1..], depth));
        let import = || {
            // `use name::…` where the name is brought in by that very `use` begins with another crate's.
            let import = self.import(id, name).filter(|import| import.path[0] != *name)?;
            self.find(id, &[&import.path[..], &path[1..]].concat(), depth + 1)
        };
        let glob = || module.opened.iter().find_map(|&opened| self.known(opened, path, depth + 1));
        if path.len() > 1 {
            child().or_else(import).or_else(item).or_else(glob)
        } else {
            item().or_else(child).or_else(import).or_else(glob)
        }
    }
}
