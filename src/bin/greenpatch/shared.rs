//! The command's share of the library: files of the library that are built into both, and its table of hooks.
//!
//! The command never links the library, whose hooks would be its own. It includes the few files that hold knowledge and no runtime, here
//! and nowhere else. All of them lie at the bottom of the library too, and name nothing but the standard library and each other.

/// The options: their names, meanings and parsers. The command does not use what was parsed.
#[allow(dead_code)]
#[path = "../../config.rs"]
pub mod config;

/// How the figures lie in a process's memory. The command reads them and never fills them.
#[allow(dead_code)]
#[path = "../../figures.rs"]
pub mod figures;

/// The layout of a recording. The library fills it, and the command reads it.
#[allow(dead_code)]
#[path = "../../audit/format.rs"]
pub mod audit_format;

/// The list of the green threads, read from a process's memory. The library fills its table, and the command reads it.
#[allow(dead_code)]
#[path = "../../dump/mod.rs"]
pub mod dump;

/// The layout of the ticks. The library fills it, and the command makes the file and reads it.
#[path = "../../ticks.rs"]
pub mod ticks;

/// The reasons for which green threads wait.
#[allow(dead_code)]
#[path = "../../why.rs"]
pub mod why;

/// System call instructions that set a thread's state. The command asks of files by the same rule what the library asks of what is loaded.
#[path = "../../arch/scan.rs"]
pub mod scan;

macro_rules! hooks {
    ($($room:ident { $($scope:ident $fails:ident $check:ident $waits:ident
        $symbol:ident($($argument:ident: $type:ty),*) -> $result:ty => $handler:ident;)* })*) => {
        /// The room and the symbol of each function that the library hooks: the table's rows, and the three symbols beside it.
        pub const HOOKS: &[(&str, &str)] = &[
            $($((stringify!($room), stringify!($symbol)),)*)*
            ("process", "vfork"), ("process", "__vfork"), ("signal", "swapcontext"),
        ];

        /// What each row's function waits for: the column WAITS, by symbol.
        pub const WAITS: &[(&str, &str)] = &[$($((stringify!($symbol), stringify!($waits)),)*)*];
        /// The table's rows, by which a recording tells its calls: the symbol, and the names of the arguments.
        pub const ROWS: &[(&str, &[&str])] = &[$($((stringify!($symbol), &[$(stringify!($argument)),*]),)*)*];
    };
}

include!("../../hooks/table.rs");

/// The table as text, for the lines that the macro does not see: `// left out: SYMBOL…: why`.
pub const TABLE: &str = include_str!("../../hooks/table.rs");

/// Hooked functions that keep their entries in libc, and why. The library overwrites all others' entries, so that calls which libc makes
/// inside itself reach the hooks as well.
pub const NO_ENTRY: &[(&str, &str)] = include!("../../hooks/inside/no_entry.rs");
