//! Which files a program loads, found as glibc's loader would find them (ld.so(8)), without starting anything.
//!
//! For each name that an object needs, in this order:
//!
//! ```text
//!    1  DT_RPATH of the object, then of those that asked for it      not if the object has a DT_RUNPATH
//!    2  LD_LIBRARY_PATH                                             this process's own, which the program would inherit
//!    3  DT_RUNPATH of the object
//!    4  the loader's cache                                          /etc/ld.so.cache
//!    5  the default folders
//! ```
//!
//! A name with a slash is a path, and is not looked for. A file for another machine is passed over. Objects are taken breadth first, each
//! name once: so the list has the loader's order, which decides whose definition of a symbol comes first. What a program opens by dlopen
//! is not to be seen here; a running process shows it (`of_process`).

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_SONAME};

use crate::elf::{self, Elf};

/// A file that a program loads.
pub struct Loaded {
    /// The name by which it was asked for: a path, or what a DT_NEEDED entry says.
    pub name: String,
    /// The file. None: not found.
    pub path: Option<PathBuf>,
    /// The object that asked first, by its place in the list. None for the program itself, and in a running process.
    pub needed_by: Option<usize>,
}

/// The loader's cache of names, written by ldconfig.
const CACHE: &str = "/etc/ld.so.cache";
/// The folders that the loader looks through last.
const DEFAULT_FOLDERS: [&str; 6] =
    ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];
/// The meanings of `$LIB`, by distribution.
const LIB: [&str; 2] = ["lib/x86_64-linux-gnu", "lib64"];

/// The needs of an object: names of libraries, and folders to look in.
#[derive(Default)]
struct Wishes {
    /// The name that the object gives itself. It meets every need of that name.
    soname: Option<String>,
    /// The names that it needs, in order.
    needed: Vec<String>,
    /// Folders to look in, for its own needs and for those of the objects that it leads to: DT_RPATH.
    rpath: Vec<String>,
    /// Folders to look in for its own needs only: DT_RUNPATH.
    runpath: Vec<String>,
}

/// Lists a program and its libraries in the order in which the loader loads them, the program first. A library that is not found stays in
/// the list without a path.
pub fn of_program(program: &Path) -> Vec<Loaded> {
    let machine = elf::machine(program);
    let cache = cache(&fs::read(CACHE).unwrap_or_default());
    let mut list =
        vec![Loaded { name: program.display().to_string(), path: Some(program.to_owned()), needed_by: None }];
    let mut wishes: Vec<Wishes> = Vec::new();
    let mut at = 0;
    while at < list.len() {
        let own = list[at].path.as_deref().map(|path| self::wishes(path).unwrap_or_default()).unwrap_or_default();
        wishes.push(own);
        for name in wishes[at].needed.clone() {
            // An object is known by the name that was asked for, or by the one that it gives itself.
            let known = |(one, wish): (&Loaded, Option<&Wishes>)| {
                one.name == name || wish.is_some_and(|wish| wish.soname.as_deref() == Some(&name))
            };
            if list.iter().enumerate().any(|(i, one)| known((one, wishes.get(i)))) {
                continue;
            }
            let places = places(&name, &list, &wishes, at, &cache);
            let path = places.into_iter().find(|path| elf::machine(path).is_some_and(|found| Some(found) == machine));
            list.push(Loaded { name, path, needed_by: Some(at) });
        }
        at += 1;
    }
    list
}

/// Finds the libc that a program would get. None: the program asks for none, or there is none.
pub fn libc_of(program: &Path) -> Option<PathBuf> {
    /// The name by which programs ask for glibc.
    const LIBC: &str = "libc.so.6";
    let wishes = [wishes(program)?];
    if !wishes[0].needed.iter().any(|name| name == LIBC) {
        return None;
    }
    let machine = elf::machine(program);
    // The program alone asks, so its own folders count and no other object's.
    let list = [Loaded { name: program.display().to_string(), path: Some(program.to_owned()), needed_by: None }];
    let places = places(LIBC, &list, &wishes, 0, &cache(&fs::read(CACHE).unwrap_or_default()));
    places.into_iter().find(|path| elf::machine(path).is_some_and(|found| Some(found) == machine))
}

/// Lists the files whose text a process has mapped, the program first. A file is opened by its own name, or through the process's root,
/// which may be a container's. A file that has been deleted stays in the list without a path. Fails as the reading of the process's maps
/// fails.
pub fn of_process(pid: u32) -> io::Result<Vec<Loaded>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let program = fs::read_link(format!("/proc/{pid}/exe"))?;
    let mut paths = vec![program];
    for line in maps.lines() {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        // A line of maps: addresses, rights, offset, device, inode, and the file's name, which may hold spaces.
        let [_, rights, _, _, _, name, ..] = fields[..] else { continue };
        let path = PathBuf::from(&line[line.find(name).unwrap_or_default()..]);
        if rights.contains('x') && name.starts_with('/') && !paths.contains(&path) {
            paths.push(path);
        }
    }
    // Seen through the process's own root, which may be a container's.
    let seen = |path: PathBuf| PathBuf::from(format!("/proc/{pid}/root{}", path.display()));
    let loaded = |path: PathBuf| Loaded {
        name: path.display().to_string(),
        path: Some(if path.exists() { path } else { seen(path) }).filter(|path| path.exists()),
        needed_by: None,
    };
    Ok(paths.into_iter().map(loaded).collect())
}

