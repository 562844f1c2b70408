//! The hook table as the tests see it: which symbols the library hooks, and in which room each handler lives.

/// One row of `src/hooks/table.rs`.
pub struct Hook {
    pub room: &'static str,
    pub symbol: &'static str,
    /// The column WAITS.
    pub waits: &'static str,
}

macro_rules! hooks {
    ($($room:ident { $($scope:ident $fails:ident $check:ident $waits:ident
        $symbol:ident($($argument:ident: $type:ty),*) -> $result:ty => $handler:ident;)* })*) => {
        pub const HOOKS: &[Hook] = &[$($(Hook {
            room: stringify!($room),
            symbol: stringify!($symbol),
            waits: stringify!($waits),
        },)*)*];
    };
}

include!("../../src/hooks/table.rs");

/// The symbols whose entries in libc do not lead to the hook, and why.
pub const NO_ENTRY: &[(&str, &str)] = include!("../../src/hooks/inside/no_entry.rs");

pub fn is_hook(symbol: &str) -> bool {
    HOOKS.iter().any(|hook| hook.symbol == symbol)
}
