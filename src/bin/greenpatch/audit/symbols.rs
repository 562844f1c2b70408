//! Addresses, told: the object, its function, and the package that it came in.
//!
//! Functions are looked up in the symbol tables of the object's file: the whole table, else the exported names. A file that is another one
//! by now (its build id says so) tells no functions.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use object::{Object, ObjectSymbol, SymbolKind};
use serde_json::{json, Value};

use super::recording::{Module, Recorded};
use crate::elf::Elf;

/// Where an address is.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The object: its file's last name, the file, its build id in hexadecimal, both empty where they are not known.
    pub soname: String,
    pub path: String,
    pub build_id: String,
    /// The address in the file; 0: it is not known.
    pub address: u64,
    /// The function, and how far into it; empty: none is known, and the distance is that from the file's address 0.
    pub function: String,
    pub offset: u64,
    /// Is it a function that others can call by its name?
    pub exported: bool,
}

/// A library that waits.
#[derive(Clone, Default, PartialEq)]
pub struct Library {
    pub soname: String,
    pub path: String,
    pub build_id: String,
    pub package: Option<String>,
}

impl Library {
    /// Sets it in JSON.
    pub fn json(&self) -> Value {
        json!({ "soname": self.soname, "path": self.path, "build_id": self.build_id, "package": self.package })
    }
}

/// A function of an object: where it begins in the file's addresses.
struct Function {
    address: u64,
    /// How many bytes it has; 0: its symbol does not say.
    bytes: u64,
    name: String,
    exported: bool,
}

/// The objects of recordings, with what was looked up.
#[derive(Default)]
pub struct Symbols {
    functions: HashMap<String, Vec<Function>>,
}

impl Symbols {
    /// Tells an address of a recording. `return_address`: the call stands before it.
    pub fn place(&mut self, recorded: &Recorded, address: u64, return_address: bool) -> Option<Place> {
        let at = address - u64::from(return_address);
        let module = recorded.modules.iter().find(|module| (module.start..module.end).contains(&at))?;
        let path = path_of(recorded, module);
        let functions = self.functions.entry(path.clone()).or_insert_with(|| read(Path::new(&path), &module.build_id));
        let in_file = at.wrapping_sub(module.base);
        let last = functions.partition_point(|function| function.address <= in_file).checked_sub(1);
        // Behind the end of the function before it stands code without a name: a stripped file keeps the exported names only.
        let within = |function: &&Function| function.bytes == 0 || in_file - function.address < function.bytes;
        let function = last.map(|last| &functions[last]).filter(within);
        let soname = Path::new(&path).file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
        Some(Place {
            soname,
            build_id: module.build_id.clone(),
            address: in_file,
            path,
            function: function.map_or(String::new(), |function| function.name.clone()),
            offset: function.map_or(in_file, |function| in_file - function.address),
            exported: function.is_some_and(|function| function.exported),
        })
    }
}

/// Returns a module's file: the loader names none for the program.
pub fn path_of(recorded: &Recorded, module: &Module) -> String {
    if module.path.is_empty() {
        recorded.program.clone()
    } else {
        fs::canonicalize(&module.path).map_or(module.path.clone(), |path| path.display().to_string())
    }
}

/// Reads an object's functions, sorted by address. Empty: there is no such file, or another one.
fn read(path: &Path, build_id: &str) -> Vec<Function> {
    let Ok(data) = fs::read(path) else { return Vec::new() };
    let Ok(elf) = Elf::parse(&*data) else { return Vec::new() };
    let id = elf.build_id().ok().flatten().map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    if !build_id.is_empty() && id.is_some_and(|id| id != build_id) {
        return Vec::new();
    }
    let mut functions = Vec::new();
    let exported = elf.dynamic_symbols().map(|symbol| (symbol, true));
    for (symbol, exported) in elf.symbols().map(|symbol| (symbol, false)).chain(exported) {
        if symbol.is_definition() && symbol.kind() == SymbolKind::Text {
            if let Ok(name) = symbol.name() {
                let (address, bytes) = (symbol.address(), symbol.size());
                functions.push(Function { address, bytes, name: name.to_owned(), exported });
            }
        }
    }
    // Of names for one address an exported one is last, and is found.
    functions.sort_by_key(|function| (function.address, function.exported));
    functions
}

/// Returns the package that a file came in: Debian's, with its version, or a Python distribution's; `None`: none that is known, or the file
/// is there no more.
pub fn package(path: &str) -> Option<String> {
    if !Path::new(path).is_file() {
        return None;
    }
    of_python(Path::new(path)).or_else(|| of_debian(path))
}

/// Debian's packages, each with the list of its files, as dpkg(1) has them: read once, for a report may name many libraries.
static LISTS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let entries = fs::read_dir("/var/lib/dpkg/info").into_iter().flatten().flatten().map(|entry| entry.path());
    let lists = entries.filter(|list| list.extension().is_some_and(|kind| kind == "list"));
    let named =
        |list: PathBuf| Some((list.file_stem()?.to_string_lossy().into_owned(), fs::read_to_string(&list).ok()?));
    lists.filter_map(named).collect()
});

/// The package of each file.
static PACKAGES: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    LISTS.iter().flat_map(|(package, files)| files.lines().map(|file| (file, package.as_str()))).collect()
});

/// The version of each package, by its name without the architecture.
static VERSIONS: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let status = fs::read_to_string("/var/lib/dpkg/status").unwrap_or_default();
    let version = |stanza: &str| {
        let name = stanza.lines().next()?.strip_prefix("Package: ")?;
        Some((name.to_owned(), stanza.lines().find_map(|line| line.strip_prefix("Version: "))?.to_owned()))
    };
    status.split("\n\n").filter_map(version).collect()
});

/// Returns the package of a file as Debian's lists have it, with its version.
fn of_debian(path: &str) -> Option<String> {
    // /lib is /usr/lib by now, and packages list either.
    let names = [Some(path), path.strip_prefix("/usr")];
    let package = names.into_iter().flatten().find_map(|name| PACKAGES.get(name))?;
    let version = VERSIONS.get(package.split(':').next()?);
    Some(version.map_or_else(|| package.to_string(), |version| format!("{package} {version}")))
}

/// Finds the distribution whose RECORD names the file (PEP 376): in the nearest folder `site-packages` or `dist-packages`.
fn of_python(path: &Path) -> Option<String> {
    let folder: PathBuf = path
        .ancestors()
        .find(|folder| folder.file_name().is_some_and(|name| name == "site-packages" || name == "dist-packages"))?
        .to_owned();
    let name = path.strip_prefix(&folder).ok()?.to_string_lossy().into_owned();
    for entry in fs::read_dir(&folder).ok()?.flatten() {
        let info = entry.file_name().to_string_lossy().into_owned();
        let Some(distribution) = info.strip_suffix(".dist-info") else { continue };
        let Ok(record) = fs::read_to_string(entry.path().join("RECORD")) else { continue };
        if record.lines().any(|line| line.split(',').next() == Some(name.as_str())) {
            let name = name_of_distribution(&entry.path());
            let (folder, version) = distribution.split_once('-').unwrap_or((distribution, ""));
            return Some(format!("{} {version}", name.as_deref().unwrap_or(folder)));
        }
    }
    None
}

/// Returns a distribution's name as it is installed by: its folder has letters replaced (PEP 427).
fn name_of_distribution(info: &Path) -> Option<String> {
    let metadata = fs::read_to_string(info.join("METADATA")).ok()?;
    let head = metadata.lines().take_while(|line| !line.is_empty());
    head.into_iter().find_map(|line| line.strip_prefix("Name: ")).map(|name| name.trim().to_owned())
}
