//! Writes a part of the program, as build scripts do.
fn main() {
    let folder = std::env::var("OUT_DIR").expect("cargo says where");
    std::fs::write(format!("{folder}/limit.rs"), "pub const LIMIT: u64 = 1000;").expect("a file");
    println!("cargo:rerun-if-changed=build.rs");
}
