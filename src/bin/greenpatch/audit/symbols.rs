//! Addresses, told: the object, its function, and the package that it came in.
//!
//! Functions are looked up in the symbol tables of the object's file: the whole table, else the exported names. A file that is another one
//! by now (its build id says so) tells no functions.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSymbol, SymbolKind};

use super::recording::{Module, Recorded};
use crate::elf::Elf;

/// Where an address is.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The object: its file's last name, the file, its build id in hexadecimal, both empty where they are not known.
    pub soname: String,
    pub path: String,
    pub build_id: String,
    /// The function, and how far into it; empty: none is known, and the distance is that from the file's address 0.
    pub function: String,
    pub offset: u64,
    /// Is it a function that others can call by its name?
    pub exported: bool,
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

/// Returns the package that a file came in: Debian's, with its version, or a Python distribution's; `None`: none that is known.
pub fn package(path: &str) -> Option<String> {
    of_python(Path::new(path)).or_else(|| of_debian(path))
}

/// Reads the lists of files of Debian's packages (dpkg(1)), then the version in the status file.
fn of_debian(path: &str) -> Option<String> {
    // /lib is /usr/lib by now, and packages list either.
    let names = [Some(path), path.strip_prefix("/usr")];
    for entry in fs::read_dir("/var/lib/dpkg/info").ok()?.flatten() {
        let list = entry.path();
        if list.extension().is_none_or(|extension| extension != "list") {
            continue;
        }
        let Ok(files) = fs::read_to_string(&list) else { continue };
        if names.iter().flatten().any(|name| files.lines().any(|line| line == *name)) {
            let package = list.file_stem()?.to_string_lossy().into_owned();
            let version = version_of_debian(package.split(':').next()?);
            return Some(version.map_or(package.clone(), |version| format!("{package} {version}")));
        }
    }
    None
}

fn version_of_debian(package: &str) -> Option<String> {
    let status = fs::read_to_string("/var/lib/dpkg/status").ok()?;
    let stanza = status.split("\n\n").find(|stanza| stanza.lines().next() == Some(&format!("Package: {package}")))?;
    stanza.lines().find_map(|line| line.strip_prefix("Version: ")).map(str::to_owned)
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
            return Some(distribution.replacen('-', " ", 1));
        }
    }
    None
}
