//! The hook table's rows as numbers and names: what counts calls, and tells the counts, needs no more of a hook than these.
//!
//! Here `hooks/table.rs` is read a first time (its readings: `rows`, `hooks/real.rs`, `hooks/door.rs`).

macro_rules! hooks {
    ($($room:ident { $($scope:ident $fails:ident $check:ident $waits:ident
        $name:ident($($a:ident: $t:ty),*) -> $r:ty => $handler:ident;)* })*) => {
        /// A row's place in the table, which is also its counter's.
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(usize)]
        pub enum Row { $($($name,)*)* End }

        /// Every row's symbol, in the table's order: the names of the counters.
        pub const NAMES: [&str; Row::End as usize] = [$($(stringify!($name),)*)*];
    };
}

include!("hooks/table.rs");

const _: () = assert!(NAMES.len() <= crate::figures::ROWS, "the hooks' counters have no room");
