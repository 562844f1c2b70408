//! What the integration tests share. They are separate crates that never link the library, and each uses a part of this.
#![allow(dead_code)]

pub mod compiler;
pub mod header;
pub mod hooks;
pub mod library;
pub mod needs;
pub mod place;
pub mod proof;
pub mod run;
pub mod verdict;