/// Reads what an object says of its libraries. None: the file is not readable, or no dynamic object.
fn wishes(path: &Path) -> Option<Wishes> {
    let data = fs::read(path).ok()?;
    let elf = Elf::parse(&*data).ok()?;
    let table = elf.elf_dynamic_table().ok()?;
    let strings = |tag| {
        let entries = table.iter().filter(move |entry| entry.tag == tag);
        entries.filter_map(|entry| Some(String::from_utf8_lossy(table.string(entry).ok()?).into_owned()))
    };
    // $ORIGIN is the folder of the file itself, behind all links.
    let origin = fs::canonicalize(path).ok()?.parent()?.display().to_string();
    let folders = |tag| {
        let list: Vec<String> = strings(tag).collect();
        list.iter().flat_map(|list| list.split(':')).flat_map(|folder| expand(folder, &origin)).collect()
    };
    Some(Wishes {
        soname: strings(DT_SONAME).next(),
        needed: strings(DT_NEEDED).collect(),
        rpath: folders(DT_RPATH),
        runpath: folders(DT_RUNPATH),
    })
}

/// Expands a folder of a search path: the loader's own words ($ORIGIN, $LIB, $PLATFORM) replaced, once for each meaning of $LIB.
fn expand(folder: &str, origin: &str) -> Vec<String> {
    let with_word = |word: &str, text: &str, value: &str| {
        text.replace(&format!("${{{word}}}"), value).replace(&format!("${word}"), value)
    };
    let folder = with_word("PLATFORM", &with_word("ORIGIN", folder, origin), "x86_64");
    let mut all: Vec<_> = LIB.iter().map(|lib| with_word("LIB", &folder, lib)).collect();
    all.dedup();
    all
}

/// Lists the files that the loader tries for `name`, which the object at `at` needs, in its order.
fn places(name: &str, list: &[Loaded], wishes: &[Wishes], at: usize, cache: &[(String, PathBuf)]) -> Vec<PathBuf> {
    if name.contains('/') {
        let origin = list[at].path.as_deref().and_then(Path::parent).unwrap_or(Path::new("/"));
        return expand(name, &origin.display().to_string()).into_iter().map(PathBuf::from).collect();
    }
    let mut folders = Vec::new();
    if wishes[at].runpath.is_empty() {
        // DT_RPATH holds for all that the object leads to: from the one that asks up to the program.
        let mut asking = Some(at);
        while let Some(one) = asking {
            folders.extend(wishes[one].rpath.iter().filter(|_| wishes[one].runpath.is_empty()).map(PathBuf::from));
            asking = list[one].needed_by;
        }
    }
    // An empty part means the working directory; an empty variable means nothing.
    let path = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    folders.extend(path.as_bytes().split(|byte| b":;".contains(byte)).map(|folder| match folder {
        _ if path.is_empty() => PathBuf::from("/nonexistent"),
        b"" => PathBuf::from("."),
        folder => PathBuf::from(OsStr::from_bytes(folder)),
    }));
    folders.extend(wishes[at].runpath.iter().map(PathBuf::from));
    let cached = cache.iter().filter(|(known, _)| known == name).map(|(_, path)| path.clone());
    let default = DEFAULT_FOLDERS.iter().map(|folder| Path::new(folder).join(name));
    folders.iter().map(|folder| folder.join(name)).chain(cached).chain(default).collect()
}

/// Reads the names in the loader's cache and their files (source: glibc's dl-cache.h). Variants for certain processors come last, for they
/// export and import the same.
fn cache(bytes: &[u8]) -> Vec<(String, PathBuf)> {
    /// The first bytes of the cache in today's form.
    const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
    /// The size in bytes of what stands before the first entry.
    const HEADER: usize = 48;
    /// The size in bytes of an entry: flags, the places of name and file, a version of the system, processor features.
    const ENTRY: usize = 24;
    // An older cache may stand before it; offsets count from the newer one's beginning.
    let Some(begin) = bytes.windows(MAGIC.len()).position(|part| part == MAGIC) else { return vec![] };
    let bytes = &bytes[begin..];
    let word =
        |at: usize| bytes.get(at..at + 4).map_or(0, |word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    let string = |at: u32| {
        let text = bytes.get(at as usize..).unwrap_or_default();
        String::from_utf8_lossy(text.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
    };
    let entries = bytes.get(HEADER..).unwrap_or_default().len() / ENTRY;
    let places = (0..entries.min(word(MAGIC.len()) as usize)).map(|entry| HEADER + entry * ENTRY);
    // Entries for certain systems or processors (glibc-hwcaps) have a version or features.
    let (plain, special): (Vec<usize>, Vec<usize>) = places.partition(|at| word(at + 16) == 0 && word(at + 20) == 0);
    plain.into_iter().chain(special).map(|at| (string(word(at + 4)), PathBuf::from(string(word(at + 8))))).collect()
}
